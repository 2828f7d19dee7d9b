"""Employees become users: who is employed, which source gives each field, and where a person is at home."""

from __future__ import annotations

from typing import Any

import pytest
from small_worlds import (
    CIVIL,
    ROOT,
    SOUTH,
    YARD,
    Remembered,
    World,
    account,
    change,
    company,
    config,
    employee,
    job,
    pairs,
    plan_all,
    plan_of,
    recent_job,
    site,
    title,
    user,
    verdict,
    verdicts,
)

from safetyamp_pipelines.sync.model.clean import LOST


def hired(entra: list[Any] | None = None, **columns: Any) -> dict[str, Any]:
    """What one new employee with these columns would be created with."""
    world = company(viewpoint__employees=[employee(5, **columns)], entra__users=entra or [])
    return change(plan_of("employees", world), "5").after()


@pytest.mark.parametrize(
    ("hire", "term", "outcome", "rule"),
    [
        ("2020-01-06", None, "created", "is new"),
        ("2020-01-06", "2026-11-21 00:00:00", "created", "is new"),
        ("2020-01-06", "2026-11-20 00:00:00", "out_of_scope", "employment ended 2026-11-20"),
        ("2020-01-06", "2025-01-31 00:00:00", "out_of_scope", "employment ended 2025-01-31"),
        (None, None, "out_of_scope", "no hire date in Viewpoint; the account, if any, stays as it is"),
        (None, "2026-11-21 00:00:00", "out_of_scope", "no hire date in Viewpoint; the account, if any, stays as it is"),
        (None, "2025-01-31 00:00:00", "out_of_scope", "employment ended 2025-01-31"),
        ("2030-01-01", None, "created", "is new"),
    ],
)
def test_a_person_is_employed_from_the_hire_date_until_the_termination_date(hire, term, outcome, rule) -> None:
    world = company(viewpoint__employees=[employee(5, HireDate=hire, TermDate=term)])

    found = verdict(plan_of("employees", world), "5")

    assert (found.outcome, found.rule) == (outcome, rule)


def test_a_hire_date_that_got_lost_does_not_lock_anybody_out() -> None:
    people = [employee(5, HireDate=None), employee(6, HireDate=None, TermDate="2026-11-19")]
    world = company(viewpoint__employees=people, users=[user("u5", "5"), user("u6", "6")])

    plan = plan_of("employees", world)

    assert verdicts(plan) == {"5": "out_of_scope", "6": "deactivated"}
    assert ("out_of_scope_in_safetyamp", "5") in {(found.kind, found.key) for found in plan.findings}


@pytest.mark.parametrize("flag", ["Y", "N", None])
def test_the_active_flag_is_not_asked(flag: str | None) -> None:
    world = company(
        viewpoint__employees=[employee(5, ActiveYN=flag), employee(6, ActiveYN=flag, TermDate="2026-01-01")]
    )

    assert verdicts(plan_of("employees", world)) == {"5": "created", "6": "out_of_scope"}


def test_the_address_of_entra_goes_before_that_of_viewpoint() -> None:
    assert hired([account(5, mail="Nora@Example.com")])["email"] == "nora@example.com"
    assert hired([account(5, mail="nora@acme.onmicrosoft.com")])["email"] == "p5@example.com"
    assert hired([account(5)])["email"] == "p5@example.com"


@pytest.mark.parametrize("number", ["5", " 005 ", "00005"])
def test_entra_accounts_are_found_whatever_the_leading_zeros(number: str) -> None:
    assert hired([account(number, mail="nora@example.com")])["email"] == "nora@example.com"


def test_of_two_accounts_with_one_number_the_only_one_with_a_mailbox_counts_and_of_two_mailboxes_none() -> None:
    with_mail = account("5", mail="nora@example.com")
    second = {**account("05", mobilePhone="504-234-5678"), "id": "entra-0"}

    assert hired([second, with_mail])["email"] == "nora@example.com"
    assert hired([with_mail, {**second, "mail": "other@example.com"}])["email"] == "p5@example.com"


def test_a_guest_account_is_nobodys() -> None:
    assert hired([account(5, mail="guest@example.com", userType="Guest")])["email"] == "p5@example.com"


