"""Recognising records: by link, then by the declared keys in order; what is doubtful waits for a person."""

from __future__ import annotations

import pytest
from small_worlds import (
    CIVIL,
    ROOT,
    SOUTH,
    YARD,
    Remembered,
    World,
    asset,
    asset_type,
    change,
    company,
    config,
    employee,
    job,
    plan_of,
    site,
    title,
    user,
    vehicle,
    verdict,
    verdicts,
)

from safetyamp_pipelines.sync.model.snapshot import Record


def test_a_link_survives_a_new_number_name_and_address() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("aB3dE", "999", email="old@example.com")])

    plan = plan_of("employees", world, links={"5": Remembered("aB3dE")})

    assert change(plan, "5").target_id == "aB3dE"
    assert change(plan, "5").action == "update"


def test_a_link_goes_before_a_row_that_bears_the_number() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("linked", None), user("other", "5")])

    plan = plan_of("employees", world, links={"5": Remembered("linked")})

    assert change(plan, "5").target_id == "linked"


def test_a_linked_record_that_is_no_longer_listed_is_held_and_never_created_anew() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("other", "5")])

    plan = plan_of("employees", world, links={"5": Remembered("gone!")})

    assert verdict(plan, "5").outcome == "held"
    assert "no longer lists" in verdict(plan, "5").rule
    assert plan.changes == ()


def test_employee_numbers_match_whatever_their_leading_zeros() -> None:
    world = company(viewpoint__employees=[employee(482)], users=[user("aB3dE", "000482")])

    assert change(plan_of("employees", world), "482").target_id == "aB3dE"


def test_an_account_without_a_number_is_linked_by_its_address() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("aB3dE", None, email="P5@example.com")])

    found = change(plan_of("employees", world), "5")

    assert (found.action, found.target_id) == ("link", "aB3dE")
    assert found.fields["emp_id"] == (None, "5")


def test_an_account_with_somebody_elses_number_is_not_adopted_by_its_address() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("aB3dE", "77", email="p5@example.com")])

    plan = plan_of("employees", world)

    assert verdicts(plan) == {"5": "rejected"}
    assert verdict(plan, "5").reasons == ("E-mail is taken: 77 in SafetyAmp has the same",)


GONE = employee(5, TermDate="2026-01-31 00:00:00")


def test_an_account_that_only_an_address_ties_to_a_leaver_waits_for_a_person() -> None:
    world = company(viewpoint__employees=[GONE], users=[user("aB3dE", None, email="p5@example.com")])

    plan = plan_of("employees", world)

    assert (verdicts(plan), plan.changes) == ({"5": "held"}, ())
    assert verdict(plan, "5").rule == (
        "employment ended 2026-01-31, and access is on: only the email of aB3dE in SafetyAmp, which has no emp_id, "
        "says that it is the same: if it is, `safetyamp link employees 5 aB3dE --reason …`, or take it off by hand"
    )
    assert [found.kind for found in plan.findings] == []


def test_an_address_of_a_leaver_is_no_matter_once_access_is_off_or_somebody_at_work_has_it() -> None:
    known = user("aB3dE", None, email="p5@example.com")
    off = company(viewpoint__employees=[GONE], users=[{**known, "system_access": False}])
    shared = company(viewpoint__employees=[GONE, employee(6, Email="p5@example.com")], users=[known])

    assert verdicts(plan_of("employees", off)) == {"5": "out_of_scope"}
    assert verdicts(plan_of("employees", shared)) == {"5": "out_of_scope", "6": "linked"}


def test_an_account_is_not_remembered_as_ours_before_it_bears_the_number() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("aB3dE", None, email="p5@example.com")])

    assert plan_of("employees", world).agreed == ()


def test_two_rows_with_one_number_are_nobodys_until_a_person_decides() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("one", "5"), user("two", "05")])

    plan = plan_of("employees", world)

    assert verdict(plan, "5").outcome == "held"
    assert verdict(plan, "5").rule == (
        "2 records in SafetyAmp have this emp_id, one and two: correct one of them there, or say which is meant: "
        "`safetyamp link employees 5 ID --reason …`"
    )


