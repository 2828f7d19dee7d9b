"""`--key`: one record is pushed now, nothing else is written, and the full run after it is as it would have been."""

from __future__ import annotations

from commands import assert_refused, in_this_process
from personnel import people

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import Sandbox


def test_one_record_is_pushed_and_the_next_full_run_does_the_rest(synced_box: Sandbox) -> None:
    # given everybody in step, then two who are hired and one who leaves
    box = synced_box
    one, other = (str(box.sources.hire(name, "Fresh")) for name in ("Dee", "Eve"))
    leaver = next(number for number, row in people(box).items() if row["system_access"])
    box.sources.terminate(int(leaver))
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        links, rows = ledger.links("employees"), ledger.previous_rows_of(["viewpoint/employees"])

    # when one of them is synced
    shown = in_this_process(box, "plan", "employees", "--key", one)
    alone = in_this_process(box, "sync", "employees", "--key", one, "--json")

    # then that record is written and no other, and nothing but its link is remembered
    assert (shown.exit_code, shown.writes) == (0, [])
    assert "employees: 1 to create" in shown.stdout
    assert (alone.exit_code, len(alone.writes)) == (0, 1)
    counts = alone.document()["entities"]["employees"]
    assert (counts["created"], counts["not_pushed"]) == (1, 2)
    assert one in people(box)
    assert other not in people(box)
    assert people(box)[leaver]["system_access"]
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        assert ledger.links("employees").keys() - links.keys() == {one}
        assert ledger.previous_rows_of(["viewpoint/employees"]) == rows
        assert [session.is_whole for session in ledger.sessions(2, entity="employees")] == [False, True]
        assert ledger.verdict_history("employees", other)[0].outcome == "not_pushed"
        (change,) = ledger.changes(session_id=ledger.sessions(1, entity="employees")[0].id)
        assert (change.source_key, change.status) == (one, "done")

    full = in_this_process(box, "sync", "employees", "--json")

    counts = full.document()["entities"]["employees"]
    assert (full.exit_code, len(full.writes)) == (0, 2)
    assert (counts["created"], counts["deactivated"]) == (1, 1)
    assert "not_pushed" not in counts


def test_a_first_load_is_free_although_single_records_were_tried_before(box: Sandbox) -> None:
    for number in range(40):
        box.sources.hire(f"Hire {number}", "Many")
    newest = str(max(row["Employee"] for row in box.world.viewpoint["bPREH"]))
    in_this_process(box, "sync", "departments", "jobs", "titles")

    tried = in_this_process(box, "sync", "employees", "--key", newest, "--json")
    loaded = in_this_process(box, "sync", "employees", "--json")

    assert (tried.exit_code, len(tried.writes)) == (0, 1)
    assert loaded.exit_code == 0, loaded.stderr
    assert loaded.document()["entities"]["employees"]["created"] >= 39


def test_what_cannot_be_asked_is_refused_before_anything_is_written(box: Sandbox) -> None:
    assert_refused(box, in_this_process(box, "sync", "titles", "--key", "no such title"), "no title has the key")
    for entities in ([], ["titles", "jobs"]):
        answer = in_this_process(box, "sync", *entities, "--key", "welder")
        assert (answer.exit_code, answer.stdout, answer.calls) == (2, "", [])
        assert "--key needs the one entity" in answer.stderr
