"""Guards: what changes too much at once is refused, with its figures, its records and the key in sync.yaml."""

from __future__ import annotations

from typing import Any

import pytest
from small_worlds import Remembered, account, company, config, employee, plan_of, user

from safetyamp_pipelines.sync.model.plan import Plan

GONE = "2026-01-31"


def guards(plan: Plan) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {refused.guard: (refused.figures, refused.keys) for refused in plan.refused}


def staff(people: int, leavers: int, **columns: Any) -> Any:
    """So many people with accounts, the first of whom have left, each from a department of their own."""
    rows = [left(n) if n <= leavers else employee(n, **columns) for n in range(1, people + 1)]
    return company(viewpoint__employees=rows, users=accounts(people), entra__users=[account("nobody")])


def left(number: int) -> dict[str, Any]:
    return dict(employee(number, TermDate=GONE, PRDept=f"D{number}"))


def accounts(people: int, **columns: Any) -> list[Any]:
    """Accounts that say what Viewpoint says, as far as they say anything."""
    return [
        user(f"u{n}", str(n), first_name=f"Nora {n}", email=f"p{n}@example.com", **columns)
        for n in range(1, people + 1)
    ]


def linked(people: int) -> dict[str, Remembered]:
    return {str(n): Remembered(f"u{n}") for n in range(1, people + 1)}


@pytest.mark.parametrize(("people", "leavers", "refused"), [(60, 10, False), (60, 11, True), (400, 20, False)])
def test_leavers_are_stopped_above_the_larger_of_ten_and_five_percent(people: int, leavers: int, refused: bool) -> None:
    rules = config(guards={"concentration": {"share": 1.0}})

    plan = plan_of("employees", staff(people, leavers), links=linked(people), rules=rules)

    assert ("deactivations" in guards(plan)) is refused
    if refused:
        figures, keys = guards(plan)["deactivations"]
        assert figures == f"{leavers} of {people} records, at most 10 are allowed"
        assert len(keys) == leavers


def test_a_wiped_department_is_caught_although_it_is_a_small_part_of_the_whole() -> None:
    rows = [employee(n, PRDept="30" if n <= 6 else "10", TermDate=GONE if n <= 4 else None) for n in range(1, 201)]
    world = company(viewpoint__employees=rows, users=accounts(200), entra__users=[account("nobody")])

    plan = plan_of("employees", world, links=linked(200), rules=config())

    figures, keys = guards(plan)["deactivations in one place"]
    assert figures.startswith("4 of the 6 people of department 30")
    assert keys == ("1", "2", "3", "4")


def test_the_first_load_may_create_as_many_as_it_likes_and_later_ones_as_many_as_there_are() -> None:
    newcomers = [employee(n) for n in range(1, 41)]
    world = company(viewpoint__employees=newcomers, users=accounts(1), entra__users=[account("nobody")])

    first = plan_of("employees", world)
    later = plan_of("employees", world, links=linked(1))

    assert "creates" not in guards(first)
    assert guards(later)["creates"][0] == "39 of 1 records, at most 10 are allowed"


def test_one_name_written_over_many_is_a_sick_source() -> None:
    people = 30
    plan = plan_of("employees", staff(people, 0, LastName="Null"), links=linked(people), rules=config())

    assert guards(plan)["same value"][0] == "30 records get the same Last name, at most 10"
    assert "Null" not in str(plan.refused)


def test_overwriting_more_than_half_is_stopped_and_filling_what_is_empty_is_not() -> None:
    people = 30
    filled = plan_of("employees", staff(people, 0, City="Sampleton"), links=linked(people), rules=config())
    elsewhere = {**staff(people, 0, City="Sampleton"), "users": accounts(people, city="Elsewhere")}
    overwritten = plan_of("employees", elsewhere, links=linked(people), rules=config())

    assert len(filled.changes) == people
    assert "updates" not in guards(filled)
    assert guards(overwritten)["updates"][0] == "30 of 30 records, at most 15 are allowed"


@pytest.mark.parametrize(("before", "refused"), [(12, False), (13, True)])
def test_a_source_that_lost_a_fifth_of_its_rows_since_the_last_push_is_not_believed(before: int, refused: bool) -> None:
    rows = {"viewpoint/employees": before, "viewpoint/recent_jobs": 0, "entra/users": 1}

    plan = plan_of("employees", staff(10, 0), links=linked(10), source_rows=rows)

    assert ("shrunk source" in guards(plan)) is refused


def test_a_source_whose_size_nobody_knows_is_not_believed_save_on_the_first_load() -> None:
    world = staff(10, 2, LastName="New") | {"entra/users": [account(5, mail="new5@example.com")]}
    rows = {"viewpoint/employees": 10, "viewpoint/recent_jobs": 0}

    plan = plan_of("employees", world, links=linked(10), source_rows=rows, approved=())
    first = plan_of("employees", world, links=linked(10), source_rows=rows, approved=(), is_loaded=False)

    assert plan.held_by() == {"no history": 1}
    assert guards(plan)["no history"] == (
        "entra/users has 1 rows, and its earlier size is unknown, so it may have shrunk",
        ("5",),
    )
    assert "entra/users" not in plan.source_rows
    assert (first.held, first.source_rows["entra/users"]) == ((), 1)


def test_an_approval_of_what_an_unknown_source_says_is_its_history() -> None:
    world = staff(10, 0) | {"entra/users": [account(5, mail="new5@example.com")]}
    rows = {"viewpoint/employees": 10, "viewpoint/recent_jobs": 0}
    held = plan_of("employees", world, links=linked(10), source_rows=rows, approved=()).held

    approved = plan_of(
        "employees", world, links=linked(10), source_rows=rows, approved=[one.change.hash for one in held]
    )
    idle = plan_of("employees", staff(10, 0), links=linked(10), source_rows=rows, approved=())

    assert (approved.held, approved.source_rows["entra/users"]) == ((), 1)
    assert (idle.held, idle.source_rows["entra/users"]) == ((), 1)


def test_a_source_without_a_row_is_not_believed_even_the_first_time() -> None:
    plan = plan_of("employees", company(viewpoint__employees=[], entra__users=[]))

    assert sorted(refused.figures for refused in plan.refused) == [
        "entra/users has no rows",
        "viewpoint/employees has no rows",
    ]


def test_the_refusal_says_what_to_look_at_and_how_to_overrule_it() -> None:
    plan = plan_of("employees", staff(60, 11), links=linked(60), rules=config(guards={"concentration": {"share": 1.0}}))

    text = str(plan.refusal())

    assert "deactivations: 11 of 60 records" in text
    assert "[guards.deactivations]" in text
    assert "safetyamp plan employees" in text
    assert f"safetyamp approve {plan.hash[:12]}" in text
