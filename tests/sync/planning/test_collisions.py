"""Unique values that two records want: who keeps them, who is rejected, who goes without, and who waits for whom."""

from __future__ import annotations

import pytest
from small_worlds import Refusal, Remembered, change, company, employee, pairs, plan_of, user, verdict, verdicts

MOBILE, E164 = "504-234-5678", "+15042345678"
OTHER, OTHER_E164 = "504-234-9999", "+15042349999"


def settled(number: int, **columns: object):
    """The account of an employee about whom nothing but the columns given is to be changed."""
    known = {"first_name": f"Nora {number}", "email": f"p{number}@example.com", "current_hire_date": "2020-01-06"}
    place = {"home_site_id": 20, "current_title": {"id": 7}, "country": "US"}
    return user(f"user{number}", str(number), **(known | place | columns))


def test_two_new_employees_with_one_address_are_both_rejected_and_named_to_each_other() -> None:
    world = company(viewpoint__employees=[employee(1, Email="x@example.com"), employee(2, Email="X@Example.com")])

    plan = plan_of("employees", world)

    assert verdict(plan, "1").reasons == ("E-mail is taken: employee 2 has the same, correct one of them",)
    assert verdict(plan, "2").reasons == ("E-mail is taken: employee 1 has the same, correct one of them",)
    assert plan.changes == ()


def test_the_holder_in_safetyamp_keeps_the_address() -> None:
    sources = [employee(1, Email="x@example.com"), employee(2, Email="x@example.com")]
    world = company(viewpoint__employees=sources, users=[settled(2, email="x@example.com")])

    assert verdicts(plan_of("employees", world)) == {"1": "rejected", "2": "unchanged"}


def test_an_address_that_somebody_else_holds_stays_away_and_the_rest_of_the_person_goes_on() -> None:
    wishes = employee(1, Email="p2@example.com", LastName="Married", udEmpTitle="Fitter", CellPhone=MOBILE)
    world = company(viewpoint__employees=[wishes, employee(2)], users=[settled(1), settled(2)])

    plan = plan_of("employees", world)

    assert pairs(plan, "1") == {"last_name": ("Test", "Married"), "mobile_phone": (None, E164)}
    assert verdict(plan, "1").notes == (
        "E-mail stays as it is, for it is taken: employee 2 has the same, correct one of them",
    )


def test_an_address_of_an_account_nobody_manages_is_not_taken() -> None:
    world = company(viewpoint__employees=[employee(1)], users=[user("admin", None, email="boss@example.com")])
    world["viewpoint/employees"] = [employee(1, Email="boss@example.com", PRDept="10"), employee(2)]
    world["users"] = [user("admin", "A-1", email="boss@example.com")]

    plan = plan_of("employees", world)

    assert verdict(plan, "1").reasons == ("E-mail is taken: A-1 in SafetyAmp has the same",)


def test_a_leavers_address_is_not_free() -> None:
    sources = [employee(1, TermDate="2020-01-01"), employee(2, Email="p1@example.com")]
    world = company(viewpoint__employees=sources, users=[settled(1, system_access=False)])

    assert verdicts(plan_of("employees", world)) == {"1": "out_of_scope", "2": "rejected"}


def test_a_clashing_mobile_number_is_left_out_and_the_record_goes_on() -> None:
    world = company(viewpoint__employees=[employee(1, CellPhone=MOBILE), employee(2, CellPhone=MOBILE)])

    plan = plan_of("employees", world)

    assert verdicts(plan) == {"1": "created", "2": "created"}
    assert "mobile_phone" not in pairs(plan, "1") | pairs(plan, "2")
    assert verdict(plan, "1").notes == ("Mobile phone left out: employee 2 has the same, correct one of them",)


def test_a_record_rejected_for_its_address_takes_no_number_from_anybody() -> None:
    sources = [employee(1, Email="nonsense", CellPhone=MOBILE), employee(2, CellPhone=MOBILE)]

    plan = plan_of("employees", company(viewpoint__employees=sources))

    assert pairs(plan, "2")["mobile_phone"] == (None, E164)


def test_a_value_set_free_in_this_plan_is_taken_in_a_later_wave() -> None:
    sources = [employee(1, CellPhone=OTHER), employee(2, CellPhone=MOBILE)]
    world = company(viewpoint__employees=sources, users=[settled(1, mobile_phone=E164), settled(2)])

    plan = plan_of("employees", world)

    assert pairs(plan, "2") == {"mobile_phone": (None, E164)}
    assert change(plan, "1").wave < change(plan, "2").wave


@pytest.mark.parametrize("why", ["held", "refused before"])
def test_a_value_is_not_taken_from_a_holder_that_does_not_move_after_all(why: str) -> None:
    sources = [employee(1, CellPhone=OTHER), employee(2, CellPhone=MOBILE)]
    off = settled(1, mobile_phone=E164, system_access=why != "held")
    world = company(viewpoint__employees=sources, users=[off, settled(2)])
    links = {"1": Remembered("user1", {"system_access": 1})}
    refused = change(plan_of("employees", world), "1").payload_hash

    plan = plan_of("employees", world, links=links, failures={} if why == "held" else {"1": Refusal(refused)})

    assert verdicts(plan) == {"1": "held" if why == "held" else "failed", "2": "unchanged"}
    assert verdict(plan, "2").notes == ("Mobile phone left out: 1 in SafetyAmp does not give it up yet",)


def test_whoever_waits_for_one_that_waits_in_vain_does_not_move_either() -> None:
    """1 holds a and keeps it; 2 wants a and holds b; 3 wants b."""
    addresses = {1: "a@example.com", 2: "b@example.com", 3: "c@example.com"}
    wishes = {1: "new@example.com", 2: "a@example.com", 3: "b@example.com"}
    world = company(
        viewpoint__employees=[employee(number, Email=mail) for number, mail in wishes.items()],
        users=[settled(number, email=mail, system_access=number != 1) for number, mail in addresses.items()],
    )

    plan = plan_of("employees", world, links={"1": Remembered("user1", {"system_access": 1})})

    assert verdicts(plan) == {"1": "held", "2": "unchanged", "3": "unchanged"}


def test_two_who_exchange_their_addresses_keep_them_and_two_who_exchange_numbers_go_without() -> None:
    sources = [
        employee(1, Email="p2@example.com"),
        employee(2, Email="p1@example.com"),
        employee(3, CellPhone=OTHER, FirstName="New"),
        employee(4, CellPhone=MOBILE),
    ]
    numbers = [settled(3, mobile_phone=E164), settled(4, mobile_phone=OTHER_E164)]

    plan = plan_of("employees", company(viewpoint__employees=sources, users=[settled(1), settled(2), *numbers]))

    assert verdicts(plan) == {"1": "unchanged", "2": "unchanged", "3": "updated", "4": "unchanged"}
    kept = "E-mail stays as it is, for it is taken: 2 in SafetyAmp does not give it up yet"
    assert verdict(plan, "1").notes == (kept,)
    assert pairs(plan, "3") == {"first_name": ("Nora 3", "New")}
