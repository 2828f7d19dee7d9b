"""Open jobs become sites."""

from __future__ import annotations

import pytest
from small_worlds import (
    YARD,
    Remembered,
    World,
    change,
    company,
    config,
    job,
    pairs,
    plan_of,
    site,
    verdict,
    verdicts,
)


def with_jobs(*rows: object, **tables: list[object]) -> World:
    return company(viewpoint__jobs=list(rows), **tables)


def test_an_open_job_becomes_a_site_with_its_key_verbatim() -> None:
    address = {"ShipAddress": "1 Main St ", "ShipCity": "Sampleton", "ShipState": "la", "ShipZip": "01234"}

    plan = plan_of("jobs", with_jobs(job("24113.   ", Description=" Bridge ", **address)))

    assert pairs(plan, "24113.") == {
        "ext_id": (None, "24113."),
        "name": (None, "24113. - Bridge"),
        "cluster_id": (None, "10"),
        "street": (None, "1 Main St"),
        "city": (None, "Sampleton"),
        "state": (None, "LA"),
        "zip_code": (None, "01234"),
        "country": (None, "US"),
        "timezone": (None, "America/Chicago"),
    }


def test_a_leading_blank_is_part_of_a_key() -> None:
    assert change(plan_of("jobs", with_jobs(job(" 2411."))), " 2411.").after()["ext_id"] == " 2411."


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"JobStatus": 0}, "the job is pending; its site, if any, stays"),
        ({"JobStatus": 2}, "the job is soft closed; its site, if any, stays"),
        ({"JobStatus": 3}, "the job is hard closed; its site, if any, stays"),
        ({"JobStatus": 9}, "the job is in status 9; its site, if any, stays"),
        ({"PCVisibleInJC": "N"}, "a potential project, not yet a job"),
    ],
)
def test_a_job_that_is_not_open_is_out_of_scope_and_its_site_is_left_alone(columns, rule: str) -> None:
    closed, place = job("1.", Description="Renamed", **columns), site(21, "1. - Works", 3, "1.")

    plan = plan_of("jobs", with_jobs(closed, sites=[YARD, place]))

    assert (verdict(plan, "1.").outcome, verdict(plan, "1.").rule) == ("out_of_scope", rule)
    assert plan.changes == ()
    assert [found.key for found in plan.findings if found.kind == "out_of_scope_in_safetyamp"] == ["1."]


@pytest.mark.parametrize("visible", ["Y", "y ", None, ""])
def test_a_job_that_may_be_seen_or_does_not_say_is_a_job(visible: str | None) -> None:
    assert verdicts(plan_of("jobs", with_jobs(job("1.", PCVisibleInJC=visible)))) == {"1.": "created"}


def test_other_statuses_count_as_open_where_the_configuration_says_so() -> None:
    rules = config(jobs={"open_statuses": [0, 1]})

    assert verdicts(plan_of("jobs", with_jobs(job("1.", JobStatus=0)), rules=rules)) == {"1.": "created"}


@pytest.mark.parametrize(
    ("department", "reason"),
    [
        (None, "Department is missing: give the job's contract a department in Viewpoint"),
        ("99", "Department '99' is not in SafetyAmp, and no plan creates it"),
    ],
)
def test_a_job_without_a_known_department_is_rejected(department: str | None, reason: str) -> None:
    plan = plan_of("jobs", with_jobs(job("1.", department)))

    assert verdicts(plan) == {"1.": "rejected"}
    assert verdict(plan, "1.").reasons == (reason,)


def test_a_number_of_two_companies_is_the_open_jobs_then_the_first_companys() -> None:
    rules = config(companies=[1, 2])
    both = [job("1.", JCCo=1), job("1.", JCCo=2)]

    open_twice = plan_of("jobs", with_jobs(*both), rules=rules)
    open_in_2 = plan_of("jobs", with_jobs(job("1.", JobStatus=3), both[1]), rules=rules)

    assert verdicts(open_twice) == {"1.": "created", "2/1.": "rejected"}
    assert verdicts(open_in_2) == {"1.": "created", "1/1.": "out_of_scope"}


def test_the_country_is_filled_in_once_and_the_time_zone_is_never_changed() -> None:
    place = site(21, "1. - Works 1.", 3, "1.", country="CA", timezone="America/Denver")

    assert plan_of("jobs", with_jobs(job("1."), sites=[YARD, place])).changes == ()


def test_a_default_state_stands_in_for_a_missing_one_alone() -> None:
    rules = config(jobs={"default_state": "TX"})

    plan = plan_of("jobs", with_jobs(job("1."), job("2.", ShipState="LA")), rules=rules)

    assert (pairs(plan, "1.")["state"], pairs(plan, "2.")["state"]) == ((None, "TX"), (None, "LA"))


def test_a_job_that_moves_takes_its_site_along() -> None:
    place = site(21, "1. - Works 1.", 2, "1.", country="US")

    plan = plan_of("jobs", with_jobs(job("1."), sites=[YARD, place]), links={"1.": Remembered(21)})

    assert pairs(plan, "1.") == {"cluster_id": ("South", "10")}
