"""Departments become site clusters: root, region, department."""

from __future__ import annotations

import pytest
from small_worlds import (
    CIVIL,
    ROOT,
    SOUTH,
    World,
    change,
    cluster,
    company,
    config,
    department,
    pairs,
    plan_of,
    verdict,
    verdicts,
)

from safetyamp_pipelines.sync.model.errors import PlanRefused


def with_departments(*rows: object, clusters: list[object] | None = None) -> World:
    return company(viewpoint__departments=list(rows), site_clusters=clusters or [ROOT])


def test_a_department_stands_under_its_region_and_the_region_under_the_root() -> None:
    plan = plan_of("departments", with_departments(department("10", "South", Description="Civil works ")))

    assert pairs(plan, "region South") == {
        "external_code": (None, "South"),
        "name": (None, "South"),
        "parent_cluster_id": (None, "Acme"),
        "osha_establishment": (None, 0),
    }
    assert pairs(plan, "10") == {
        "external_code": (None, "10"),
        "name": (None, "10 - Civil works"),
        "parent_cluster_id": (None, "South"),
        "osha_establishment": (None, 0),
    }


def test_clusters_are_recognised_by_code_then_by_name_without_regard_to_case() -> None:
    known = [ROOT, cluster(2, "SOUTH", 1), cluster(3, "Old name", 2, "10")]

    plan = plan_of("departments", with_departments(department("10"), clusters=known))

    assert change(plan, "region South").target_id == 2
    assert pairs(plan, "region South")["external_code"] == (None, "South")
    assert pairs(plan, "10") == {"name": ("Old name", "10 - Department 10")}


def test_a_department_that_moves_to_another_region_is_moved() -> None:
    plan = plan_of("departments", with_departments(department("10", "North"), clusters=[ROOT, SOUTH, CIVIL]))

    assert pairs(plan, "10") == {"parent_cluster_id": ("South", "North")}
    assert change(plan, "region North").wave < change(plan, "10").wave


def test_regions_that_differ_by_case_alone_are_one_under_the_most_frequent_spelling() -> None:
    rows = [department("10", "SOUTH"), department("20", "South"), department("30", "South ")]

    plan = plan_of("departments", with_departments(*rows))

    assert set(verdicts(plan)) == {"region South", "10", "20", "30"}


def test_a_department_without_a_region_is_rejected_with_what_to_fill_in() -> None:
    plan = plan_of("departments", with_departments(department("10", None)))

    assert verdicts(plan) == {"10": "rejected"}
    assert verdict(plan, "10").reasons == ("Region is missing: fill Viewpoint udRegion",)


@pytest.mark.parametrize("name", ["acme", "20"])
def test_a_region_named_like_the_root_or_a_department_rejects_its_departments(name: str) -> None:
    plan = plan_of("departments", with_departments(department("10", name), department("20")))

    assert verdicts(plan) == {"10": "rejected", "20": "created", "region South": "created"}
    assert "rename it in Viewpoint udRegion" in verdict(plan, "10").reasons[0]


def test_a_code_of_two_companies_belongs_to_the_first_of_the_configuration() -> None:
    rows = [department("10", PRCo=1), department("10", PRCo=2)]

    plan = plan_of("departments", with_departments(*rows), rules=config(companies=[2, 1]))

    assert verdicts(plan) == {"10": "created", "1/10": "rejected", "region South": "created"}
    assert "belongs to company 2 already" in verdict(plan, "1/10").reasons[0]


def test_the_cluster_of_a_code_is_that_of_the_company_it_belongs_to() -> None:
    rows = [department("10", PRCo=1), department("10", PRCo=2, Description="Another")]
    world = with_departments(*rows, clusters=[ROOT, SOUTH, CIVIL])

    plan = plan_of("departments", world, rules=config(companies=[1, 2]))

    assert verdicts(plan) == {"10": "unchanged", "2/10": "rejected", "region South": "unchanged"}
    assert plan.changes == ()


def test_the_osha_flag_of_a_cluster_is_never_changed_afterwards() -> None:
    flagged = [ROOT, SOUTH, {**CIVIL, "osha_establishment": 1}]

    assert plan_of("departments", with_departments(department("10"), clusters=flagged)).changes == ()


@pytest.mark.parametrize(
    ("clusters", "name", "found"),
    [([SOUTH], None, 0), ([ROOT, cluster(9, "Other", None)], None, 2), ([ROOT], "Nowhere", 0)],
)
def test_a_root_that_is_not_plain_to_see_refuses_the_plan_and_says_what_to_set(clusters, name, found) -> None:
    rules = config(departments={"root_cluster": name})

    with pytest.raises(PlanRefused, match=f"{found} were found: set departments.root_cluster"):
        plan_of("departments", with_departments(department("10"), clusters=clusters), rules=rules)


def test_of_several_roots_the_configured_one_is_taken() -> None:
    world = with_departments(department("10"), clusters=[ROOT, cluster(9, "Other ", None)])

    plan = plan_of("departments", world, rules=config(departments={"root_cluster": "Other"}))

    assert pairs(plan, "region South")["parent_cluster_id"] == (None, "Other")
