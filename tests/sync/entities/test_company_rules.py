"""Several companies with rules of their own: root cluster, role, time zone, and job numbers that would clash."""

from __future__ import annotations

from typing import Any

from small_worlds import (
    FIELD_ROLE,
    ROOT,
    applied,
    change,
    cluster,
    company,
    config,
    department,
    employee,
    job,
    plan_of,
    recent_job,
    verdict,
    verdicts,
)

WEST = {"root_cluster": "West", "default_role": "Crew", "timezone": "America/Denver", "job_prefix": "W-"}
RULES = config(companies=[1, 2], company_rules={2: WEST}, departments={"root_cluster": "Acme"})


def world(**tables: Any) -> dict[str, Any]:
    return company(
        site_clusters=[ROOT, cluster(9, "West", None)],
        sites=[],
        roles=[FIELD_ROLE, {"id": 4, "name": "Crew", "account_default": 0}],
        viewpoint__departments=[department("10"), department("20", "Coast", PRCo=2), department("30", "South", PRCo=2)],
        viewpoint__jobs=[job("7."), job("7.", "20", JCCo=2)],
        viewpoint__employees=[employee(5), employee(6, PRCo=2, PRDept="20")],
        viewpoint__recent_jobs=[recent_job(5, "7."), recent_job(6, "7.", PRCo=2, JCCo=2)],
        **tables,
    )


def test_regions_stand_under_the_root_of_their_company_and_belong_to_one() -> None:
    plan = plan_of("departments", world(), rules=RULES)

    assert change(plan, "region South").after()["parent_cluster_id"] == "Acme"
    assert change(plan, "region Coast").after()["parent_cluster_id"] == "West"
    assert verdicts(plan)["10"] == verdicts(plan)["20"] == "created"
    assert verdict(plan, "30").reasons == (
        "the region is another company's, under another root cluster: rename it in Viewpoint",
    )


def test_job_numbers_get_the_prefix_of_their_company_and_people_find_their_site() -> None:
    departments = plan_of("departments", world(), rules=RULES)
    jobs = plan_of("jobs", world(), rules=RULES, after=[departments])
    people = plan_of("employees", world(), rules=RULES, after=[departments, jobs])

    assert verdicts(jobs) == {"7.": "created", "2/7.": "created"}
    assert change(jobs, "2/7.").after()["ext_id"] == "W-7."
    assert change(jobs, "2/7.").after()["timezone"] == "America/Denver"
    assert change(jobs, "7.").after()["ext_id"] == "7."
    assert jobs.unaccounted == ()
    sites = {key: change(people, key).after()["home_site_id"] for key in ("5", "6")}
    roles = {key: change(people, key).after()["roles"] for key in ("5", "6")}
    assert sites == {"5": "7.", "6": "W-7."}
    assert roles == {"5": "Field", "6": "Crew"}
    assert change(people, "6").after()["timezone"] == "America/Denver"


def test_a_second_run_plans_nothing() -> None:
    after = applied(plan_of("departments", world(), rules=RULES), world())
    after = applied(plan_of("jobs", after, rules=RULES), after)

    assert plan_of("departments", after, rules=RULES).changes == ()
    assert plan_of("jobs", after, rules=RULES).changes == ()
