"""A plan of some keys: exactly their changes, the same verdicts for what needs none, and guards that judge it anew."""

from __future__ import annotations

from typing import Any

import pytest
from small_worlds import Remembered, World, account, company, config, employee, plan_of, user, verdicts

from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import Plan


def plan_only(world: World, *keys: str, **options: Any) -> Plan:
    """The plan for these employees alone."""
    return plan_of("employees", world, keys=keys, **options)


def staff() -> World:
    """Two to hire, one who left, one to be renamed, and one who cannot be synced."""
    people = [
        employee(1),
        employee(2),
        employee(3, TermDate="2026-01-01"),
        employee(4, FirstName="Renamed"),
        employee(5, Email=None),
    ]
    users = [user("u3", "3"), user("u4", "4")]
    return company(viewpoint__employees=people, users=users, entra__users=[account(9)])


def test_only_the_records_named_are_changed_and_the_rest_is_not_pushed_or_as_it_was() -> None:
    whole, plan = plan_of("employees", staff()), plan_only(staff(), "2")

    assert [change.source_key for change in plan.changes] == ["2"]
    assert plan.changes[0] == next(change for change in whole.changes if change.source_key == "2")
    assert verdicts(plan) == {
        "1": "not_pushed",
        "2": "created",
        "3": "not_pushed",
        "4": "not_pushed",
        "5": "rejected",
    }
    assert sum(plan.counts().values()) == sum(whole.counts().values())


def test_it_is_a_plan_of_its_own() -> None:
    whole, plan = plan_of("employees", staff()), plan_only(staff(), "2")

    assert plan.hash != whole.hash
    assert (plan.only, whole.only) == (("2",), ())
    assert Plan.from_bytes(plan.to_bytes()) == plan
    # Nothing that a later whole plan compares with is touched: rows of the sources, values of other records.
    assert plan.source_rows == {}
    assert {agreed.source_key for agreed in plan.agreed} <= {"2"}


def test_a_record_that_needs_no_change_is_a_plan_without_changes() -> None:
    plan = plan_only(staff(), "5")

    assert plan.changes == ()
    assert verdicts(plan)["5"] == "rejected"


def test_a_key_that_is_no_record_is_refused_with_where_to_ask() -> None:
    with pytest.raises(PlanRefused, match="no employee has the key 77: `safetyamp explain employee 77` shows why"):
        plan_only(staff(), "2", "77")


def test_guards_judge_what_would_be_pushed() -> None:
    rules = config(guards={"deactivations": {"records": 1, "share": 0.01}})
    leavers = [employee(number, TermDate="2026-01-01") for number in range(1, 8)]
    users = [user(f"u{number}", str(number)) for number in range(1, 8)]
    world = company(viewpoint__employees=leavers, users=users, entra__users=[account(9)])

    assert "deactivations" in [refused.guard for refused in plan_of("employees", world, rules=rules).refused]
    assert plan_only(world, "3", rules=rules).refused == ()
    assert [found.keys for found in plan_only(world, "3", "4", rules=rules).refused] == [("3", "4")]


def test_a_sick_source_refuses_one_record_as_it_refuses_all() -> None:
    plan = plan_only(staff(), "2", source_rows={"viewpoint/employees": 500})

    assert [refused.guard for refused in plan.refused] == ["shrunk source"]


def test_records_tried_before_the_first_load_do_not_make_the_load_a_mass_hire() -> None:
    people, users = [employee(number) for number in range(1, 41)], [user("u1", "1")]
    world = company(viewpoint__employees=people, users=users, entra__users=[account(9)])
    links = {"1": Remembered("u1")}

    tried = plan_of("employees", world, links=links, is_loaded=False)
    loaded = plan_of("employees", world, links=links, is_loaded=True)

    assert tried.refused == ()
    assert [refused.guard for refused in loaded.refused] == ["creates"]


def test_who_waits_for_another_record_of_the_plan_is_not_pushed_alone() -> None:
    managers = [account(1, manager={"employeeId": "2"}), account(2)]
    world = company(viewpoint__employees=[employee(1), employee(2)], entra__users=managers)

    with pytest.raises(PlanRefused, match="employee 1 cannot be pushed alone: it waits for 2"):
        plan_only(world, "1")
    assert [change.source_key for change in plan_only(world, "1", "2").changes] == ["2", "1"]
    assert [change.source_key for change in plan_only(world, "2").changes] == ["2"]


def test_who_takes_an_address_that_another_gives_up_is_not_pushed_alone() -> None:
    people = [employee(1, Email="old.of2@example.net"), employee(2, Email="new@example.net")]
    users = [user("u2", "2", email="Old.of2@example.net")]
    world = company(viewpoint__employees=people, users=users)

    with pytest.raises(PlanRefused, match="employee 1 cannot be pushed alone: it waits for 2"):
        plan_only(world, "1")
