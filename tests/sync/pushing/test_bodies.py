"""Bodies of calls: changed fields in ids, plus what SafetyAmp insists on, and what its answer proves."""

from __future__ import annotations

from typing import Any

import pytest
from small_worlds import CIVIL, FIELD_ROLE, FITTER, ROOT, SOUTH, YARD, change, company, employee, plan_of, user

from safetyamp_pipelines.sync.entities import departments, employees
from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.plan import Action, Change
from safetyamp_pipelines.sync.planning.difference import offered
from safetyamp_pipelines.sync.pushing.bodies import Unresolved, build_body, compare_answer, row_after

TABLES = references(
    {"site_clusters": [ROOT, SOUTH, CIVIL], "sites": [YARD], "user_titles": [FITTER], "roles": [FIELD_ROLE]}
)


def resolve(table: str, key: str) -> Any:
    return TABLES[table].id_of(key)


def update(**after: Any) -> Change:
    fields = {name: (None, value) for name, value in after.items()}
    return Change(Action.UPDATE, "5", "5", "u5", fields, "differs", "hash")


def test_a_create_carries_every_value_with_references_as_ids() -> None:
    hire = change(plan_of("employees", company(viewpoint__employees=[employee(5)])), "5")

    body = build_body(employees.SPEC, hire, None, resolve)

    assert (body["home_site_id"], body["current_title_id"], body["roles"]) == (20, 7, [{"id": 3}])
    assert body["emp_id"] == "5"
    assert None not in body.values()


def test_an_update_carries_the_change_and_what_safetyamp_insists_on_as_it_stands_there() -> None:
    row = user("u5", "5", first_name="As", last_name="Is", email="there@example.com")

    body = build_body(employees.SPEC, update(city="Sampleton"), row, resolve)

    assert body == {"city": "Sampleton", "first_name": "As", "last_name": "Is", "email": "there@example.com"}


def test_a_changed_field_goes_before_what_stands_there() -> None:
    body = build_body(departments.SPEC, update(name="New"), {**CIVIL, "osha_establishment": True}, resolve)

    assert body == {"name": "New", "parent_cluster_id": 2, "osha_establishment": 1}


def test_a_reference_that_is_not_there_names_itself() -> None:
    with pytest.raises(Unresolved, match="Title 'Welder' is not in SafetyAmp"):
        build_body(employees.SPEC, update(current_title_id="Welder"), user("u5", "5"), resolve)


@pytest.mark.parametrize(
    ("name", "after", "answer", "remembered"),
    [
        ("city", "Sampleton", {"city": "Sampleton"}, None),
        ("city", "Sampleton", {"city": None}, offered("Sampleton")),
        ("city", "Sampleton", {}, offered("Sampleton", None)),
        ("system_access", 1, {"system_access": True}, None),
        ("system_access", 1, {"system_access": False}, offered(1)),
        ("current_title_id", "fitter", {"current_title": {"id": 7}}, None),
        ("current_title_id", "fitter", {"current_title": {"id": 8}}, offered("fitter")),
        ("roles", "Field", {"roles": [{"id": 3}]}, None),
        ("current_supervisor_id", "9", {}, offered("9", None)),
    ],
)
def test_an_answer_tells_whether_a_field_was_taken(name: str, after: Any, answer: Any, remembered: str | None) -> None:
    ids = {"current_title_id": 7, "roles": [{"id": 3}], "current_supervisor_id": "boss"}
    body = {name: ids.get(name, after)}

    not_taken, instead = compare_answer(employees.SPEC, update(**{name: after}), body, answer, TABLES)

    assert not_taken == {name: remembered}
    assert list(instead) == ([name] if remembered == offered(after) else [])


def test_the_row_after_a_call_is_what_stood_there_what_was_sent_and_the_answer_on_top() -> None:
    sent = {"city": "Sampleton", "current_title_id": 7, "first_name": "Nora"}

    row = row_after(
        employees.SPEC,
        update(city="Sampleton", current_title_id="Fitter"),
        sent,
        {"id": "u5", "street": "1 Main St", "city": "Old"},
        {"city": "SAMPLETON"},
        "u5",
    )

    assert row == {"id": "u5", "street": "1 Main St", "city": "SAMPLETON", "current_title": {"id": 7}}
