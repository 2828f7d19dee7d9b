"""Pushes that meet trouble: lost answers, refused keys, pauses, other pushers, old plans, a killed process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from push_world import EMPTY, Clock, PushWorld, fault, outcomes, people, rule, staff, writes

from safetyamp_pipelines.ledger import LeaseHeld, LedgerUnusable
from safetyamp_pipelines.operations.lease import LEASE
from safetyamp_pipelines.operations.push_step import refuse_old
from safetyamp_pipelines.sandbox import FaultRule, Sandbox, TargetOptions
from safetyamp_pipelines.sync.model.errors import AuthRefused, PlanRefused, Resting

ONE_AT_A_TIME = {"sync_in_flight": 1}

pytestmark = pytest.mark.slow  # some wait for what may still arrive


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A SafetyAmp with clusters, yards and roles, and nobody of ours in it."""
    with Sandbox(EMPTY, TargetOptions(calls=100_000)) as box:
        yield box


@pytest.fixture
def world(box: Sandbox) -> Iterator[PushWorld]:
    world = PushWorld(box.environment)
    yield world
    world.close()


@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "truncate", "html", "cut_json"])
def test_an_intent_is_in_the_ledger_before_its_call_and_a_lost_answer_is_settled_by_a_look(
    kind: str, box: Sandbox, world: PushWorld
) -> None:
    fault(box, kind, nth=2)

    pushed = world.sync("employees", staff(1, 2, 3), **ONE_AT_A_TIME)

    acted = kind not in ("cut_before", "html")
    assert outcomes(pushed) == {"1": "created", "2": "created" if acted else "failed", "3": "created"}
    assert "a fresh read shows it was" in rule(pushed, "2")
    assert Counter(change.status for change in world.ledger.changes()) == (
        {"done": 3} if acted else {"done": 2, "failed": 1}
    )
    assert world.ledger.open_intents("employees") == []
    again = world.sync("employees", staff(1, 2, 3))
    assert set(people(box)) == {"1", "2", "3"}
    assert outcomes(again)["2"] == ("unchanged" if acted else "created")
    assert len(writes(box)) == (3 if acted else 4)


def test_an_update_whose_answer_was_lost_is_settled_by_the_values_it_was_to_write(
    box: Sandbox, world: PushWorld
) -> None:
    world.sync("employees", staff(1, 2))
    fault(box, "cut_after", "PATCH", nth=1)
    fault(box, "cut_before", "PATCH", nth=2)

    pushed = world.sync("employees", staff(1, 2, City="Sampleton"), **ONE_AT_A_TIME)

    assert outcomes(pushed) == {"1": "updated", "2": "failed"}
    assert set(outcomes(world.sync("employees", staff(1, 2, City="Sampleton"))).values()) == {"unchanged", "updated"}
    assert {row["city"] for row in people(box).values()} == {"Sampleton"}


def test_when_the_look_fails_too_the_intent_stays_open_and_the_next_push_settles_it(
    box: Sandbox, world: PushWorld
) -> None:
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1), observed)
    fault(box, "cut_after")
    fault(box, "status", "GET", status=404, times=None)  # an error that is not waited for

    pushed = world.push(plan, observed)

    assert outcomes(pushed) == {"1": "failed"}
    assert "the next run looks it up" in rule(pushed, "1")
    assert len(world.ledger.open_intents("employees")) == 1
    box.faults.clear()
    assert outcomes(world.sync("employees", staff(1))) == {"1": "unchanged"}
    assert world.ledger.open_intents("employees") == []
    assert set(people(box)) == {"1"}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_at_once_and_nothing_else_is_sent(status: int, box: Sandbox, world: PushWorld) -> None:
    fault(box, "status", status=status, nth=2, times=None)

    pushed = world.sync("employees", staff(*range(1, 8)), **ONE_AT_A_TIME)

    assert Counter(outcomes(pushed).values()) == {"created": 1, "not_attempted": 6}
    assert len(writes(box)) == 2
    assert isinstance(pushed.error, AuthRefused)
    box.faults.clear()
    with closing(PushWorld(box.environment)) as later:
        again = later.sync("employees", staff(*range(1, 8)))
    assert Counter(outcomes(again).values()) == {"unchanged": 1, "created": 6}


def test_after_a_refused_key_the_run_reads_nothing_more(box: Sandbox, world: PushWorld) -> None:
    box.faults.add(FaultRule("status", system="safetyamp", status=401, times=None))

    for _ in range(3):
        with pytest.raises(AuthRefused):
            world.observe("employees")

    assert len(box.requests("safetyamp")) == 1


