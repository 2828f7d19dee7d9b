"""Clearing: what an empty source does to each field, by its declaration and by sync.yaml, and what the guard holds."""

from __future__ import annotations

from typing import Any

import pytest
from small_worlds import (
    Remembered,
    World,
    account,
    applied,
    company,
    config,
    employee,
    pairs,
    plan_of,
    user,
    verdict,
)

from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.sync.rules.yaml_file import SyncConfigError, parse_sync_config

KNOWN: dict[str, Any] = {"home_site_id": 20, "country": "US", "current_hire_date": "2020-01-06"}
STANDS: dict[str, Any] = {"middle_name": "Ann", "mobile_phone": "+15042345678", "current_title": {"id": 7}}
CLEARS = {"clears": ["title", "middle_name", "mobile"]}
CLEARED = {
    "middle_name": ("Ann", None),
    "mobile_phone": ("+15042345678", None),
    "current_title_id": ("Fitter", None),
}


def staff(people: int = 1, **columns: Any) -> World:
    rows = [employee(n, **{"udEmpTitle": None, "MidName": " ", **columns}) for n in range(1, people + 1)]
    shown = [
        user(f"u{n}", str(n), first_name=f"Nora {n}", email=f"p{n}@example.com", **KNOWN, **STANDS)
        for n in range(1, people + 1)
    ]
    return company(viewpoint__employees=rows, users=shown, entra__users=[account("nobody")])


def rules(**employees: Any) -> SyncConfig:
    return config(employees=employees)


def test_an_empty_source_leaves_what_stands_and_the_plan_says_so() -> None:
    plan = plan_of("employees", staff())

    assert plan.changes == ()
    assert verdict(plan, "1").notes == (
        "Middle name: the source is empty, and what SafetyAmp has stays",
        "Mobile phone: the source is empty, and what SafetyAmp has stays",
        "Title: the source is empty, and what SafetyAmp has stays",
    )


def test_fields_that_sync_yaml_names_are_cleared_and_then_nothing_is_left_to_do() -> None:
    world = staff()
    plan = plan_of("employees", world, rules=rules(**CLEARS))

    assert pairs(plan, "1") == CLEARED
    after = {**world, "users": applied(plan, world)["users"]}
    assert plan_of("employees", after, rules=rules(**CLEARS)).changes == ()


@pytest.mark.parametrize(
    ("pushed", "policy", "cleared"),
    [
        ({}, "source", True),
        ({"middle_name": "Ann"}, "merge", True),
        ({"middle_name": "Other"}, "merge", False),
        ({}, "fill", False),
        ({}, "initial", False),
    ],
)
def test_a_policy_goes_before_clearing(pushed: dict[str, str], policy: str, cleared: bool) -> None:
    found = rules(clears=["middle_name"], policies={"middle_name": policy})

    plan = plan_of("employees", staff(), rules=found, links={"1": Remembered("u1", pushed)})

    assert bool(plan.changes) is cleared
    assert "held" not in str(verdict(plan, "1").outcome) or pushed == {"middle_name": "Other"}


def test_what_cannot_be_read_is_not_empty() -> None:
    world = staff(CellPhone="12", MidName="?" * 3)

    plan = plan_of("employees", world, rules=rules(clears=["mobile"]))

    assert "mobile_phone" not in pairs(plan, "1")


def test_a_source_that_was_not_read_clears_nothing() -> None:
    why = {"entra/users": "it failed", "safetyamp_observed/user_titles": "it failed"}

    plan = plan_of("employees", staff(), rules=rules(**CLEARS), unread=why)

    assert set(pairs(plan, "1")) == {"middle_name"}


def test_what_clears_too_much_at_once_is_held_and_the_rest_goes() -> None:
    world = staff(30)
    world["viewpoint/employees"][29] = employee(30, LastName="New", MidName="Ann")
    links = {str(n): Remembered(f"u{n}") for n in range(1, 31)}
    found = config(employees={"clears": ["middle_name"]}, guards={"concentration": {"share": 1.0}})

    plan = plan_of("employees", world, rules=found, links=links, approved=())

    assert plan.held_by() == {"cleared": 29}
    assert [change.source_key for change in plan.changes] == ["30"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("email", "email (E-mail) is not emptied: SafetyAmp requires it"),
        ("first_name", "first_name (First name) is not emptied: SafetyAmp requires it"),
        ("system_access", "system_access (Access) is not emptied: SafetyAmp requires it"),
        ("nickname", "nickname is not a field of it"),
    ],
)
def test_a_field_that_cannot_be_cleared_is_an_error_of_sync_yaml(name: str, why: str) -> None:
    with pytest.raises(SyncConfigError, match=r"employees\.clears\.0: ") as error:
        parse_sync_config(f"employees: {{clears: [{name}]}}")

    assert why in str(error.value)
    assert "; there are middle_name, mobile_phone," in str(error.value)