PLACED = config(vehicles={"default_site": "YARD"})


def fleet(*vehicles: Record, **asset_says: object) -> World:
    found = asset(60, site_id=20, asset_type_id=40, **asset_says)
    return company(samsara__vehicles=vehicles, asset_types=[asset_type(40, 20)], assets=[found])


@pytest.mark.parametrize(
    "asset_says",
    [
        {"serial": "vin2", "code": "P1", "name": "One"},
        {"serial": "GW", "code": "p2", "name": "One"},
        {"serial": "GW", "code": "P9", "name": "two"},
    ],
    ids=["VIN before gateway", "then the licence plate", "then the name"],
)
def test_of_two_vehicles_that_show_one_gateway_the_other_keys_tell_whose_asset_it_is(asset_says: Record) -> None:
    one = vehicle("v1", serial="GW", vin="VIN1", licensePlate="P1", name="One")
    two = vehicle("v2", serial="GW", vin="VIN2", licensePlate="P2", name="Two")

    plan = plan_of("vehicles", fleet(one, two, **asset_says), rules=PLACED)

    assert verdicts(plan) == {"v1": "created", "v2": "updated"}
    assert change(plan, "v2").target_id == 60


def test_the_loser_of_a_tie_goes_on_to_its_own_record_by_the_next_key() -> None:
    one, two = vehicle("v1", serial="GW", vin="VIN1"), vehicle("v2", serial="GW", vin="VIN2", licensePlate="P2")
    world = fleet(one, two, serial="GW", code=None, name="Truck v1")
    world["assets"] = [*world["assets"], asset(61, serial=None, code="P2", name="Two", site_id=20, asset_type_id=40)]

    plan = plan_of("vehicles", world, rules=PLACED)

    assert {key: change(plan, key).target_id for key in ("v1", "v2")} == {"v1": 60, "v2": 61}


def test_only_a_real_tie_is_held_and_says_its_ways_out() -> None:
    twins = [vehicle(key, licensePlate="P1", name="Truck") for key in ("v1", "v2")]

    plan = plan_of("vehicles", fleet(*twins, code="P1", name="Crane"), rules=PLACED)

    assert verdicts(plan) == {"v1": "held", "v2": "held"}
    assert verdict(plan, "v1").rule == (
        "v1 and v2 claim one SafetyAmp record, 60, by licence plate, and no other key tells them apart: correct one of "
        "them, or say whose it is: `safetyamp link vehicles v1 60 --reason …`"
    )
    assert plan.findings == ()


def test_a_site_is_adopted_by_name_only_while_no_other_job_owns_its_code() -> None:
    world = company(
        viewpoint__jobs=[job("1."), job("2.")],
        sites=[YARD, site(21, "1. - Works 1.", 3, "OLD"), site(22, "2. - Works 2.", 3, "1.")],
    )

    plan = plan_of("jobs", world)

    assert change(plan, "1.").target_id == 22  # its code says so, whatever its name
    assert change(plan, "2.").action == "create"


def test_a_site_found_by_name_gets_its_code() -> None:
    world = company(
        viewpoint__jobs=[job("1.")], sites=[YARD, site(21, "1. - works 1.", 3), site(22, "1. - Works 1.", 3)]
    )

    assert change(plan_of("jobs", world), "1.").fields["ext_id"] == (None, "1.")


def test_what_nobody_claims_is_reported_and_left_alone() -> None:
    world = company(site_clusters=[ROOT, SOUTH, CIVIL], user_titles=[title(7, "Fitter"), title(8, "Astronaut")])
    world["viewpoint/employees"] = [employee(5)]

    plan = plan_of("titles", world)

    assert [(finding.kind, finding.key) for finding in plan.findings] == [("unmanaged", "Astronaut")]
    assert plan.changes == ()


def test_a_link_whose_source_record_vanished_is_reported() -> None:
    plan = plan_of("titles", company(), links={"welder": Remembered(9), "fitter": Remembered(7)})

    assert {(finding.kind, finding.key) for finding in plan.findings} == {
        ("vanished", "welder"),
        ("vanished", "fitter"),
    }
