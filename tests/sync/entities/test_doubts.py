"""Unknown is not empty: what two accounts claim or a source has lost stays as it is in SafetyAmp, and is reported."""

from __future__ import annotations

from typing import Any

import pytest
from small_worlds import (
    Remembered,
    World,
    account,
    asset,
    asset_type,
    company,
    config,
    driver,
    employee,
    pairs,
    plan_of,
    user,
    vehicle,
    verdict,
    verdicts,
)

ONE, OTHER = account(1, mail="one@example.com"), {**account("01", mail="other@example.com"), "id": "other"}
KNOWN: dict[str, Any] = {"first_name": "Nora 1", "home_site_id": 20, "country": "US", "current_hire_date": "2020-01-06"}
KNOWN |= {"current_title": {"id": 7}, "mobile_phone": "+15042345678", "email": "known@example.com"}
LINKS = {"1": Remembered("u1", {"email": "known@example.com"})}


def people(*accounts: Any, **columns: Any) -> World:
    return company(
        viewpoint__employees=[employee(1, **columns)], users=[user("u1", "1", **KNOWN)], entra__users=accounts
    )


@pytest.mark.parametrize("mail", ["p1@example.com", None])
def test_of_two_accounts_with_one_number_nothing_is_taken_and_what_stands_stays(mail: str | None) -> None:
    bosses = [{**found, "manager": {"employeeId": "7"}, "mobilePhone": "504-234-1111"} for found in (ONE, OTHER)]

    plan = plan_of("employees", people(*bosses, Email=mail, CellPhone="504-234-2222", LastName="New"), links=LINKS)

    assert pairs(plan, "1") == {"last_name": ("Test", "New")}
    assert [(found.kind, found.key) for found in plan.findings] == [("unknown", "1")]
    assert plan.findings[0].text.startswith("several accounts in Entra have this employee number: correct employeeId")
    assert verdict(plan, "1").notes.count(plan.findings[0].text) == 1


def test_two_accounts_without_a_mailbox_are_as_unknown() -> None:
    phones = [{**found, "mail": None, "mobilePhone": f"504-234-111{n}"} for n, found in enumerate((ONE, OTHER))]

    assert pairs(plan_of("employees", people(*phones), links=LINKS), "1") == {}


def test_a_new_person_with_two_accounts_is_created_with_what_viewpoint_says_or_rejected() -> None:
    world = {**people(ONE, OTHER), "users": []}
    without = {**people(ONE, OTHER, Email=None), "users": []}

    assert pairs(plan_of("employees", world), "1")["email"] == (None, "p1@example.com")
    assert verdicts(plan_of("employees", without)) == {"1": "rejected"}
    assert verdict(plan_of("employees", without), "1").reasons == (
        "E-mail is missing: fill Entra mail or Viewpoint Email",
    )


@pytest.mark.parametrize("mail", ["p1@example.com", None])
def test_a_mail_that_entra_has_lost_leaves_the_address_and_the_rest_goes_on(mail: str | None) -> None:
    plan = plan_of("employees", people(account(1), Email=mail, LastName="New"), links=LINKS)

    assert pairs(plan, "1") == {"last_name": ("Test", "New")}
    assert [found.kind for found in plan.findings] == ["unknown"]


def test_viewpoints_address_counts_where_entra_never_had_one() -> None:
    assert pairs(plan_of("employees", people(account(1))), "1") == {"email": ("known@example.com", "p1@example.com")}
    assert pairs(plan_of("employees", people(), links=LINKS), "1") == {"email": ("known@example.com", "p1@example.com")}


def fleet(**columns: Any) -> World:
    truck = asset(60, serial="GW-v1", name="Truck v1", site_id=20, asset_type_id=40, current_user_id="u1")
    return company(
        samsara__vehicles=[vehicle("v1", **columns)],
        samsara__drivers=[driver("d1"), driver("d9", externalIds={"employeeId": "9"})],
        users=[user("u1", "1", home_site_id=20)],
        asset_types=[asset_type(40, 20)],
        assets=[truck],
    )


PLACED = config(vehicles={"default_site": "YARD"})


def test_no_driver_any_more_clears_the_user() -> None:
    plan = plan_of("vehicles", fleet(), rules=PLACED)

    assert pairs(plan, "v1") == {"current_user_id": ("1", None)}


@pytest.mark.parametrize("assigned", ["d1", "d9", "d7"], ids=["without number", "no user", "not listed"])
def test_a_driver_who_cannot_be_recognised_leaves_the_user_and_is_reported(assigned: str) -> None:
    plan = plan_of("vehicles", fleet(staticAssignedDriver={"id": assigned}), rules=PLACED)

    assert plan.changes == ()
    assert [(found.kind, found.key) for found in plan.findings] == [("unknown", "v1")]
    assert verdict(plan, "v1").notes[0].startswith("Driver stays as it is: ")


def test_drivers_that_were_not_read_clear_nobody() -> None:
    plan = plan_of("vehicles", fleet(), rules=PLACED, unread={"samsara/drivers": "it failed"})

    assert plan.changes == ()