def test_ten_refusals_in_a_row_stop_the_entity(box: Sandbox, world: PushWorld) -> None:
    fault(box, "status", status=422, times=None)

    pushed = world.sync("employees", staff(*range(1, 16)), **ONE_AT_A_TIME)

    assert Counter(outcomes(pushed).values()) == {"failed": 10, "not_attempted": 5}
    assert pushed.result.stopped == "SafetyAmp refused 10 records in a row"
    assert world.ledger.sessions()[0].status == "stopped"


def test_a_pause_between_two_calls_stops_the_push_and_leaves_nothing_open(box: Sandbox, world: PushWorld) -> None:
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1, 2, 3), observed)

    def pausing(settled: int, planned: int) -> None:
        if settled == 1:
            world.ledger.pause("nora", "audit")

    pushed = world.push(plan, observed, progress=pausing, **ONE_AT_A_TIME)

    assert Counter(outcomes(pushed).values()) == {"created": 1, "not_attempted": 2}
    assert isinstance(pushed.error, Resting)
    assert "paused by nora: audit" in str(pushed.error)
    assert world.ledger.sessions()[0].status == "paused"
    assert world.ledger.open_intents("employees") == []
    with pytest.raises(PlanRefused, match="syncing is paused by nora: audit"):
        world.sync("employees", staff(1, 2, 3))
    world.ledger.resume("nora")
    assert Counter(outcomes(world.sync("employees", staff(1, 2, 3))).values()) == {"unchanged": 1, "created": 2}


@pytest.mark.parametrize("is_meant", [False, True])
def test_a_freeze_that_begins_during_a_push_stops_it_between_two_calls_unless_people_pushed_in_it(
    is_meant: bool, box: Sandbox, tmp_path: Path
) -> None:
    ahead, begins = timedelta(), datetime.now(UTC) + timedelta(hours=1)
    freeze = {"starts": f"{begins:%F %R}", "ends": f"{begins + timedelta(days=1):%F %R}", "reason": "payroll"}
    rules = tmp_path / "sync.yaml"
    rules.write_text(json.dumps({"schedule": {"timezone": "UTC", "freezes": [freeze]}}))

    def freezing(settled: int, planned: int) -> None:
        nonlocal ahead
        ahead = timedelta(hours=2)

    world = PushWorld({**box.environment, "SYNC_CONFIG": str(rules)}, clock=lambda: datetime.now(UTC) + ahead)
    with closing(world):
        observed = world.observe("employees")
        plan = world.plan("employees", staff(1, 2, 3), observed)
        asked_at = begins + timedelta(hours=1) if is_meant else datetime.now(UTC)
        pushed = world.push(plan, observed, progress=freezing, asked_at=asked_at, **ONE_AT_A_TIME)
        (session,) = world.ledger.sessions()

    assert Counter(outcomes(pushed).values()) == ({"created": 3} if is_meant else {"created": 1, "not_attempted": 2})
    assert session.status == ("done" if is_meant else "paused")
    assert is_meant or (isinstance(pushed.error, Resting) and "(UTC): payroll" in str(pushed.error))


def test_a_first_load_that_was_cut_short_goes_on_without_a_guard_in_its_way(box: Sandbox, world: PushWorld) -> None:
    given, observed = staff(*range(1, 31)), world.observe("employees")

    def pausing(settled: int, planned: int) -> None:
        if settled == 5:
            world.ledger.pause("nora", "audit")

    world.push(world.plan("employees", given, observed), observed, progress=pausing, **ONE_AT_A_TIME)
    world.ledger.resume("nora")

    assert Counter(outcomes(world.sync("employees", given)).values()) == {"unchanged": 5, "created": 25}
    later = world.plan("employees", staff(*range(1, 72)), world.observe("employees"))
    assert [refused.guard for refused in later.refused] == ["creates"]


def test_a_push_that_breaks_off_leaves_in_the_history_what_it_did(box: Sandbox, world: PushWorld) -> None:
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1, 2, 3), observed)

    def breaking(settled: int, planned: int) -> None:
        if settled == 2:
            raise LedgerUnusable("the disk is full")

    pushed = world.push(plan, observed, progress=breaking, **ONE_AT_A_TIME)

    assert (pushed.result.writes, str(pushed.error)) == (2, "the disk is full")
    (session,) = world.ledger.sessions()
    assert (session.status, session.counts, session.calls) == ("failed", {"created": 2, "not_attempted": 1}, 2)


def test_while_somebody_else_pushes_a_push_is_refused_with_their_name_and_since_when(
    box: Sandbox, world: PushWorld
) -> None:
    lease = world.ledger.acquire_lease(LEASE, "run run-0 on another-host", 60)

    with pytest.raises(LeaseHeld) as refused:
        world.sync("employees", staff(1))

    assert "run run-0 on another-host" in str(refused.value)
    assert lease.since.strftime("%H:%M") in str(refused.value)
    assert writes(box) == []
    world.ledger.release(lease)
    assert outcomes(world.sync("employees", staff(1))) == {"1": "created"}


