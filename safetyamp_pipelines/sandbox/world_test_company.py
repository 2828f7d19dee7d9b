"""Company 2, a test company whose numbers clash with those of company 1 and must never reach SafetyAmp."""

from __future__ import annotations

from datetime import timedelta

from safetyamp_pipelines.sandbox.world_jobs import REGIONS, contract, department, job
from safetyamp_pipelines.sandbox.world_model import COMPANY, TEST_COMPANY, Draft
from safetyamp_pipelines.sandbox.world_people import employee
from safetyamp_pipelines.sandbox.world_timecards import timecard

CLASHES = 0.05  # share of the numbers of company 1 that company 2 uses as well


def add_test_company(draft: Draft) -> None:
    """Departments, jobs, contracts, employees and timecards of company 2 under numbers of company 1."""
    if not draft.spec.mess:
        return
    tables, today = draft.world.viewpoint, draft.spec.today
    for row in [r for r in tables["bPRDP"] if r["PRCo"] == COMPANY][:2]:
        tables["bPRDP"].append(department(TEST_COMPANY, row["PRDept"], "TEST COMPANY", REGIONS[0]))
        draft.note("test_company_departments", row["PRDept"])
    keys = [r["Job"] for r in tables["bJCJM"]]
    for key in keys[: max(2, round(CLASHES * len(keys)))]:
        tables["bJCJM"].append(job(TEST_COMPANY, key, "TEST COMPANY JOB", key))
        tables["bJCCM"].append(contract(TEST_COMPANY, key, "TEST COMPANY JOB", "05"))
        draft.note("test_company_jobs", key)
    people = draft.people
    for row in people[: max(2, round(CLASHES * len(people)))]:
        number = row["Employee"]
        twin = employee(TEST_COMPANY, number, "Test", f"Company {number}", PRDept="05", HireDate=draft.day(100))
        tables["bPREH"].append(twin | {"Email": f"test.company{number}@example.net", "udEmpTitle": "Test Dummy"})
        draft.note("test_company_employees", number)
        if keys:
            tables["bPRTH"].append(timecard(twin, today - timedelta(days=1), keys[0], company=TEST_COMPANY))
