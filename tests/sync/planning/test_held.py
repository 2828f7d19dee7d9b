"""A guard holds exactly the changes it is about; the others are pushed, and people approve changes, not plans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from small_worlds import Remembered, account, company, config, department, employee, plan_of, user, verdict, verdicts

from safetyamp_pipelines.sync.model.plan import Action, Plan

GONE = "2026-01-31"
LOOSE = config(guards={"concentration": {"share": 1.0}})


def company_of(people: int, leavers: int, hires: int = 0, **columns: Any) -> Any:
    """So many people with accounts, the first of whom have left, and so many new ones without."""
    rows = [employee(n, TermDate=GONE if n <= leavers else None, **columns) for n in range(1, people + hires + 1)]
    users = [user(f"u{n}", str(n), first_name=f"Nora {n}", email=f"p{n}@example.com") for n in range(1, people + 1)]
    return company(viewpoint__employees=rows, users=users, entra__users=[account("nobody")])


def links(people: int) -> dict[str, Remembered]:
    return {str(n): Remembered(f"u{n}") for n in range(1, people + 1)}


def planned(leavers: int, hires: int = 0, approved: Any = (), **columns: Any) -> Plan:
    world = company_of(60, leavers, hires, **columns)
    return plan_of("employees", world, links=links(60), rules=LOOSE, approved=approved)


def test_thirteen_leavers_wait_and_forty_hires_go() -> None:
    plan = planned(leavers=13, hires=40)

    assert plan.held_by() == {"deactivations": 13}
    assert {change.action for change in plan.changes} >= {Action.CREATE}
    assert not any(change.action is Action.DEACTIVATE for change in plan.changes)
    assert (verdicts(plan)["1"], verdicts(plan)["70"]) == ("held", "created")
    held = verdict(plan, "1")
    assert held.rule == "deactivations"
    assert held.reasons == ("13 of 100 records, at most 10 are allowed [guards.deactivations]",)


def test_an_approval_is_for_those_very_changes_whatever_else_changes() -> None:
    before = planned(leavers=13)
    approved = [held.change.hash for held in before.held if held.change.source_key in ("1", "2")]

    after = planned(leavers=14, hires=3, approved=approved, City="Houma")

    assert {change.source_key for change in after.changes if change.action is Action.DEACTIVATE} == {"1", "2"}
    assert sorted(after.approved.values()) == sorted(approved)
    assert after.held_by() == {"deactivations": 12}


def test_a_plan_has_one_hash_whether_or_not_its_changes_were_looked_at() -> None:
    plan, looked_at = planned(leavers=3), planned(leavers=3)
    assert [change.hash for change in looked_at.changes]

    assert (plan.hash, plan.to_bytes()) == (looked_at.hash, looked_at.to_bytes())


def test_an_approval_of_one_value_is_none_of_another() -> None:
    held = planned(leavers=13).held[0].change

    assert replace(held, fields={"system_access": (1, 1)}).hash != held.hash
    assert replace(held, target_id="other").hash != held.hash
    assert replace(held, wave=7, cause="other words").hash == held.hash


def test_a_whole_set_is_named_by_one_hash_that_other_changes_leave_alone() -> None:
    plan, other = planned(leavers=13), planned(leavers=13, hires=5)

    assert plan.held_hash("deactivations") == other.held_hash("deactivations")
    assert plan.held_hash("deactivations") != planned(leavers=14).held_hash("deactivations")
    done = planned(leavers=13, approved=[held.change.hash for held in plan.held])
    assert (done.held, done.refused, len(done.approved)) == ((), (), 13)


def test_what_counts_on_a_held_creation_does_not_count_on_it() -> None:
    codes = [f"{n}" for n in range(11, 31)]
    world = company(viewpoint__departments=[department("10"), *(department(code, region="North") for code in codes)])
    rules = config(guards={"creates": {"records": 1, "share": 0.01}})
    known = {"10": Remembered(3), "region South": Remembered(2)}

    plan = plan_of("departments", world, links=known, rules=rules, approved=())

    assert plan.changes == ()
    assert set(plan.held_by()) == {"creates"}
    assert verdicts(plan)["region North"] == "held"


def test_a_shrunken_source_holds_what_comes_from_it_and_leavers_go() -> None:
    world = company_of(60, leavers=2, hires=2) | {"entra/users": [account(5, mail="new5@example.com")]}
    rows = {"viewpoint/employees": 62, "viewpoint/recent_jobs": 0, "entra/users": 62}

    plan = plan_of("employees", world, links=links(60), rules=LOOSE, approved=(), source_rows=rows)

    assert {(change.action, change.source_key) for change in plan.changes} >= {
        (Action.DEACTIVATE, "1"),
        (Action.DEACTIVATE, "2"),
    }
    assert {held.change.source_key for held in plan.held} >= {"5", "61", "62"}
    assert {held.guard for held in plan.held} == {"shrunk source"}


def test_a_sick_list_of_people_holds_every_change_of_theirs() -> None:
    rows = {"viewpoint/employees": 600, "entra/users": 1}

    plan = plan_of("employees", company_of(60, 2, 2), links=links(60), rules=LOOSE, approved=(), source_rows=rows)

    assert plan.changes == ()
    assert {held.change.source_key for held in plan.held} >= {"1", "2", "61", "62"}


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 16), st.integers(0, 16), st.sets(st.integers(1, 16)))
def test_every_change_is_pushed_or_held_once_and_none_is_lost(leavers: int, hires: int, chosen: set[int]) -> None:
    whole = planned(leavers, hires, approved=None)
    approved = [change.hash for change in whole.changes if change.source_key in set(map(str, chosen))]

    plan = planned(leavers, hires, approved=approved)

    keys = [*(change.source_key for change in plan.changes), *(held.change.source_key for held in plan.held)]
    assert sorted(keys) == sorted(change.source_key for change in whole.changes)
    assert len(plan.verdicts) == len(whole.verdicts)
    assert Plan.from_bytes(plan.to_bytes()) == plan


def test_one_of_many_held_changes_goes_alone_when_it_is_asked_for() -> None:
    plan = plan_of("employees", company_of(60, 13), links=links(60), rules=LOOSE, approved=(), keys=["7"])

    assert [(change.action, change.source_key) for change in plan.changes] == [(Action.DEACTIVATE, "7")]
    assert (plan.held, plan.refused) == ((), ())
    assert (verdicts(plan)["7"], verdicts(plan)["8"]) == ("deactivated", "not_pushed")


def test_more_changes_than_one_person_may_approve_wait_for_a_second_one() -> None:
    rules = config(guards={"concentration": {"share": 1.0}, "second_person_above": 12})

    def plan(leavers: int, by_one: Any, by_two: Any = ()) -> Plan:
        known = {"links": links(60), "rules": rules, "approved": by_one, "approved_twice": by_two}
        return plan_of("employees", company_of(60, leavers), **known)

    hashes = [held.change.hash for held in plan(13, ()).held]
    once, twice = plan(13, hashes), plan(13, hashes, hashes[:3])

    assert (len(once.held), len(twice.held)) == (13, 10)
    assert "a second one must" in verdict(once, "1").reasons[-1]
    assert "a second one must" not in verdict(plan(13, ()), "1").reasons[-1]
    few = plan(11, [held.change.hash for held in plan(11, ()).held])
    assert few.held == (), "eleven are as many as one may approve"
