"""The expected state: what later plans see of plans that were not carried out yet."""

from __future__ import annotations

import copy

from small_worlds import CIVIL, ROOT, applied, company, department, employee, job, observed_in, plan_all, plan_of, user

from safetyamp_pipelines.sync.entities.employees import SPEC as EMPLOYEES
from safetyamp_pipelines.sync.entities.jobs import SPEC as JOBS
from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.planning.expected import apply_plan, expected_references, new_id


def test_a_job_of_a_new_department_is_planned_before_either_exists() -> None:
    world = company(
        site_clusters=[ROOT], sites=[], viewpoint__departments=[department("20")], viewpoint__jobs=[job("1.", "20")]
    )

    plans = plan_all(world)

    assert plans["jobs"].changes[0].after()["cluster_id"] == "20"


def test_rows_yet_to_be_created_have_ids_of_their_own_and_their_references_lead_to_each_other() -> None:
    world = company(viewpoint__jobs=[job("1.")])

    rows = applied(plan_of("jobs", world), world)["sites"]

    assert rows[-1]["id"] == new_id("sites", "1.")
    assert rows[-1]["cluster_id"] == CIVIL["id"]


def test_values_are_written_where_safetyamp_shows_them() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("u5", "5")])

    found = applied(plan_of("employees", world), world)["users"][0]

    assert found["current_title"] == {"id": 7}
    assert found["first_name"] == "Nora 5"
    assert "current_title_id" not in found


def test_the_observed_rows_stay_as_they_were() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("u5", "5")])
    before = copy.deepcopy(world)

    applied(plan_of("employees", world), world)

    assert world == before


def test_a_change_without_effect_on_other_tables_leaves_them_alone() -> None:
    world = company(viewpoint__jobs=[job("1.")])
    plan = plan_of("jobs", world)

    expected = expected_references(observed_in(world), [(JOBS, plan)])

    assert expected["sites"].id_of("1.") == new_id("sites", "1.")
    assert expected["site_clusters"].rows == references(observed_in(world))["site_clusters"].rows


def test_a_record_of_two_changes_ends_with_both() -> None:
    managers = [{"id": f"e{n}", "employeeId": str(n), "manager": {"employeeId": str(3 - n)}} for n in (1, 2)]
    world = company(viewpoint__employees=[employee(1), employee(2)], entra__users=managers)
    plan = plan_of("employees", world)

    rows = {row["emp_id"]: row for row in apply_plan(EMPLOYEES, plan, [], references(observed_in(world)))}

    assert {key: row["current_supervisor"]["id"] for key, row in rows.items()} == {
        "1": new_id("users", "2"),
        "2": new_id("users", "1"),
    }
