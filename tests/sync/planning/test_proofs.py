"""Plans proved anew: what the planner makes passes, and a plan spoilt by hand is found out, record and field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_worlds import worlds
from small_worlds import World, change, company, config, employee, observed_in, plan_all, plan_of, site, user, verdict

from safetyamp_pipelines.sync.entities.registry import BY_NAME, references
from safetyamp_pipelines.sync.model.plan import Outcome, Plan, Verdict
from safetyamp_pipelines.sync.model.tables import References
from safetyamp_pipelines.sync.planning.expected import expected_references
from safetyamp_pipelines.sync.planning.proofs import (
    allowed_rejections,
    collided,
    common_reasons,
    rejected_of,
    unresolved,
)
from safetyamp_pipelines.sync.rules.limits import RejectedLimits

LIMITS = RejectedLimits(from_records=20, warn=0.2, error=0.5)
RULES = config(companies=[1, 2], vehicles={"default_site": "YARD"})
JOB_SITE = site(30, "Works", 3, "24113.")


def hired(*numbers: int, **tables: Iterable[Any]) -> World:
    people = [employee(number) for number in numbers]
    worked = [{"PRCo": 1, "Employee": number, "JCCo": 1, "Job": "24113."} for number in numbers]
    return company(sites=[JOB_SITE], viewpoint__employees=people, viewpoint__recent_jobs=worked, **tables)


def expected(entity: str, world: World, plans: dict[str, Plan]) -> References:
    return expected_references(observed_in(world), [(BY_NAME[name], plans[name]) for name in BY_NAME[entity].after])


def spoilt(plan: Plan, key: str, **after: Any) -> Plan:
    """The plan with other new values in the fields of one change."""
    one = change(plan, key)
    changed = replace(one, fields={**one.fields, **{name: (None, value) for name, value in after.items()}})
    return replace(plan, changes=tuple(changed if other is one else other for other in plan.changes))


def test_what_the_planner_makes_is_proved() -> None:
    world = hired(101, 102)
    plan, at = plan_of("employees", world), references(observed_in(world))

    assert len(plan.changes) == 2
    assert unresolved(BY_NAME["employees"], plan, at) == {}
    assert collided(BY_NAME["employees"], plan, at) == {}


def test_a_reference_to_what_nobody_has_is_found_by_record_and_field() -> None:
    world = hired(101, 102)
    plan = spoilt(plan_of("employees", world), "102", home_site_id="99999.", current_title_id="Astronaut")

    found = unresolved(BY_NAME["employees"], plan, references(observed_in(world)))

    assert found == {"102": ("Home site", "Title")}


def test_a_reference_may_lead_to_a_record_of_the_same_plan() -> None:
    world = hired(101, 102)
    plan = spoilt(plan_of("employees", world), "102", current_supervisor_id="101")

    assert unresolved(BY_NAME["employees"], plan, references(observed_in(world))) == {}
    without = replace(plan, changes=(change(plan, "102"),), verdicts=())
    assert unresolved(BY_NAME["employees"], without, references(observed_in(world))) == {"102": ("Supervisor",)}


def test_a_record_that_stays_as_it_is_may_stand_in_safetyamp_under_another_key() -> None:
    world = hired(101, 102)
    plan = spoilt(plan_of("employees", world), "102", current_supervisor_id="101")
    kept = Verdict("101", Outcome.UNCHANGED, "recognised by link")

    linked = replace(plan, changes=(change(plan, "102"),), verdicts=(kept,))

    assert unresolved(BY_NAME["employees"], linked, references(observed_in(world))) == {}


def test_two_changes_that_write_one_unique_value_collide_whatever_its_case() -> None:
    world = hired(101, 102)
    plan = spoilt(plan_of("employees", world), "102", email="P101@example.com")

    assert collided(BY_NAME["employees"], plan, references(observed_in(world))) == {
        "101": ("E-mail",),
        "102": ("E-mail",),
    }


def test_a_value_that_stays_with_somebody_else_collides() -> None:
    world = hired(101, users=[user("aB3dE", "7", email="held@example.com")])
    plan = spoilt(plan_of("employees", world), "101", email="held@example.com")

    assert collided(BY_NAME["employees"], plan, references(observed_in(world))) == {"101": ("E-mail",)}


def test_a_value_that_its_holder_gives_up_in_the_same_plan_is_free() -> None:
    holder = user("aB3dE", "101", email="p102@example.com", home_site_id=30)
    world = hired(101, 102, users=[holder])
    plan = plan_of("employees", world)

    assert change(plan, "102").after()["email"] == "p102@example.com"
    assert collided(BY_NAME["employees"], plan, references(observed_in(world))) == {}


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_every_plan_of_any_world_is_proved(world: World) -> None:
    plans = plan_all(world, RULES)
    for entity, plan in plans.items():
        at = expected(entity, world, plans)
        assert unresolved(BY_NAME[entity], plan, at) == {}
        assert collided(BY_NAME[entity], plan, at) == {}


def verdicts_of(**counts: int) -> Plan:
    made = [
        Verdict(f"{name} {place}", Outcome(name), "rule", ("Home site is missing",) if name == "rejected" else ())
        for name, number in counts.items()
        for place in range(number)
    ]
    return Plan("employees", "users", "2026-11-20T10:00:00Z", {}, "", verdicts=tuple(made))


def test_who_is_none_of_safetyamps_business_does_not_count_as_a_record() -> None:
    keys, size = rejected_of(verdicts_of(rejected=2, unchanged=3, out_of_scope=50))
    assert (keys, size) == (("rejected 0", "rejected 1"), 5)


@pytest.mark.parametrize(("size", "allowed"), [(19, (19, 19)), (20, (4, 10)), (1000, (200, 500))])
def test_a_share_is_allowed_from_so_many_records_on(size: int, allowed: tuple[int, int]) -> None:
    assert allowed_rejections(size, LIMITS) == allowed


@given(st.integers(0, 5000))
def test_whoever_is_stopped_was_warned_first(size: int) -> None:
    warn, error = allowed_rejections(size, LIMITS)
    assert 0 <= warn <= error <= size


def test_the_most_frequent_reasons_are_counted() -> None:
    assert list(common_reasons(verdicts_of(rejected=3, unchanged=1))) == [("Home site is missing", 3)]


def test_the_words_of_a_real_rejection_hold_no_value_of_the_person() -> None:
    world = hired(101)
    world["viewpoint/employees"] = [employee(101, LastName=None)]
    plan = plan_of("employees", world)
    assert verdict(plan, "101").outcome is Outcome.REJECTED
    assert "Nora" not in repr(list(common_reasons(plan)))
