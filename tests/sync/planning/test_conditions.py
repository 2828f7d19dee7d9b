"""`only` and `except` leave records alone, switches leave kinds of change out, and nobody is switched off for that."""

from __future__ import annotations

from typing import Any

import pytest
from small_worlds import (
    Remembered,
    account,
    change,
    company,
    config,
    department,
    driver,
    employee,
    job,
    pairs,
    plan_of,
    recent_job,
    user,
    vehicle,
    verdict,
    verdicts,
)

from safetyamp_pipelines.sync.entities.employees import SPEC
from safetyamp_pipelines.sync.planning.conditions import rows_in_scope

FIRED = "2026-01-31 00:00:00"


def in_scope(entity: str, world: dict[str, Any], **rules: Any) -> set[str]:
    found = verdicts(plan_of(entity, world, rules=config(**{entity: rules})))
    return {key for key, outcome in found.items() if outcome != "out_of_scope"}


@pytest.mark.parametrize(
    ("rules", "inside"),
    [
        ({"only": {"PRDept": "10"}}, {"5"}),
        ({"only": {"PRDept": 10}}, {"5"}),
        ({"only": {"PRDept": ["10", " 20 "]}}, {"5", "6", "7"}),
        ({"only": {"PRDept": ["10", "20"], "udEmpTitle": "WELDER"}}, {"6"}),
        ({"except": {"udEmpTitle": "welder", "PRDept": "10"}}, {"7"}),
        ({"only": {"PRDept": "20"}, "except": {"Employee": "007"}}, {"6"}),
        ({"only": {"viewpoint/recent_jobs.Job": "24113."}}, {"7"}),
        ({"only": {"entra/users.mail": "six@example.com"}}, {"6"}),
        ({"only": {"PRCo": 2}}, set()),
    ],
)
def test_records_are_in_scope_by_any_column_compared_like_keys(rules: dict[str, Any], inside: set[str]) -> None:
    staff = [employee(5), employee(6, PRDept="20", udEmpTitle="Welder"), employee(7, PRDept=" 20")]
    world = company(
        viewpoint__employees=staff,
        viewpoint__recent_jobs=[recent_job(7, "24113.")],
        entra__users=[account(6, mail="six@example.com")],
    )

    assert in_scope("employees", world, **rules) == inside


def test_every_entity_has_a_scope_and_a_record_of_several_rows_is_in_with_any_of_them() -> None:
    rows = [employee(5), employee(6, PRDept="20"), employee(7, PRDept="20", udEmpTitle="Cook")]
    places = [department("10"), department("20", "North"), department("30", "North")]
    fleet = [vehicle("1", tags=[{"name": "Yard"}]), vehicle("2")]
    world = company(viewpoint__employees=rows, viewpoint__departments=places, samsara__vehicles=fleet)
    world["viewpoint/jobs"] = [job("1."), job("2.", "20")]

    assert in_scope("titles", world, only={"PRDept": "10"}) == {"fitter"}
    assert in_scope("departments", world, only={"PRDept": "30"}) == {"30", "region North"}
    assert in_scope("jobs", world, **{"except": {"Department": "20"}}) == {"1."}
    assert in_scope("vehicles", world, only={"tags": "yard"}) == {"1"}


def test_out_of_scope_is_told_with_its_rule_and_touches_nothing() -> None:
    world = company(
        viewpoint__employees=[employee(5), employee(6, TermDate=FIRED), employee(7)],
        users=[user("u5", "5", first_name="Old"), user("u6", "6")],
    )

    plan = plan_of("employees", world, rules=config(employees={"except": {"PRDept": "10"}}))

    assert (plan.changes, plan.agreed) == ((), ())
    assert verdict(plan, "5").rule == "out of scope by employees.except.PRDept of sync.yaml"
    assert {(found.kind, found.key) for found in plan.findings} == {("leaver_left_on", "6")}
    assert "take the access off by hand" in plan.findings[0].text


def test_leaving_the_scope_switches_nobody_off_and_a_leaver_whom_we_know_is_switched_off_all_the_same() -> None:
    staff = [employee(5, PRDept="20"), employee(6, PRDept="20", TermDate=FIRED)]
    world = company(viewpoint__employees=staff, users=[user("u5", "5"), user("u6", "6")])
    links, rules = {"5": Remembered("u5"), "6": Remembered("u6")}, config(employees={"only": {"PRDept": "10"}})

    plan = plan_of("employees", world, rules=rules, links=links)

    assert verdicts(plan) == {"5": "out_of_scope", "6": "deactivated"}
    assert pairs(plan, "6") == {"system_access": (1, 0)}
    assert rows_in_scope(SPEC, rules.employees, staff, {"6"}) == [staff[1]]


def test_a_scope_that_cannot_be_judged_leaves_the_record_alone() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("u5", "5", first_name="Old")])
    rules = config(employees={"except": {"entra/users.mail": "boss@example.com"}})

    plan = plan_of("employees", world, rules=rules, unread={"entra/users": "AuthRefused"})

    assert verdicts(plan) == {"5": "out_of_scope"}
    assert verdict(plan, "5").rule == "its scope is not known: entra/users was not read (AuthRefused)"
    assert in_scope("vehicles", company(samsara__drivers=[driver("d")], samsara__vehicles=[vehicle("1")])) == {"1"}


@pytest.mark.parametrize(
    ("switch", "skipped"),
    [("create", {"5"}), ("update", {"6", "9"}), ("deactivate", {"7"}), ("reactivate", {"8"}), ("in_sync_all", set())],
)
def test_a_kind_of_change_that_is_switched_off_is_skipped_with_its_rule(switch: str, skipped: set[str]) -> None:
    world = company(
        viewpoint__employees=[employee(5), employee(6), employee(7, TermDate=FIRED), employee(8), employee(9)],
        users=[
            user("u6", "6", first_name="Old"),
            user("u7", "7"),
            user("u8", "8", first_name="Old", system_access=False),
            user("u9", None, email="p9@example.com"),
        ],
    )
    everything = plan_of("employees", world)

    plan = plan_of("employees", world, rules=config(employees={switch: False}))

    assert {key for key, outcome in verdicts(plan).items() if outcome == "skipped"} == skipped
    assert {one.source_key for one in plan.changes} == {one.source_key for one in everything.changes} - skipped
    for key in skipped:
        assert verdict(plan, key).rule.startswith(f"employees.{switch} of sync.yaml is false: ")
    assert [found.kind for found in plan.findings if found.key == "7"] == (
        ["leaver_left_on"] if switch == "deactivate" else []
    )
    if switch == "update":
        assert set(change(plan, "8").fields) == {"system_access"}


def test_nobody_counts_on_a_record_that_is_not_created() -> None:
    staff = [account(6, manager={"employeeId": "5"})]
    world = company(viewpoint__employees=[employee(5), employee(6)], entra__users=staff, users=[user("u6", "6")])

    plan = plan_of("employees", world, rules=config(employees={"create": False}))

    assert "current_supervisor_id" not in pairs(plan, "6")
    assert any("Supervisor '5' is not in SafetyAmp" in note for note in verdict(plan, "6").notes)
