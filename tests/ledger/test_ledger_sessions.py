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


def test_a_run_is_silent_when_its_beats_stop_whatever_it_did(ledger: Ledger, clock) -> None:
    ledger.beat("run-1", "elsewhere", 120.0)
    ledger.beat("run-2", "elsewhere", 120.0)
    clock.forward(seconds=119)
    ledger.beat("run-2", "elsewhere", 120.0)
    assert ledger.silent_runs() == frozenset()

    clock.forward(seconds=1)
    assert ledger.silent_runs() == {"run-1"}
    assert ledger.lease_holder("push") is None, "a beat is not a lock"

    # and one that is over is not, nor one that was silent for a day
    clock.forward(days=1, seconds=1)
    ledger.beat("run-3", "elsewhere", 120.0)
    ledger.end_beats("run-3")
    assert ledger.silent_runs() == {"run-2"}


def test_a_run_is_silent_when_its_push_goes_on_under_a_lease_that_ran_out(ledger: Ledger, clock) -> None:
    lease = ledger.acquire_lease("push", "run-1 elsewhere", 120.0)
    ledger.start_session("run-0", "titles", "plan-hash", {})  # of a push without a lease nothing is known
    session = ledger.start_session("run-1", "employees", "plan-hash", {}, lease)
    clock.forward(seconds=100)
    ledger.heartbeat(lease)
    clock.forward(seconds=119)
    assert ledger.silent_runs() == frozenset()

    clock.forward(seconds=1)
    assert ledger.silent_runs() == {"run-1"}

    # and one that is heard of again, has given its lease back, or has ended, is not
    ledger.heartbeat(lease)
    assert ledger.silent_runs() == frozenset()
    ledger.release(lease)
    clock.forward(seconds=121)
    assert ledger.silent_runs() == frozenset()
    again = ledger.acquire_lease("push", "run-1 elsewhere", 120.0)
    ledger.end_session(session, "done", {}, 0)
    clock.forward(seconds=121)
    assert (ledger.silent_runs(), again.token) == (frozenset(), lease.token + 1)
