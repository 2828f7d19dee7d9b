"""Waves: what a change needs comes before it, what is urgent goes first, and rings are cut at a reference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_worlds import ROOT, Refusal, World, account, change, company, department, employee, plan_of, user

from safetyamp_pipelines.sync.entities.employees import SPEC
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import Action, Change, payload_hash
from safetyamp_pipelines.sync.planning.waves import in_waves, rings_of, urgency

KEYS = [str(number) for number in range(1, 8)]


def hire(key: str, supervisor: str | None) -> Change:
    fields = {"emp_id": (None, key)} | ({"current_supervisor_id": (None, supervisor)} if supervisor else {})
    after = {name: value for name, (_, value) in fields.items()}
    return Change(Action.CREATE, key, key, None, fields, "is new", payload_hash("employees", Action.CREATE, after))


def managed_by(supervisors: dict[int, int]) -> World:
    managers = [account(number, manager={"employeeId": str(boss)}) for number, boss in supervisors.items()]
    return company(viewpoint__employees=[employee(number) for number in supervisors], entra__users=managers)


def test_a_region_comes_before_its_departments() -> None:
    world = company(site_clusters=[ROOT], viewpoint__departments=[department("10"), department("20")])

    plan = plan_of("departments", world)

    assert [(found.source_key, found.wave) for found in plan.changes] == [("region South", 0), ("10", 1), ("20", 1)]


def test_leavers_go_first_then_hires_then_moves_then_cosmetics() -> None:
    sources = [employee(1, City="Houma"), employee(2), employee(3), employee(4, TermDate="2026-01-01"), employee(5)]
    home = {"first_name": "Nora 1", "email": "p1@example.com", "home_site_id": 20}
    users = [user("u1", "1", **home), user("u2", "2"), user("u4", "4"), user("u5", "5", system_access=False)]

    plan = plan_of("employees", company(viewpoint__employees=sources, users=users))

    assert [(found.source_key, found.action, found.wave) for found in plan.changes] == [
        ("4", "deactivate", 0),
        ("3", "create", 1),
        ("5", "reactivate", 1),
        ("2", "update", 2),
        ("1", "update", 3),
    ]


def test_an_address_that_a_hire_needs_is_set_free_before_other_moves() -> None:
    sources = [employee(1, Email="new@example.com"), employee(2), employee(3, Email="p1@example.com")]
    users = [
        user("u1", "1", first_name="Nora 1", email="p1@example.com", home_site_id=20),
        user("u2", "2", first_name="Nora 2", email="p2@example.com"),
    ]

    plan = plan_of("employees", company(viewpoint__employees=sources, users=users))

    assert [(found.source_key, found.action, found.wave) for found in plan.changes] == [
        ("1", "update", 0),
        ("3", "create", 1),
        ("2", "update", 2),
    ]


def test_a_supervisor_is_hired_before_those_who_are_led() -> None:
    plan = plan_of("employees", managed_by({1: 2, 2: 3, 3: 9}))

    assert [(found.source_key, found.wave) for found in plan.changes] == [("3", 0), ("2", 1), ("1", 2)]


def test_a_supervisor_who_is_linked_in_the_same_push_goes_before_those_who_are_led() -> None:
    """Until the account bears the number, nothing in SafetyAmp can be referred to by it."""
    world = company(
        viewpoint__employees=[employee(1), employee(2)],
        entra__users=[account(1, manager={"employeeId": "2"}), account(2)],
        users=[user("u2", None, email="p2@example.com")],
    )

    plan = plan_of("employees", world)

    assert [(found.source_key, found.action, found.wave) for found in plan.changes] == [
        ("2", "link", 0),
        ("1", "create", 1),
    ]
    with pytest.raises(PlanRefused, match="employee 1 cannot be pushed alone: it waits for 2"):
        plan_of("employees", world, keys=("1",))


def test_two_who_supervise_each_other_are_hired_without_one_of_the_links_which_follows() -> None:
    plan = plan_of("employees", managed_by({1: 2, 2: 1}))

    assert [(found.source_key, found.action, found.wave) for found in plan.changes] == [
        ("1", "create", 0),
        ("2", "create", 1),
        ("1", "update", 2),
    ]
    first, _, second = plan.changes
    assert "current_supervisor_id" not in first.fields
    assert second.fields == {"current_supervisor_id": (None, "2")}
    assert second.cause == "Supervisor is new too, so it follows in a second wave"


def test_a_hire_cut_from_a_ring_is_still_known_by_the_hash_of_the_whole_when_it_is_refused() -> None:
    world = managed_by({1: 2, 2: 1})
    refused = change(plan_of("employees", world), "1")

    again = plan_of("employees", world, failures={"1": Refusal(refused.payload_hash)})

    assert [found.source_key for found in again.changes] == ["2"]


def test_nobody_supervises_themselves() -> None:
    plan = plan_of("employees", managed_by({1: 1}))

    assert "current_supervisor_id" not in plan.changes[0].fields


@given(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(KEYS)))
def test_every_hire_is_written_once_whole_whatever_the_rings(supervisors: dict[str, str]) -> None:
    hires = [hire(key, supervisors.get(key) if supervisors.get(key) != key else None) for key in KEYS]

    ordered = in_waves(SPEC, hires, {})

    wave = {found.source_key: found.wave for found in ordered if found.action is Action.CREATE}
    assert len(wave) == len(hires)
    whole: dict[str, dict[str, object]] = {}
    for found in ordered:
        assert not whole.get(found.source_key, {}).keys() & found.fields.keys()
        whole.setdefault(found.source_key, {}).update(found.after())
        assert wave.get(str(found.after().get("current_supervisor_id")), -1) < found.wave
    assert whole == {found.source_key: found.after() for found in hires}


@st.composite
def plans(draw: Any) -> tuple[list[Change], dict[str, set[str]]]:
    """Changes of every urgency, new people under supervisors, and values that are passed on; no ring over values."""
    changes, waits_for = [], dict[str, set[str]]()
    for place, key in enumerate(KEYS):
        action = draw(st.sampled_from([Action.DEACTIVATE, Action.CREATE, Action.UPDATE, Action.REACTIVATE]))
        touched = draw(st.sampled_from(["home_site_id", "city"])) if action is Action.UPDATE else "system_access"
        if action is Action.CREATE:
            changes.append(hire(key, draw(st.sampled_from([None, *KEYS[:place]]))))
        else:
            changes.append(Change(action, key, key, f"u{key}", {touched: (0, 1)}, "differs", key))
        waits_for[key] = draw(st.sets(st.sampled_from(KEYS[:place]), max_size=2)) if place else set()
    return changes, waits_for


@given(plans())
def test_only_what_somebody_more_urgent_needs_goes_before_what_is_more_urgent(
    given_plan: tuple[list[Change], dict[str, set[str]]],
) -> None:
    changes, waits_for = given_plan

    ordered = {found.source_key: found for found in in_waves(SPEC, changes, waits_for)}

    needs = {key: set(waits_for.get(key, ())) for key in ordered}
    for key, found in ordered.items():
        boss = str(found.after().get("current_supervisor_id"))
        needs[key] |= {boss} if boss in ordered and ordered[boss].action is Action.CREATE else set()
    assert all(ordered[other].wave < ordered[key].wave for key in needs for other in needs[key])
    for late in ordered.values():
        for early in ordered.values():
            if early.wave < late.wave and urgency(SPEC, early) > urgency(SPEC, late):
                waiting = {key for key in needs if urgency(SPEC, ordered[key]) <= urgency(SPEC, late)}
                assert early.source_key in needed_by(waiting, needs)


def needed_by(waiting: set[str], needs: dict[str, set[str]]) -> set[str]:
    """Everything that these need, over however many steps."""
    found, todo = set[str](), list(waiting)
    while todo:
        todo += (new := needs[todo.pop()] - found)
        found |= new
    return found


@given(st.dictionaries(st.sampled_from(KEYS), st.sets(st.sampled_from(KEYS), max_size=3)))
def test_rings_are_found_whole_and_nothing_else_is(waits_for: dict[str, set[str]]) -> None:
    def reaches(start: str, goal: str) -> bool:
        seen, todo = set(), [start]
        while todo:
            for other in waits_for.get(todo.pop(), ()):
                if other == goal:
                    return True
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return False

    on_a_ring = {key for key in waits_for if reaches(key, key)}

    rings = rings_of(waits_for)
    assert set().union(*rings) <= on_a_ring
    assert bool(rings) == bool(on_a_ring)


def test_the_same_rings_are_cut_at_the_same_place_in_every_process() -> None:
    """Sets of text have another order in every process; a plan must not show it."""
    script = (
        "from test_waves import managed_by, plan_of\n"
        "ring = {1: 2, 2: 3, 3: 1, 4: 5, 5: 4, 6: 3}\n"
        "print(plan_of('employees', managed_by(ring)).hash)"
    )

    running = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    answers = [process.communicate(timeout=900)[0] for process in running]

    assert answers[0] == answers[1] != ""