@pytest.mark.parametrize(
    ("entra", "columns", "mobile", "work"),
    [
        ({"mobilePhone": "504-234-0001"}, {"CellPhone": "504-234-0002", "Phone": "504-234-0003"}, 1, 3),
        ({"businessPhones": ["504-234-0004", "x"]}, {"CellPhone": "504-234-0002", "Phone": "504-234-0003"}, 2, 4),
        ({"businessPhones": []}, {"Phone": "504-234-0003"}, 3, 3),
        ({}, {"CellPhone": "12", "Phone": "nonsense"}, None, None),
    ],
)
def test_telephone_numbers_come_from_entra_then_viewpoint_or_not_at_all(entra, columns, mobile, work) -> None:
    found = hired([account(5, **entra)], **columns)

    assert found.get("mobile_phone") == (f"+1504234000{mobile}" if mobile else None)
    assert found.get("work_phone") == (f"+1504234000{work}" if work else None)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"Email": None}, "E-mail is missing: fill Entra mail or Viewpoint Email"),
        ({"Email": "nonsense"}, "E-mail: Viewpoint Email is not a valid e-mail address"),
        ({"FirstName": " "}, "First name is missing: fill Viewpoint FirstName"),
        ({"LastName": None}, "Last name is missing: fill Viewpoint LastName"),
        ({"PRDept": "99"}, "Home site: no timecard on an open job, and department 99 has no home office in SafetyAmp"),
        ({"PRDept": "  "}, "Home site: no timecard on an open job, and no department is given"),
    ],
)
def test_a_rejected_employee_has_a_reason_a_payroll_clerk_understands(columns: Any, reason: str) -> None:
    world = company(viewpoint__employees=[employee(5, **columns)])

    assert verdict(plan_of("employees", world), "5").reasons == (reason,)


def test_every_reason_is_given_at_once() -> None:
    world = company(viewpoint__employees=[employee(5, Email=None, FirstName=None, PRDept="99")])

    assert len(verdict(plan_of("employees", world), "5").reasons) == 3


def test_home_is_the_site_of_the_latest_open_job_even_if_this_run_creates_it() -> None:
    world = company(
        viewpoint__employees=[employee(5), employee(6)],
        viewpoint__jobs=[job("24113. ")],
        viewpoint__recent_jobs=[recent_job(5, "24113. "), recent_job(6, "99999.")],
    )

    plan = plan_all(world)["employees"]

    assert pairs(plan, "5")["home_site_id"] == (None, "24113.")
    assert pairs(plan, "6")["home_site_id"] == (None, "YARD")


def test_the_home_office_is_the_oldest_site_directly_in_the_departments_region() -> None:
    sites = [site(31, "New yard", 2, "NEW"), site(30, "Old yard", 2), site(29, "A job", 3, "1.")]
    world = company(viewpoint__employees=[employee(5)], site_clusters=[ROOT, SOUTH, CIVIL], sites=sites)

    assert pairs(plan_of("employees", world), "5")["home_site_id"] == (None, "Old yard @ South")


def test_the_supervisor_is_entras_manager_and_is_left_out_when_unknown() -> None:
    staff = [account(5, manager={"employeeId": "0009"}), account(6, manager={"employeeId": "77"}), account(9)]
    world = company(viewpoint__employees=[employee(5), employee(6), employee(9)], entra__users=staff)

    plan = plan_of("employees", world)

    assert pairs(plan, "5")["current_supervisor_id"] == (None, "9")
    assert "current_supervisor_id" not in pairs(plan, "6")
    assert verdict(plan, "6").notes == ("Supervisor '77' is not in SafetyAmp, and no plan creates it",)


@pytest.mark.parametrize(
    ("roles", "role"),
    [
        ([{"id": 3, "name": "field"}], "Field"),
        ([{"id": 4, "name": "Basic", "account_default": 1}, {"id": 5, "name": "Admin"}], "Basic"),
        ([{"id": 5, "name": "Admin"}], None),
    ],
)
def test_a_new_user_gets_the_configured_role_else_safetyamps_default(roles: list[Any], role: str | None) -> None:
    world = company(viewpoint__employees=[employee(5)], roles=roles)

    assert pairs(plan_of("employees", world), "5").get("roles") == ((None, role) if role else None)


def test_role_time_zone_and_country_of_a_user_are_left_as_they_are() -> None:
    settled = {"first_name": "Nora 5", "email": "p5@example.com", "current_hire_date": "2020-01-06", "home_site_id": 20}
    kept = {"roles": [{"id": 99}], "timezone": "America/Denver", "country": "CA", "current_title": {"id": 7}}
    world = company(viewpoint__employees=[employee(5)], users=[user("u5", "5", **settled | kept)])

    assert plan_of("employees", world).changes == ()


