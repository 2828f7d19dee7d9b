"""What holds for every plan of every entity, in random small worlds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_worlds import worlds
from small_worlds import (
    OBSERVED,
    READ_AT,
    Remembered,
    World,
    applied,
    config,
    observed_in,
    plan_all,
    plan_of,
)

from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Action, Plan
from safetyamp_pipelines.sync.model.remembered import Memory
from safetyamp_pipelines.sync.model.snapshot import Certificate, Record, Snapshot, content_hash
from safetyamp_pipelines.sync.model.tables import at_path, fold
from safetyamp_pipelines.sync.planning.derive import plan_entity
from safetyamp_pipelines.sync.planning.expected import expected_references

RULES = config(companies=[1, 2], vehicles={"default_site": "YARD"})


def in_random_worlds(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


SOURCE_ROWS = {
    "departments": "viewpoint/departments",
    "jobs": "viewpoint/jobs",
    "employees": "viewpoint/employees",
    "vehicles": "samsara/vehicles",
}


@in_random_worlds(25)
@given(worlds())
def test_every_plan_is_complete_and_can_be_pushed(world: World) -> None:
    plans = plan_all(world, RULES)

    for plan in plans.values():
        every_source_record_gets_exactly_one_verdict(plan, world)
        nothing_is_planned_for_what_stays_as_it_is(plan)
        no_record_of_safetyamp_is_given_to_two_source_records(plan)
        a_unique_value_that_is_written_is_nobody_elses_afterwards(plan, world)
        every_change_comes_in_a_wave_after_those_it_needs(plan)
    whatever_a_change_refers_to_is_there_once_the_plans_are_carried_out(plans, world)


def every_source_record_gets_exactly_one_verdict(plan: Plan, world: World) -> None:
    keys = [verdict.source_key for verdict in plan.verdicts]
    assert len(keys) == len(set(keys))
    if plan.entity in SOURCE_ROWS:
        assert len([key for key in keys if not key.startswith("region ")]) == len(world[SOURCE_ROWS[plan.entity]])
    assert {change.source_key for change in plan.changes} <= set(keys)


def nothing_is_planned_for_what_stays_as_it_is(plan: Plan) -> None:
    idle = {"rejected", "held", "unchanged", "out_of_scope", "failed"}
    changed = {change.source_key for change in plan.changes}
    assert not changed & {verdict.source_key for verdict in plan.verdicts if verdict.outcome in idle}
    assert all(verdict.reasons for verdict in plan.verdicts if verdict.outcome == "rejected")


def no_record_of_safetyamp_is_given_to_two_source_records(plan: Plan) -> None:
    changed = [change.target_id for change in plan.changes if change.target_id is not None]
    assert len(changed) == len(set(changed))
    owners = {(change.target_id, change.source_key) for change in plan.changes if change.target_id is not None}
    owners |= {(agreed.target_id, agreed.source_key) for agreed in plan.agreed}
    assert len(owners) == len({target for target, _ in owners})


def a_unique_value_that_is_written_is_nobody_elses_afterwards(plan: Plan, world: World) -> None:
    rows = applied(plan, world)[plan.table]
    for field in (field for field in BY_NAME[plan.entity].fields if field.unique):
        held = Counter(fold(at_path(row, field.name), case=field.fold_case) for row in rows)
        written = [change.after()[field.name] for change in plan.changes if field.name in change.fields]
        assert all(held[fold(value, case=field.fold_case)] == 1 for value in written)


def every_change_comes_in_a_wave_after_those_it_needs(plan: Plan) -> None:
    spec = BY_NAME[plan.entity]
    own = [field.name for field in spec.fields if field.references == spec.table]
    created = {change.natural_key: change.wave for change in plan.changes if change.action is Action.CREATE}
    for change in plan.changes:
        for parent in (change.after()[name] for name in own if name in change.fields):
            assert created.get(parent, -1) < change.wave
    assert [change.wave for change in plan.changes] == sorted(change.wave for change in plan.changes)


def whatever_a_change_refers_to_is_there_once_the_plans_are_carried_out(plans: dict[str, Plan], world: World) -> None:
    after = expected_references(observed_in(world), [(spec, plans[spec.name]) for spec in ENTITIES])
    for entity, plan in plans.items():
        for change in plan.changes:
            for name, value in change.after().items():
                table = BY_NAME[entity].field(name).references
                assert table is None or after[table].id_of(value) is not None


@in_random_worlds(15)
@given(worlds())
def test_a_plan_carried_out_leaves_nothing_to_plan(world: World) -> None:
    for plan in plan_all(world, RULES).values():
        world = applied(plan, world)

    again = plan_all(world, RULES)

    assert {entity: plan.changes for entity, plan in again.items()} == dict.fromkeys(again, ())


@in_random_worlds(10)
@given(worlds())
def test_a_plan_carried_out_and_remembered_leaves_nothing_to_plan(world: World) -> None:
    plans = plan_all(world, RULES)
    links: dict[str, dict[str, Remembered]] = {}
    for entity, plan in plans.items():
        world = applied(plan, world)
        links[entity] = remembered_after(plan)

    for entity in BY_NAME:
        assert plan_of(entity, world, rules=RULES, links=links[entity]).changes == (), entity


@in_random_worlds(10)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_records_decides_nothing(world: World, dice: random.Random) -> None:
    plans = plan_all(world, RULES)
    shuffled = {table: dice.sample(rows, len(rows)) for table, rows in world.items()}

    for entity, plan in plans.items():
        other = plan_in_given_order(entity, shuffled, [plans[name] for name in BY_NAME[entity].after])
        assert replace(other, inputs=plan.inputs) == plan


@in_random_worlds(6)
@given(worlds())
def test_equal_worlds_give_equal_bytes_and_bytes_give_the_plan_back(world: World) -> None:
    again = plan_all(world, RULES)

    for entity, plan in plan_all(world, RULES).items():
        assert plan.to_bytes() == again[entity].to_bytes()
        assert Plan.from_bytes(plan.to_bytes()) == plan
        assert Plan.from_bytes(plan.to_bytes()).hash == plan.hash


@pytest.mark.parametrize("entity", BY_NAME)
def test_an_empty_world_plans_nothing(entity: str) -> None:
    world: World = {"site_clusters": [{"id": 1, "name": "Acme", "parent_cluster_id": None}]}

    assert plan_of(entity, world).verdicts == ()


def remembered_after(plan: Plan) -> dict[str, Remembered]:
    """The links a ledger keeps once the plan was pushed and every field was taken."""
    pushed: dict[str, tuple[Any, dict[str, Any]]] = {}
    for agreed in plan.agreed:
        pushed[agreed.source_key] = (agreed.target_id, dict(agreed.values))
    for change in plan.changes:
        new = f"new:{plan.table}:{change.natural_key}"
        target, values = pushed.get(change.source_key, (change.target_id or new, {}))
        pushed[change.source_key] = (target, values | change.after())
    return {key: Remembered(target, values) for key, (target, values) in pushed.items()}


def plan_in_given_order(entity: str, world: Mapping[str, list[Record]], after: Iterable[Plan]) -> Plan:
    """A plan from snapshots whose records are not sorted, which no reader would make."""
    spec = BY_NAME[entity]
    names = [*spec.sources, *(OBSERVED + table for table in spec.observed)]
    snapshots = {}
    for name in names:
        rows = tuple(world[name.removeprefix(OBSERVED)])
        snapshots[name] = Snapshot(name, rows, Certificate(1, len(rows), len(rows), content_hash(rows), READ_AT))
    expected = expected_references(observed_in(dict(world)), [(BY_NAME[plan.entity], plan) for plan in after])
    return plan_entity(spec, Inputs(snapshots, expected, Memory(), RULES), RULES)
