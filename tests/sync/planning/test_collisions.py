"""Unique values that two records want: who keeps them, who is rejected, who goes without, and who waits for whom."""

from __future__ import annotations

import pytest
from small_worlds import (
    Refusal,
    Remembered,
    World,
    account,
    applied,
    asset,
    asset_type,
    change,
    company,
    config,
    employee,
    pairs,
    plan_of,
    user,
    vehicle,
    verdict,
    verdicts,
)

MOBILE, E164 = "504-234-5678", "+15042345678"
OTHER, OTHER_E164 = "504-234-9999", "+15042349999"
THIRD, THIRD_E164 = "504-234-7777", "+15042347777"


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
        "E-mail stays as it is, because the value is taken: employee 2 has the same, correct one of them",
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


def test_a_refusal_for_a_number_that_its_holder_gives_up_in_this_plan_does_not_stand() -> None:
    """Each was refused because of the other, perhaps while a call in between was lost: nothing else would try again."""
    sources = [employee(1, CellPhone=OTHER), employee(2, CellPhone=MOBILE)]
    users = [settled(1, mobile_phone=E164), settled(2, mobile_phone=OTHER_E164)]
    world = company(viewpoint__employees=sources, users=users)
    swapped = plan_of("employees", world).changes
    taken = {
        str(number): Refusal(
            change(plan_of("employees", world), str(number)).payload_hash,
            {"mobile_phone": {"category": "duplicate", "hash": f'"{wish}"'}},
            {"holders": {"mobile_phone": [f"user{holder}"]}},
        )
        for number, wish, holder in ((1, OTHER_E164, 2), (2, E164, 1))
    }

    assert plan_of("employees", world, failures=taken).changes == swapped != ()


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


def test_two_who_exchange_their_addresses_are_held_as_a_ring_and_all_else_of_them_goes_on() -> None:
    sources = [employee(1, Email="p2@example.com"), employee(2, Email="p1@example.com", LastName="Married")]
    world = company(viewpoint__employees=sources, users=[settled(1), settled(2)])

    plan = plan_of("employees", world)

    assert verdicts(plan) == {"1": "held", "2": "updated"}
    assert pairs(plan, "2") == {"last_name": ("Test", "Married")}
    ring = (
        "E-mail stays as it is, a ring: employees 1, 2 want each other's, and none can go first. Give one of them "
        "another e-mail in SafetyAmp by hand; the next sync does the rest"
    )
    assert (verdict(plan, "1").rule, verdict(plan, "2").notes) == (ring, (ring,))


def test_once_a_person_has_opened_a_ring_of_addresses_the_rest_goes_by_itself() -> None:
    sources = [employee(1, Email="p2@example.com"), employee(2, Email="p1@example.com")]
    world = company(viewpoint__employees=sources, users=[settled(1, email="free@example.com"), settled(2)])

    plan = plan_of("employees", world)

    assert verdicts(plan) == {"1": "updated", "2": "updated"}
    assert change(plan, "2").wave < change(plan, "1").wave


def test_numbers_go_round_a_ring_since_one_can_be_set_free_first() -> None:
    mobiles = {3: (E164, OTHER), 4: (OTHER_E164, THIRD), 5: (THIRD_E164, MOBILE)}
    world = company(
        viewpoint__employees=[employee(n, CellPhone=wish, FirstName="New") for n, (_, wish) in mobiles.items()],
        users=[settled(n, mobile_phone=has) for n, (has, _) in mobiles.items()],
    )

    plan = plan_of("employees", world)

    assert set(verdicts(plan).values()) == {"updated"}
    calls = [(one.source_key, *one.fields.get("mobile_phone", ())) for one in plan.changes]
    assert calls == [
        ("3", E164, None),
        ("5", THIRD_E164, E164),
        ("4", OTHER_E164, THIRD_E164),
        ("3", None, OTHER_E164),
    ]
    assert set(plan.changes[0].fields) == {"mobile_phone"}
    after = applied(plan, world)["users"]
    assert [row["mobile_phone"] for row in after] == [OTHER_E164, THIRD_E164, E164]
    assert plan_of("employees", {**world, "users": after}).changes == ()


def test_a_value_that_one_source_has_let_go_of_and_another_has_moves() -> None:
    sources = [employee(1), employee(2, CellPhone=MOBILE)]
    world = company(viewpoint__employees=sources, users=[settled(1, mobile_phone=E164), settled(2)])

    plan = plan_of("employees", world)

    assert [(one.source_key, one.fields["mobile_phone"]) for one in plan.changes] == [
        ("1", (E164, None)),
        ("2", (None, E164)),
    ]


@pytest.mark.parametrize("why", ["unreadable", "in doubt", "taker rejected"])
def test_a_value_does_not_move_from_where_it_may_still_belong_nor_to_nobody(why: str) -> None:
    first = employee(1, CellPhone="12" if why == "unreadable" else None)
    taker = employee(2, CellPhone=MOBILE, FirstName=None if why == "taker rejected" else "Nora 2")
    twice = [account(1, mail="a@example.com"), {**account(1, mail="b@example.com"), "id": "other"}]
    world = company(viewpoint__employees=[first, taker], users=[settled(1, mobile_phone=E164), settled(2)])
    world["entra/users"] = twice if why == "in doubt" else []

    plan = plan_of("employees", world)

    assert plan.changes == ()
    assert verdicts(plan)["1"] == "unchanged"


def fleet(*says: tuple[str, str | None]) -> World:
    """Trucks without VIN, each with its gateway in SafetyAmp and in Samsara."""
    rows = [
        asset(60 + n, serial=shown, name=f"Truck v{n}", site_id=20, asset_type_id=40)
        for n, (shown, _) in enumerate(says)
    ]
    found = [vehicle(f"v{n}", serial=gateway) for n, (_, gateway) in enumerate(says)]
    return company(samsara__vehicles=found, asset_types=[asset_type(40, 20)], assets=rows)


@pytest.mark.parametrize(
    "says",
    [
        [("G0", "G1"), ("G1", "G0")],
        [("G0", None), ("G1", "G0")],
        [("G0", "G2"), ("G1", "G0"), ("G2", "G1")],
        [("G0", "G9"), ("G1", "G0")],
        [(None, "G0"), ("G0", "G1"), ("G1", None)],
    ],
    ids=["exchanged", "moved on", "three in a ring", "moved, and a new one in its place", "in a chain"],
)
def test_gateways_move_from_truck_to_truck_and_every_call_finds_its_value_free(
    says: list[tuple[str | None, str | None]],
) -> None:
    world = fleet(*says)
    links = {f"v{n}": Remembered(60 + n) for n in range(len(says))}

    plan = plan_of("vehicles", world, links=links, rules=config(vehicles={"default_site": "YARD"}))

    shown = {60 + n: has for n, (has, _) in enumerate(says)}
    for one in plan.changes:
        if "serial" in one.fields:
            before, after = one.fields["serial"]
            assert shown[one.target_id] == before
            assert after is None or after not in shown.values()
            shown[one.target_id] = after
    assert shown == {60 + n: wish for n, (_, wish) in enumerate(says)}
