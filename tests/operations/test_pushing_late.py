"""Late arrivals: SafetyAmp acts on a call after its answer was lost, or after the process that sent it has died."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from push_world import EMPTY, Clock, PushWorld, fault, outcomes, people, reads, rule, sources, staff, writes
from small_worlds import account, employee

from safetyamp_pipelines.sandbox import FaultRule, Sandbox, TargetOptions
from safetyamp_pipelines.sync.model.errors import PlanRefused

WELDER = staff(1, udEmpTitle="Welder")
"""Titles may stand twice: nothing in SafetyAmp would stop a second one."""
LATE = 2.0
"""Seconds: `target.late_arrival_seconds` of the sandbox."""


class Died(BaseException):
    """The process ended here."""


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A SafetyAmp with clusters, yards, roles and a title, and nobody of ours in it."""
    with Sandbox(EMPTY, TargetOptions(calls=100_000)) as box:
        box.safetyamp.insert("user_titles", name="Fitter")
        yield box


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(box: Sandbox, clock: Clock) -> Iterator[PushWorld]:
    world = PushWorld(box.environment, clock, clock.sleep)
    yield world
    world.close()


def lose(box: Sandbox) -> None:
    """The next create never reaches SafetyAmp, as far as anybody can tell."""
    box.faults.add(FaultRule("cut_before", system="safetyamp", method="POST"))


def arrive(box: Sandbox) -> None:
    """It does, after all."""
    box.safetyamp.insert("user_titles", name="Welder")


def titles(box: Sandbox) -> list[str]:
    return [row["name"] for row in box.safetyamp.tables()["user_titles"]]


def once(act: Callable[[], object], clock: Clock) -> Callable[[float], None]:
    """A sleep during which something happens, the first time."""
    waiting = [act]

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if waiting:
            waiting.pop()()

    return sleep


def die_waiting(box: Sandbox, world: PushWorld) -> None:
    """A run whose create is lost, and which dies while it waits."""

    def dies() -> None:
        raise Died

    lose(box)
    world.sleep = once(dies, Clock())
    with pytest.raises(Died):
        world.sync("titles", WELDER)


def test_a_lost_create_that_arrives_while_the_push_waits_is_done_and_never_sent_again(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    lose(box)
    world.sleep = once(lambda: arrive(box), clock)

    first, second = world.sync("titles", WELDER), world.sync("titles", WELDER)

    assert outcomes(first) == {"welder": "created"}
    assert rule(first, "welder") == "the answer was lost; a fresh read shows it was done"
    assert outcomes(second) == {"welder": "unchanged"}
    assert titles(box) == ["Fitter", "Welder"]


def test_a_lost_create_counts_as_not_done_only_after_it_had_time_to_arrive_and_one_more_look(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    lose(box)
    since = len(box.requests())

    first = world.sync("titles", WELDER)

    assert outcomes(first) == {"welder": "failed"}
    assert rule(first, "welder") == "the answer was lost; a fresh read shows it was not done"
    assert 0 < clock.slept <= LATE
    assert reads(box, since, "user_titles") == 2
    assert outcomes(world.sync("titles", WELDER)) == {"welder": "created"}
    assert titles(box) == ["Fitter", "Welder"]


def test_a_pause_while_the_push_waits_leaves_the_intent_open_and_the_next_push_goes_on_waiting(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    lose(box)
    world.sleep = once(lambda: world.ledger.pause("nora", "audit"), clock)

    paused = world.sync("titles", WELDER)

    assert outcomes(paused) == {"welder": "failed"}
    assert rule(paused, "welder") == "the answer was lost; the next run looks it up"
    assert isinstance(paused.error, PlanRefused)
    assert len(world.ledger.open_intents("titles")) == 1
    world.ledger.resume("nora")
    world.sleep = once(lambda: arrive(box), clock)
    assert outcomes(world.sync("titles", WELDER)) == {"welder": "unchanged"}
    assert world.ledger.open_intents("titles") == []
    assert titles(box) == ["Fitter", "Welder"]


def test_what_a_dead_process_sent_may_arrive_while_the_next_run_waits_for_it(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    die_waiting(box, world)
    since = len(box.requests())
    world.sleep = once(lambda: arrive(box), clock)

    pushed = world.sync("titles", WELDER)

    assert outcomes(pushed) == {"welder": "unchanged"}
    assert rule(pushed, "welder") == "SafetyAmp says so already"
    assert writes(box, since) == []
    assert titles(box) == ["Fitter", "Welder"]
    assert world.ledger.open_intents("titles") == []


def test_what_a_dead_process_sent_and_never_arrives_is_sent_again_by_the_next_run(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    die_waiting(box, world)
    world.sleep = clock.sleep

    assert outcomes(world.sync("titles", WELDER)) == {"welder": "created"}
    # It may have waited for the budget before it was sent, and then have been late.
    assert clock.slept > LATE + world.settings.api_rate_limit_period - 5
    assert titles(box) == ["Fitter", "Welder"]


@pytest.mark.parametrize("has_arrived", [True, False])
def test_an_hour_later_nothing_is_waited_for_and_nothing_read_twice(
    has_arrived: bool, box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    die_waiting(box, world)
    if has_arrived:
        arrive(box)
    world.close()
    clock.pass_minutes(60)
    since = len(box.requests())

    with closing(PushWorld(box.environment, clock, clock.sleep)) as later:
        pushed = later.sync("titles", WELDER)

    assert outcomes(pushed) == {"welder": "unchanged" if has_arrived else "created"}
    assert clock.slept == 0
    assert reads(box, since, "user_titles") == 1
    assert titles(box) == ["Fitter", "Welder"]


def test_an_update_is_awaited_too_so_that_what_is_said_of_it_is_true(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    world.sync("employees", staff(1))
    fault(box, "cut_before", "PATCH")
    world.sleep = once(lambda: box.safetyamp.edit("users", people(box)["1"]["id"], city="Sampleton"), clock)

    pushed = world.sync("employees", staff(1, City="Sampleton"))

    assert outcomes(pushed) == {"1": "updated"}
    assert outcomes(world.sync("employees", staff(1, City="Sampleton"))) == {"1": "unchanged"}
    assert world.ledger.links("employees")["1"].pushed["city"] == "Sampleton"


def test_a_lost_update_of_what_safetyamp_does_not_show_is_sent_again(box: Sandbox, world: PushWorld) -> None:
    """A row that shows none of the fields proves nothing: taken for done, they would be lost for ever."""

    two = [employee(1), employee(2)]
    world.sync("employees", sources(two))
    given = sources(two, [account(1, manager={"employeeId": "2"})])
    fault(box, "cut_before", "PATCH")

    assert outcomes(world.sync("employees", given))["1"] == "failed"
    assert outcomes(world.sync("employees", given))["1"] == "updated"
    assert people(box)["1"]["current_supervisor_id"] == people(box)["2"]["id"]
