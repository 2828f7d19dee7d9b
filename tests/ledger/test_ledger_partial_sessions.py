"""Sessions tell whether they carried out a whole plan, and which other session they took back."""

from __future__ import annotations

from safetyamp_pipelines.ledger import Ledger


def test_only_a_whole_plan_that_came_to_its_end_counts_as_a_load(ledger: Ledger) -> None:
    one = ledger.start_session("run-1", "employees", "hash", {}, is_whole=False)
    ledger.end_session(one, "done", {}, 1)
    undo = ledger.start_session("run-2", "employees", "hash", {}, is_whole=False, undoes=one)
    cut_short = ledger.start_session("run-3", "employees", "hash", {})
    ledger.end_session(cut_short, "stopped", {}, 1)
    before = ledger.was_pushed_whole("employees")
    ledger.end_session(ledger.start_session("run-4", "employees", "hash", {}), "done", {}, 1)

    assert not before
    assert ledger.was_pushed_whole("employees")
    assert not ledger.was_pushed_whole("jobs")
    assert [(found.is_whole, found.undoes) for found in ledger.sessions()] == [
        (True, None),
        (True, None),
        (False, one),
        (False, None),
    ]
    found = ledger.session(undo)
    assert found is not None
    assert found.undoes == one
    assert ledger.session(999) is None
