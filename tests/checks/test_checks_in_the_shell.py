"""A check that stops a lane is reported in the shell with its figures, its keys and what to do; other lanes go on."""

from pathlib import Path

from commands import in_this_process, small_world


def test_a_red_check_is_reported_without_the_ui_and_stops_its_lane_alone(tmp_path: Path) -> None:
    # given a company with a department that cannot be synced, and rules that allow none
    with small_world() as box:
        rules = tmp_path / "sync.yaml"
        allowed = Path(box.environment["SYNC_CONFIG"]).read_text(encoding="utf-8")
        limits = "checks: {rejected: {from_records: 1, warn: 0.001, error: 0.001}}"
        rules.write_text(f"{allowed}\n{limits}\n", encoding="utf-8")
        clusters = box.safetyamp.tables()["site_clusters"]

        # when all is synced
        answer = in_this_process(box, "sync", "departments", "titles", SYNC_CONFIG=str(rules))

        # then
        assert answer.exit_code == 1, answer.stdout + answer.stderr
        for words in ("the check rejected_share of plan/departments failed", "0 at most", "(keys: 28)"):
            assert words in answer.stderr
        assert box.safetyamp.tables()["site_clusters"] == clusters
        assert {call.path.split("/")[2] for call in answer.writes} == {"user_titles"}
