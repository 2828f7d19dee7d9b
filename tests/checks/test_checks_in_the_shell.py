"""A check that stops a sync is told in the shell with its figures, its keys and what to do, and nothing was written."""

from pathlib import Path

from commands import assert_refused, in_this_process, small_world


def test_a_red_check_is_told_without_the_ui(tmp_path: Path) -> None:
    # given a company with a department that cannot be synced, and rules that allow none
    with small_world() as box:
        rules = tmp_path / "sync.yaml"
        allowed = Path(box.environment["SYNC_CONFIG"]).read_text(encoding="utf-8")
        limits = "checks: {rejected: {from_records: 1, warn: 0.001, error: 0.001}}"
        rules.write_text(f"{allowed}\n{limits}\n", encoding="utf-8")

        # when it is synced
        answer = in_this_process(box, "sync", "employees", SYNC_CONFIG=str(rules))

        # then
        assert_refused(box, answer, "the check rejected_share of plan/departments failed", "0 at most", "(keys: 28)")
