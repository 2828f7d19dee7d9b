"""What was not read is unknown, and unknown is not empty: it stays as it is, and everything else goes on."""

from __future__ import annotations

import pytest
from small_worlds import (
    Remembered,
    account,
    asset,
    asset_type,
    company,
    config,
    driver,
    employee,
    job,
    pairs,
    plan_of,
    user,
    vehicle,
    verdict,
    verdicts,
)

from safetyamp_pipelines.sync.model.plan import Action

GONE = "2026-01-31"
LINKS = {"1": Remembered("u1"), "2": Remembered("u2")}
STAFF = company(
    viewpoint__employees=[employee(1, LastName="Married"), employee(2, TermDate=GONE), employee(3)],
    entra__users=[account(1, mail="new@example.com", mobilePhone="504-234-5678")],
    users=[user("u1", "1", email="old@example.com", home_site_id=20), user("u2", "2")],
)
OPTIONAL = (
    "entra/users",
    "viewpoint/recent_jobs",
    "safetyamp_observed/site_clusters",
    "safetyamp_observed/sites",
    "safetyamp_observed/user_titles",
    "safetyamp_observed/roles",
)


def test_without_entra_the_address_stays_the_name_goes_and_a_new_person_waits() -> None:
    plan = plan_of("employees", STAFF, links=LINKS, unread={"entra/users": "Graph answered 503"})

    assert "email" not in pairs(plan, "1")
    assert "mobile_phone" not in pairs(plan, "1")
    assert pairs(plan, "1")["last_name"] == ("Test", "Married")
    assert verdicts(plan)["3"] == "blocked"
    assert verdict(plan, "3").rule == "entra/users was not read (Graph answered 503)"
    assert "E-mail stays as it is: entra/users was not read (Graph answered 503)" in verdict(plan, "1").notes


@pytest.mark.parametrize("second", [None, *OPTIONAL])
@pytest.mark.parametrize("first", OPTIONAL)
def test_a_leaver_is_switched_off_whatever_else_was_not_read(first: str, second: str | None) -> None:
    unread = dict.fromkeys(filter(None, (first, second)), "it is down")

    plan = plan_of("employees", STAFF, links=LINKS, unread=unread)

    assert [change.source_key for change in plan.changes if change.action is Action.DEACTIVATE] == ["2"]
    whole = plan_of("employees", STAFF, links=LINKS)
    for change in plan.changes:  # nothing is written that would not be written with everything read
        known = pairs(whole, change.source_key)
        assert {name: pair for name, pair in change.fields.items() if known.get(name) != pair} == {}


def test_without_drivers_a_vehicle_keeps_its_site_and_its_user() -> None:
    world = company(
        samsara__vehicles=[vehicle("9", vin="VIN9", name="New name", staticAssignedDriver={"id": "d1"})],
        samsara__drivers=[driver("d1", notes="10001")],
        users=[user("u1", "10001", home_site_id=20)],
        asset_types=[asset_type(300, 20)],
        assets=[asset(40, serial="VIN9", site_id=20, asset_type_id=300, current_user_id="u1")],
    )

    plan = plan_of("vehicles", world, links={"9": Remembered(40)}, unread={"samsara/drivers": "401"})

    assert pairs(plan, "9") == {"name": ("Truck", "New name")}


def test_a_job_waits_for_departments_whose_plan_could_not_be_made() -> None:
    world = company(viewpoint__jobs=[job("24113.", department="77"), job("24114.")])

    plan = plan_of("jobs", world, unread={"plan/departments": "the root is missing"}, rules=config())

    assert verdicts(plan) == {"24113.": "blocked", "24114.": "created"}
    assert verdict(plan, "24113.").rule == "plan/departments was not made (the root is missing)"
