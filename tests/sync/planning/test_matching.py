"""Recognising records: by link, then by the declared keys in order; what is doubtful waits for a person."""

from __future__ import annotations

from small_worlds import (
    CIVIL,
    ROOT,
    SOUTH,
    YARD,
    Remembered,
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


def test_a_leaver_is_recognised_by_number_alone() -> None:
    gone = employee(5, TermDate="2020-01-01 00:00:00")
    world = company(viewpoint__employees=[gone], users=[user("aB3dE", None, email="p5@example.com")])

    assert verdicts(plan_of("employees", world)) == {"5": "out_of_scope"}


def test_two_rows_with_one_number_are_nobodys_until_a_person_decides() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("one", "5"), user("two", "05")])

    plan = plan_of("employees", world)

    assert verdict(plan, "5").outcome == "held"
    assert verdict(plan, "5").rule == "2 records in SafetyAmp have this emp_id"


def test_two_records_that_claim_one_row_are_both_held() -> None:
    place = {"vehicles": {"default_site": "YARD"}}
    world = company(
        samsara__vehicles=[vehicle("v1", licensePlate="P1"), vehicle("v2", licensePlate="p1")],
        asset_types=[asset_type(40, 20)],
        assets=[asset(60, code="P1", site_id=20, asset_type_id=40)],
    )

    plan = plan_of("vehicles", world, rules=config(**place))

    assert verdicts(plan) == {"v1": "held", "v2": "held"}
    assert verdict(plan, "v1").rule == "2 source records claim one SafetyAmp record by licence plate"


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
