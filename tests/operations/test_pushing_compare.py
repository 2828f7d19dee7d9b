"""Compare and set: what people do in SafetyAmp between a plan and its push is not overwritten."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from push_world import EMPTY, Clock, PushWorld, fault, outcomes, people, reads, rule, sources, staff, writes
from small_worlds import account, employee

from safetyamp_pipelines.sandbox import Sandbox, TargetOptions

ONE_AT_A_TIME = {"sync_in_flight": 1}


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A SafetyAmp with clusters, yards and roles, and nobody of ours in it."""
    with Sandbox(EMPTY, TargetOptions(calls=100_000)) as box:
        yield box


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(box: Sandbox, clock: Clock) -> Iterator[PushWorld]:
    world = PushWorld(box.environment, clock)
    yield world
    world.close()


def edit(box: Sandbox, number: str, **values: object) -> None:
    box.safetyamp.edit("users", people(box)[number]["id"], **values)


def test_fresh_rows_are_believed_without_a_call(box: Sandbox, world: PushWorld, clock: Clock) -> None:
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1, 2), observed)
    since = len(box.requests())
    clock.pass_minutes(10)

    world.push(plan, observed)

    assert reads(box, since) == 0
    assert len(people(box)) == 2


def test_where_the_rows_are_old_one_look_tells_whose_fields_were_changed_by_hand(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    world.sync("employees", staff(1, 2, 3))
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1, 2, 3, City="Sampleton"), observed)
    edit(box, "1", city="Handville")
    edit(box, "2", street="By hand 1")
    edit(box, "3", city="Sampleton")
    since = len(box.requests())
    clock.pass_minutes(20)

    pushed = world.push(plan, observed)

    assert outcomes(pushed) == {"1": "stale", "2": "updated", "3": "unchanged"}
    assert rule(pushed, "1") == "changed in SafetyAmp since the plan was made: City"
    assert (reads(box, since), len(writes(box, since))) == (1, 1)
    assert {key: row["city"] for key, row in people(box).items()} == {
        "1": "Handville",
        "2": "Sampleton",
        "3": "Sampleton",
    }
    assert people(box)["2"]["street"] == "By hand 1"


def test_what_was_stale_is_planned_anew_by_the_next_run(box: Sandbox, world: PushWorld, clock: Clock) -> None:
    world.sync("employees", staff(1))
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1, City="Sampleton"), observed)
    edit(box, "1", city="Handville")
    clock.pass_minutes(20)
    assert outcomes(world.push(plan, observed)) == {"1": "stale"}

    assert outcomes(world.sync("employees", staff(1, City="Sampleton"))) == {"1": "updated"}
    assert people(box)["1"]["city"] == "Sampleton"


def test_rows_newer_than_the_plan_are_compared_for_nothing(box: Sandbox, world: PushWorld, clock: Clock) -> None:
    world.sync("employees", staff(1, 2))
    plan = world.plan("employees", staff(1, 2, City="Sampleton"), world.observe("employees"))
    edit(box, "1", city="Handville")
    clock.pass_minutes(5)
    newer = world.observe("employees")
    since = len(box.requests())

    pushed = world.push(plan, newer)

    assert outcomes(pushed) == {"1": "stale", "2": "updated"}
    assert reads(box, since) == 0
    assert people(box)["1"]["city"] == "Handville"


def test_whom_another_run_created_since_the_plan_was_made_is_left_to_the_next_run_and_is_no_failure(
    box: Sandbox, world: PushWorld
) -> None:
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1, 2, City="Sampleton"), observed)
    world.sync("employees", staff(1))
    since = len(box.requests())

    pushed = world.push(plan, observed)

    assert outcomes(pushed) == {"1": "skipped", "2": "created"}
    assert "another run wrote it" in rule(pushed, "1")
    assert not pushed.result.has_failed()
    assert len(writes(box, since)) == 1
    assert {change.status for change in world.ledger.changes(source_key="1")} == {"done", "stale"}
    assert outcomes(world.sync("employees", staff(1, 2, City="Sampleton")))["1"] == "updated"