@pytest.mark.parametrize(
    ("source", "there", "written"),
    [
        ({}, {}, {"country": (None, "US"), "state": (None, "LA")}),
        ({}, {"country": "CA", "state": "ON"}, {}),
        (
            {"Country": "MX", "State": "TX "},
            {"country": "CA", "state": "ON"},
            {"country": ("CA", "MX"), "state": ("ON", "TX")},
        ),
    ],
)
def test_a_default_of_sync_yaml_fills_and_only_the_source_overwrites(source: Any, there: Any, written: Any) -> None:
    rules = config(employees={"default_state": "LA", "policies": {"state": "merge"}})
    world = company(viewpoint__employees=[employee(5, **source)], users=[user("u5", "5", **there)])

    found = pairs(plan_of("employees", world, rules=rules), "5")

    assert {name: pair for name, pair in found.items() if name in ("country", "state")} == written


def both(*terms: str | None) -> World:
    rows = [employee(5, PRCo=co, TermDate=term, Email=f"c{co}@example.com") for co, term in enumerate(terms, 1)]
    homes = [recent_job(5, "YARD", PRCo=co) for co in (1, 2)]
    return company(viewpoint__employees=rows, viewpoint__recent_jobs=homes)


def test_a_number_of_two_companies_belongs_to_the_one_who_is_employed() -> None:
    plan = plan_of("employees", both("2026-01-01", None), rules=config(companies=[1, 2]))

    assert verdicts(plan) == {"5": "created", "1/5": "out_of_scope"}
    assert pairs(plan, "5")["email"] == (None, "c2@example.com")


def test_two_who_are_employed_under_one_number_are_both_rejected() -> None:
    plan = plan_of("employees", both(None, None), rules=config(companies=[1, 2]))

    assert verdicts(plan) == {"5": "rejected", "2/5": "rejected"}
    assert "employee number 5 is in companies 1 and 2" in verdict(plan, "5").reasons[0]


def test_a_move_between_companies_does_not_switch_the_account_off() -> None:
    world = both("2026-01-01", None) | {"users": [user("u5", "5")]}

    plan = plan_of("employees", world, rules=config(companies=[1, 2]), links={"5": Remembered("u5")})

    assert verdicts(plan) == {"5": "updated", "1/5": "out_of_scope"}
    assert "system_access" not in pairs(plan, "5")


def test_numbers_without_a_country_code_are_read_in_the_configured_region() -> None:
    world = company(viewpoint__employees=[employee(5, CellPhone="07400 123456")], sites=[YARD])

    plan = plan_of("employees", world, rules=config(employees={"default_phone_region": "GB"}))

    assert pairs(plan, "5")["mobile_phone"] == (None, "+447400123456")


@pytest.mark.parametrize(
    ("source", "right"), [("Nguy?n", "Nguyễn"), ("?ukasz", "Łukasz"), ("NGUY?N", "Nguyễn"), ("Nguy?n", "Nguyen")]
)
def test_a_letter_that_the_source_cannot_store_does_not_overwrite_the_right_one(source: str, right: str) -> None:
    staff = [employee(5, LastName=source, udEmpTitle="Capataz espa?ol"), employee(6, LastName=source)]
    shown = user("u5", "5", last_name=right, current_title={"id": 9})
    world = company(viewpoint__employees=staff, users=[shown], user_titles=[title(9, "Capataz español")])

    plan, notes = plan_of("employees", world), verdict(plan_of("employees", world), "5").notes
    told = f"Last name: Viewpoint LastName {LOST}"

    assert change(plan, "5").after().keys().isdisjoint({"last_name", "current_title_id"})
    assert told in notes
    assert "Last name: stays as it is in SafetyAmp, where it has its letters" in notes
    assert (change(plan, "6").after()["last_name"], told in verdict(plan, "6").notes) == (source, True)


def test_another_name_is_another_name_whatever_it_holds() -> None:
    world = company(viewpoint__employees=[employee(5, LastName="Nguy?n")], users=[user("u5", "5", last_name="Nowaks")])

    assert change(plan_of("employees", world), "5").after()["last_name"] == "Nguy?n"
