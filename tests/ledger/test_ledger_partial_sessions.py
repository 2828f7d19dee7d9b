"""Sessions tell whether they carried out a whole plan, and which other session they took back."""

from __future__ import annotations

from safetyamp_pipelines.ledger import Ledger


def test_only_a_whole_plan_counts_as_a_load(ledger: Ledger) -> None:
    one = ledger.start_session("run-1", "employees", "hash", {}, is_whole=False)
    before = ledger.was_pushed_whole("employees")
    undo = ledger.start_session("run-2", "employees", "hash", {}, is_whole=False, undoes=one)
    ledger.start_session("run-3", "employees", "hash", {})

    assert not before
    assert ledger.was_pushed_whole("employees")
    assert not ledger.was_pushed_whole("jobs")
    assert [(found.is_whole, found.undoes) for found in ledger.sessions()] == [
        (True, None),
        (False, one),
        (False, None),
    ]
    found = ledger.session(undo)
    assert found is not None
    assert found.undoes == one
    assert ledger.session(999) is None