@pytest.mark.parametrize(
    ("by_hand", "label"),
    [({"emp_id": "001", "email": "hand@example.com"}, "Employee number"), ({"email": "P1@example.com"}, "E-mail")],
)
def test_somebody_entered_by_hand_meanwhile_is_not_created_a_second_time(
    by_hand: dict[str, str], label: str, box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1, 2), observed)
    box.safetyamp.insert("users", first_name="Nora 1", last_name="Test", **by_hand)
    clock.pass_minutes(20)

    pushed = world.push(plan, observed)

    assert outcomes(pushed) == {"1": "stale", "2": "created"}
    assert rule(pushed, "1") == f"SafetyAmp has a record with this {label} now"
    world.sync("employees", staff(1, 2))
    ours = [row for row in box.safetyamp.tables()["users"] if row["first_name"] == "Nora 1"]
    assert [(row["emp_id"].lstrip("0"), row["email"].lower()) for row in ours] == [("1", "p1@example.com")]


def test_a_title_entered_by_hand_meanwhile_is_not_created_a_second_time(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    """Nothing in SafetyAmp would stop the second one."""
    given = staff(1, udEmpTitle="Welder")
    observed = world.observe("titles")
    plan = world.plan("titles", given, observed)
    box.safetyamp.insert("user_titles", name="WELDER")
    clock.pass_minutes(20)

    assert outcomes(world.push(plan, observed)) == {"welder": "stale"}
    assert outcomes(world.sync("titles", given)) == {"welder": "unchanged"}
    assert len(box.safetyamp.tables()["user_titles"]) == 1


def test_somebody_whom_safetyamp_no_longer_lists_is_left_alone(box: Sandbox, world: PushWorld, clock: Clock) -> None:
    world.sync("employees", staff(1, 2))
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1, 2, City="Sampleton"), observed)
    box.safetyamp.hide("users", people(box)["1"]["id"])
    since = len(box.requests())
    clock.pass_minutes(20)

    pushed = world.push(plan, observed)

    assert outcomes(pushed) == {"1": "stale", "2": "updated"}
    assert rule(pushed, "1") == "SafetyAmp no longer lists the record"
    assert len(writes(box, since)) == 1


def test_the_same_plan_pushed_again_does_what_is_left_of_it(box: Sandbox, world: PushWorld) -> None:
    world.sync("employees", staff(1, 2))
    observed = world.observe("employees")
    given = staff(1, 2, 3, 4, City="Sampleton")
    plan = world.plan("employees", given, observed)
    since = len(box.requests())

    def pausing(settled: int, planned: int) -> None:
        if settled == 3:
            world.ledger.pause("nora", "audit")

    world.push(plan, observed, progress=pausing, **ONE_AT_A_TIME)
    world.ledger.resume("nora")
    edit(box, "2", city="Handville")

    again = world.push(plan, observed)

    assert outcomes(again) == {"1": "unchanged", "2": "stale", "3": "unchanged", "4": "unchanged"}
    assert len(writes(box, since)) == 3
    assert len(people(box)) == 4


def test_a_push_that_takes_long_looks_again_and_does_not_stumble_over_its_own_writes(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    leads = {1: 2, 2: 1, 3: 1}
    given = sources(
        [employee(n) for n in leads], [account(n, manager={"employeeId": str(b)}) for n, b in leads.items()]
    )
    box.options.supervisor_readable = True
    observed = world.observe("employees")
    plan = world.plan("employees", given, observed)
    since = len(box.requests())

    pushed = world.push(plan, observed, progress=lambda *_: clock.pass_minutes(16), **ONE_AT_A_TIME)

    assert set(outcomes(pushed).values()) == {"created"}
    assert (reads(box, since), len(writes(box, since))) == (3, 4)
    ids = {key: row["id"] for key, row in people(box).items()}
    assert [row["current_supervisor_id"] for row in people(box).values()] == [ids["2"], ids["1"], ids["1"]]


def test_when_the_second_look_fails_nothing_more_is_sent(box: Sandbox, world: PushWorld, clock: Clock) -> None:
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1, 2, 3), observed)
    fault(box, "status", "GET", status=404, times=None)  # an error that is not waited for

    pushed = world.push(plan, observed, progress=lambda *_: clock.pass_minutes(16), **ONE_AT_A_TIME)

    assert outcomes(pushed) == {"1": "created", "2": "not_attempted", "3": "not_attempted"}
    assert "could not be read again" in str(pushed.error)
    assert set(people(box)) == {"1"}