def test_a_plan_from_a_reading_that_is_too_old_is_refused_before_the_first_write(
    box: Sandbox, world: PushWorld
) -> None:
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1), observed)
    read_at = datetime.fromisoformat(plan.as_of)

    refuse_old(plan, 60, read_at + timedelta(minutes=60))
    with pytest.raises(PlanRefused, match=r"the plan for employees is 61 minutes old, .*, 60 are allowed"):
        refuse_old(plan, 60, read_at + timedelta(minutes=61))
    with pytest.raises(PlanRefused, match="is 1440 minutes old, by the oldest snapshot"):
        refuse_old(replace(plan, oldest=(read_at - timedelta(days=1)).isoformat()), 60, read_at)
    with pytest.raises(PlanRefused):
        world.push(plan, observed, plan_max_age_minutes=-1)
    assert writes(box) == []


def test_a_plan_made_before_a_person_was_protected_is_refused_before_the_first_write(
    box: Sandbox, world: PushWorld, tmp_path: Path
) -> None:
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1), observed)
    rules = tmp_path / "sync.yaml"
    rules.write_text("employees: {protected: [1]}\n")

    with (
        closing(PushWorld({**box.environment, "SYNC_CONFIG": str(rules)})) as later,
        pytest.raises(PlanRefused, match=r"sync\.yaml has changed since the plan for employees was made"),
    ):
        later.push(plan, observed)
    assert writes(box) == []


def test_the_same_plan_pushed_twice_creates_nobody_twice(box: Sandbox, world: PushWorld) -> None:
    """Titles may bear the same name twice: nothing in SafetyAmp would stop the second one."""
    observed = world.observe("titles")
    plan = world.plan("titles", staff(1, udEmpTitle="Welder"), observed)
    world.push(plan, observed)

    again = world.push(plan, observed)

    assert outcomes(again) == {"welder": "unchanged"}
    assert rule(again, "welder") == "SafetyAmp says so already"
    assert len(box.safetyamp.tables()["user_titles"]) == 1


def test_the_same_plan_pushed_again_after_an_unsettled_answer_looks_before_it_creates(box: Sandbox) -> None:
    clock = Clock()
    with closing(PushWorld(box.environment, clock, clock.sleep)) as world:
        observed = world.observe("titles")
        plan = world.plan("titles", staff(1, udEmpTitle="Welder"), observed)
        box.faults.add(FaultRule("cut_after", method="POST"))
        box.faults.add(FaultRule("status", method="GET", status=404))
        world.push(plan, observed)
        box.faults.clear()

        again = world.push(plan, observed)

    assert clock.slept > 30, "until the lost call can act no more"
    assert outcomes(again) == {"welder": "unchanged"}
    assert rule(again, "welder") == "SafetyAmp says so already"
    assert len(box.safetyamp.tables()["user_titles"]) == 1


@pytest.mark.parametrize("acted", [True, False])
def test_a_push_killed_between_intent_and_answer_is_settled_by_the_next(
    acted: bool, box: Sandbox, tmp_path: Path
) -> None:
    given = staff(1)
    box.faults.add(FaultRule("slow_answer" if acted else "delay", method="POST", path_regex="/api/users", delay=600.0))
    process = push_in_a_process(tmp_path, box.environment, given)
    wait_until(lambda: bool(writes(box)) and writes(box)[0].acted is acted)
    process.send_signal(signal.SIGKILL)
    process.wait()
    box.faults.clear()

    later = PushWorld(box.environment, clock=lambda: datetime.now(UTC) + timedelta(hours=1))
    (intent,) = later.ledger.open_intents("employees")
    pushed = later.sync("employees", given)

    assert intent.source_key == "1"
    assert outcomes(pushed) == {"1": "unchanged" if acted else "created"}
    assert set(people(box)) == {"1"}
    assert later.ledger.open_intents("employees") == []
    assert [session.status for session in later.ledger.sessions()] == ["done", "abandoned"]
    assert (later.ledger.sessions()[1].counts, later.ledger.sessions()[1].calls) == ({"failed": 1}, 1)
    later.close()


def push_in_a_process(folder: Path, environment: Mapping[str, str], given: Any) -> subprocess.Popen[bytes]:
    files = folder / "environment.json", folder / "sources.json"
    for file, content in zip(files, (environment, given), strict=True):
        file.write_text(json.dumps(content))
    script = Path(__file__).with_name("push_world.py")
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, str(script), *map(str, files)], env=paths)


def wait_until(condition: Any, seconds: float = 600.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)
