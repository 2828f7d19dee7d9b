"""Sessions: one push of one entity, from start to end, and the ones that never ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from safetyamp_pipelines.ledger import Ledger, Session, SessionEnded


def test_a_session_is_told_whole(ledger: Ledger, clock) -> None:
    # given a session that ran for a minute
    session = ledger.start_session("run-1", "employees", "plan-hash", {"create": 2, "update": 1})
    clock.forward(minutes=1)
    ledger.end_session(session, "done", {"done": 3}, calls=5)

    # when it is listed, then everything about it is there, with aware UTC times
    begun = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    assert ledger.sessions() == [
        Session(
            id=session,
            run_id="run-1",
            entity="employees",
            plan_hash="plan-hash",
            planned={"create": 2, "update": 1},
            status="done",
            started_at=begun,
            ended_at=begun + timedelta(minutes=1),
            counts={"done": 3},
            calls=5,
        )
    ]


def test_sessions_are_listed_newest_first_and_can_be_narrowed(ledger: Ledger) -> None:
    first = ledger.start_session("run-1", "jobs", "a", {})
    second = ledger.start_session("run-1", "employees", "b", {})
    third = ledger.start_session("run-2", "jobs", "c", {})

    assert [found.id for found in ledger.sessions()] == [third, second, first]
    assert [found.id for found in ledger.sessions(limit=1)] == [third]
    assert [found.id for found in ledger.sessions(entity="jobs")] == [third, first]
    assert [found.id for found in ledger.sessions(run_id="run-1", entity="jobs")] == [first]


def test_the_session_that_never_ended_is_found(ledger: Ledger) -> None:
    # given one session that ended, one that did not, and one of another entity
    ended = ledger.start_session("run-1", "jobs", "a", {})
    ledger.end_session(ended, "failed", {}, calls=0)
    assert ledger.open_session("jobs") is None
    dead = ledger.start_session("run-2", "jobs", "b", {})
    ledger.start_session("run-2", "titles", "c", {})

    # when a later push looks, then it finds the dead one
    found = ledger.open_session("jobs")
    assert found is not None
    assert (found.id, found.status) == (dead, "running")

    # and once declared over it is history
    ledger.end_session(dead, "abandoned", {}, calls=0)
    assert ledger.open_session("jobs") is None


def test_a_session_ends_once(ledger: Ledger, session: int) -> None:
    ledger.end_session(session, "abandoned", {}, calls=0)
    with pytest.raises(SessionEnded, match="is abandoned"):
        ledger.end_session(session, "done", {"done": 1}, calls=1)
    assert ledger.sessions()[0].status == "abandoned"


def test_a_session_that_does_not_exist_cannot_end(ledger: Ledger) -> None:
    with pytest.raises(LookupError, match="session 7"):
        ledger.end_session(7, "done", {}, calls=0)
