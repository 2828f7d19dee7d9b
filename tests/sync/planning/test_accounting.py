"""Verdicts add up to the source records, counted without the planner; what is missing or doubled is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from small_worlds import (
    READ_AT,
    Remembered,
    applied,
    company,
    config,
    department,
    driver,
    employee,
    job,
    plan_all,
    plan_of,
    snapshot,
    vehicle,
)

from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES, references
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Outcome, Plan, Verdict
from safetyamp_pipelines.sync.model.remembered import Memory
from safetyamp_pipelines.sync.planning.proofs import account_of
from safetyamp_pipelines.sync.rules.config import SyncConfig

assert READ_AT.startswith("2026-11-20")
WORLD = company(
    viewpoint__departments=[
        department("10"),
        department(" 20 ", "SOUTH"),
        department("30", None),
        department("10", "North", PRCo=2),
    ],
    viewpoint__jobs=[job("24113.", " 10"), job(" 7", "99"), job("8", JobStatus=3), job("8", JCCo=2)],
    viewpoint__employees=[
        employee(5, udEmpTitle=" Welder "),
        employee(6, udEmpTitle="WELDER", Email=None),
        employee(7, udEmpTitle="Rigger/Driver"),
        employee(8, udEmpTitle="Gone", TermDate="2026-01-31 00:00:00"),
        employee(9, udEmpTitle="  "),
        employee(5, PRCo=2, udEmpTitle=None),
    ],
    samsara__vehicles=[vehicle("v1"), vehicle("v2")],
    samsara__drivers=[driver("d1")],
)
RULES = config(companies=[1, 2], vehicles={"decommission_vanished": True})


def given(entity: str) -> Inputs:
    spec = BY_NAME[entity]
    tables = {name: snapshot(name, WORLD.get(name, ())) for name in spec.sources}
    return Inputs(tables, references({}), Memory(), SyncConfig())


def missing(entity: str, keys: Iterable[str]) -> tuple[str, ...]:
    return account_of(BY_NAME[entity], given(entity), [Verdict(key, Outcome.UNCHANGED, "") for key in keys]).unaccounted


def keys(plan: Plan) -> list[str]:
    return [verdict.source_key for verdict in plan.verdicts]


def test_every_plan_of_a_messy_world_adds_up_before_and_after_it_is_carried_out() -> None:
    first = plan_all(WORLD, RULES)
    later = WORLD
    for plan in first.values():
        later = applied(plan, later)

    for plan in (*first.values(), *plan_all(later, RULES).values()):
        assert plan.unaccounted == (), plan.entity
    # Regions and vanished vehicles have a verdict and are not records; people without a title are no titles either.
    figures = {name: (plan.records, len(plan.verdicts)) for name, plan in first.items()}
    assert figures == {"departments": (4, 5), "jobs": (4, 4), "titles": (2, 2), "employees": (6, 6), "vehicles": (2, 2)}
    assert sorted(keys(first["titles"])) == ["rigger/driver", "welder"]


@pytest.mark.parametrize("entity", [spec.name for spec in ENTITIES])
def test_a_record_without_a_verdict_is_named(entity: str) -> None:
    every = keys(plan_all(WORLD, RULES)[entity])
    own = next(key for key in reversed(every) if not key.startswith("region ") and "/" not in key)

    assert missing(entity, every) == ()
    assert missing(entity, [key for key in every if key != own]) == (own,)
    assert missing(entity, [*every, own]) == (own,)


def test_one_of_two_companies_records_with_one_key_is_missed_too() -> None:
    every = keys(plan_all(WORLD, RULES)["employees"])

    assert {"5", "2/5"} <= set(every) or {"5", "1/5"} <= set(every)
    assert missing("employees", [key for key in every if "/" not in key]) == ("5",)


def test_a_vehicle_that_vanished_has_a_verdict_on_top() -> None:
    world = {**WORLD, "samsara/vehicles": [vehicle("v1")]}

    plan = plan_of("vehicles", world, rules=RULES, links={"v9": Remembered(60)})

    assert keys(plan) == ["v1", "v9"]
    assert plan.unaccounted == ()


def test_it_stays_in_the_stored_plan() -> None:
    plan = replace(plan_of("titles", WORLD), unaccounted=("welder",), revived=("rigger",), mapping_hash="m")

    assert Plan.from_bytes(plan.to_bytes()) == plan
