"""Leases and pauses: one writer at a time, a dead one is taken over, and everybody stops when told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from safetyamp_pipelines.ledger import LeaseHeld, LeaseLost, Ledger, Pause
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import Change

MakeChange = Callable[..., Change]


def test_a_second_holder_is_told_who_is_first_and_since_when(ledger: Ledger, clock) -> None:
    # given a lease in its first minute
    ledger.acquire_lease("push", "run 1 on pod-a", ttl_seconds=60)
    clock.forward(seconds=59)

    # when another run wants it, then it is refused with name and start time, as a plan that may not be pushed now
    with pytest.raises(LeaseHeld, match="held by run 1 on pod-a since 2026-11-20 10:00:00 UTC") as refused:
        ledger.acquire_lease("push", "run 2 on pod-b", ttl_seconds=60)
    assert isinstance(refused.value, PlanRefused)
    assert refused.value.holder == "run 1 on pod-a"
    assert refused.value.since == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)

    # and a lease of another name is free
    ledger.acquire_lease("report", "run 2 on pod-b", ttl_seconds=60)


def test_the_holder_itself_cannot_take_it_twice(ledger: Ledger) -> None:
    ledger.acquire_lease("push", "run 1", ttl_seconds=60)
    with pytest.raises(LeaseHeld):
        ledger.acquire_lease("push", "run 1", ttl_seconds=60)


def test_a_dead_holder_is_taken_over_after_its_time(ledger: Ledger, clock) -> None:
    dead = ledger.acquire_lease("push", "run 1", ttl_seconds=60)
    clock.forward(seconds=60)

    lease = ledger.acquire_lease("push", "run 2", ttl_seconds=60)
    assert lease.token > dead.token
    assert (lease.holder, lease.since, lease.expires_at) == ("run 2", clock.now, clock.now + timedelta(seconds=60))


def test_whoever_asks_is_told_the_holder_as_long_as_its_time_runs(ledger: Ledger, clock) -> None:
    assert ledger.lease_holder("push") is None
    lease = ledger.acquire_lease("push", "run 1", ttl_seconds=60)
    began = clock.now
    clock.forward(seconds=59)
    assert ledger.lease_holder("push") == ("run 1", began)
    clock.forward(seconds=1)
    assert ledger.lease_holder("push") is None

    ledger.heartbeat(lease)
    assert ledger.lease_holder("push") == ("run 1", began)
    ledger.release(lease)
    assert ledger.lease_holder("push") is None


def test_the_token_only_grows(ledger: Ledger, clock) -> None:
    tokens = []
    for turn in range(6):
        lease = ledger.acquire_lease("push", f"run {turn}", ttl_seconds=60)
        tokens.append(lease.token)
        if turn % 2:
            ledger.release(lease)
        else:
            clock.forward(seconds=61)
    assert tokens == sorted(set(tokens))


def test_a_heartbeat_keeps_the_lease(ledger: Ledger, clock) -> None:
    lease = ledger.acquire_lease("push", "run 1", ttl_seconds=60)
    for _ in range(5):
        clock.forward(seconds=50)
        lease = ledger.heartbeat(lease)
        assert lease.expires_at == clock.now + timedelta(seconds=60)
    with pytest.raises(LeaseHeld):
        ledger.acquire_lease("push", "run 2", ttl_seconds=60)


def test_a_heartbeat_after_the_loss_raises(ledger: Ledger, clock) -> None:
    # given a holder that slept too long
    sleeper = ledger.acquire_lease("push", "run 1", ttl_seconds=60)
    clock.forward(seconds=61)
    heir = ledger.acquire_lease("push", "run 2", ttl_seconds=60)

    # when it wakes, then it learns that it lost the lease, and its release does not hurt the heir
    with pytest.raises(LeaseLost, match="run 1 lost the lease push"):
        ledger.heartbeat(sleeper)
    ledger.release(sleeper)
    ledger.heartbeat(heir)


def test_a_late_heartbeat_that_nobody_preceded_is_in_time(ledger: Ledger, clock) -> None:
    lease = ledger.acquire_lease("push", "run 1", ttl_seconds=60)
    clock.forward(seconds=61)
    ledger.heartbeat(lease)
    with pytest.raises(LeaseHeld):
        ledger.acquire_lease("push", "run 2", ttl_seconds=60)


def test_a_released_lease_is_free_and_its_heartbeat_lost(ledger: Ledger) -> None:
    lease = ledger.acquire_lease("push", "run 1", ttl_seconds=60)
    ledger.release(lease)
    with pytest.raises(LeaseLost):
        ledger.heartbeat(lease)
    ledger.acquire_lease("push", "run 2", ttl_seconds=60)


@pytest.mark.parametrize("used_before", [False, True])
def test_of_many_who_ask_at_once_one_gets_it(ledger: Ledger, used_before: bool) -> None:
    # given eight threads at the start line, on a name that was never used, or one that was given back
    if used_before:
        ledger.release(ledger.acquire_lease("push", "run 0", ttl_seconds=60))
    start = threading.Barrier(8)

    def ask(number: int) -> bool:
        start.wait()
        try:
            ledger.acquire_lease("push", f"run {number}", ttl_seconds=60)
        except LeaseHeld:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 1


def test_who_waited_for_the_lock_sees_what_happened_meanwhile(new_postgresql: Callable[[], str], clock) -> None:
    # given a lease that was given back, and another process at work on its row
    ledger = Ledger.open(new_postgresql(), clock=clock)
    ledger.release(ledger.acquire_lease("push", "run 0", ttl_seconds=60))
    other = ledger._engine.connect()
    taking = "UPDATE ledger_leases SET holder = 'run 1', token = token + 1, since = :since, expires_at = :until"
    other.execute(text(taking), {"since": clock.now, "until": clock.now + timedelta(seconds=60)})

    # when a second one asks and waits, and the first then commits
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ledger.acquire_lease, "push", "run 2", 60)
        watching = ledger._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        while not watching.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            assert not asking.done()
        other.commit()

        # then the second one sees that it came too late
        with pytest.raises(LeaseHeld, match="run 1"):
            asking.result()
    watching.close()
    other.close()
    ledger.close()


def test_calls_in_flight_share_the_ledger(ledger: Ledger, change: MakeChange) -> None:
    # given a push under a lease with four calls in flight, and its heartbeat
    lease = ledger.acquire_lease("push", "run 1", ttl_seconds=60)
    session = ledger.start_session("run-1", "employees", "hash", {"create": 40}, lease=lease)

    def push(number: int) -> None:
        change_id = ledger.intend(session, change(source_key=str(number)))
        ledger.answer(change_id, "done", target_id=number, pushed={"emp_id": str(number)})

    with ThreadPoolExecutor(5) as pool:
        pushes = [pool.submit(push, number) for number in range(40)]
        heartbeats = [pool.submit(ledger.heartbeat, lease) for _ in range(10)]
        for future in pushes + heartbeats:
            future.result()

    # then every answer is there, once
    assert {change.source_key for change in ledger.changes()} == {str(number) for number in range(40)}
    assert len(ledger.links("employees")) == len(ledger.changes()) == 40


def test_a_push_that_lost_its_lease_writes_no_more_intents(ledger: Ledger, clock, change: MakeChange) -> None:
    # given a push under a lease, with one call in the air
    lease = ledger.acquire_lease("push", "run 1", ttl_seconds=60)
    session = ledger.start_session("run-1", "employees", "hash", {}, lease=lease)
    in_the_air = ledger.intend(session, change())

    # when its time runs out and another push takes over
    clock.forward(seconds=61)
    ledger.acquire_lease("push", "run 2", ttl_seconds=60)

    # then its next intent is refused, before any call
    with pytest.raises(LeaseLost):
        ledger.intend(session, change(source_key="100483"))
    assert [one.id for one in ledger.open_intents("employees")] == [in_the_air]

    # but the answer of the call already made is taken
    ledger.answer(in_the_air, "done", target_id="aB3dE")


def test_a_push_without_its_lease_released_writes_no_more_intents(ledger: Ledger, change: MakeChange) -> None:
    lease = ledger.acquire_lease("push", "run 1", ttl_seconds=60)
    session = ledger.start_session("run-1", "employees", "hash", {}, lease=lease)
    ledger.release(lease)
    with pytest.raises(LeaseLost):
        ledger.intend(session, change())


def test_a_pause_says_who_when_and_why(ledger: Ledger, clock) -> None:
    assert ledger.pause_state() is None

    paused = ledger.pause("Ada", "payroll is being corrected")
    assert paused == Pause(
        who="Ada", reason="payroll is being corrected", at=clock.now, resumed_by=None, resumed_at=None
    )
    assert ledger.pause_state() == paused


def test_a_pause_that_lasts_is_not_overwritten(ledger: Ledger) -> None:
    first = ledger.pause("Ada", "payroll is being corrected")
    assert ledger.pause("Bob", "me too") == first
    assert ledger.pause_state() == first


def test_resuming_ends_the_pause_and_tells_which(ledger: Ledger, clock) -> None:
    begun = clock.now
    ledger.pause("Ada", "payroll is being corrected")
    clock.forward(hours=2)

    assert ledger.resume("Bob") == Pause(
        who="Ada", reason="payroll is being corrected", at=begun, resumed_by="Bob", resumed_at=clock.now
    )
    assert ledger.pause_state() is None
    assert ledger.resume("Bob") is None

    # and the next pause is a new one
    assert ledger.pause("Bob", "again").at == clock.now


def test_a_lease_is_free_in_its_time_although_the_clock_was_set_back(ledger: Ledger, clock) -> None:
    # given a holder that died, and a clock that was set back an hour since
    ledger.acquire_lease("push", "dead", 120)
    clock.forward(hours=-1)

    # when another asks, then it waits as long as a lease lasts, and no longer
    with pytest.raises(LeaseHeld):
        ledger.acquire_lease("push", "next", 120)
    clock.forward(seconds=121)
    assert ledger.acquire_lease("push", "next", 120).dead_holder == "dead"
