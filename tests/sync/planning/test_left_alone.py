"""Protected records are never touched, suppressed ones stay out, accounts of nobody are reported and never changed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from small_worlds import (
    CIVIL,
    ROOT,
    SOUTH,
    Remembered,
    cluster,
    company,
    config,
    department,
    employee,
    job,
    plan_of,
    user,
    verdict,
    verdicts,
)

FIRED = "2026-01-31 00:00:00"
GUARDED = {"protected_roles": ["Company Administrator"]}
ADMIN = [{"id": 1, "name": "Company Administrator"}, {"id": 3, "name": "Field"}]


def findings(plan) -> list[tuple[str, str]]:
    return [(found.kind, found.key) for found in plan.findings if found.kind != "vanished"]


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({}, {}),
        ({"TermDate": FIRED}, {}),
        ({}, {"system_access": False}),
        ({"City": "Houma"}, {"city": "Lafitte"}),
    ],
)
@pytest.mark.parametrize("key", ["5", 5])
def test_a_protected_key_is_never_touched(columns: dict[str, Any], shown: dict[str, Any], key: object) -> None:
    world = company(viewpoint__employees=[employee(5, **columns)], users=[user("u5", "5", **shown)])

    plan = plan_of("employees", world, rules=config(employees={"protected": [key]}))

    assert (plan.changes, plan.agreed, verdicts(plan)) == ((), (), {"5": "skipped"})
    assert verdict(plan, "5").rule == "protected: named in employees.protected of sync.yaml"


def test_an_account_with_a_protected_role_is_never_touched_nor_linked_by_its_address() -> None:
    known, unnamed = user("u5", "5", roles=ADMIN), user("u6", None, roles=ADMIN, email="P6@example.com")
    world = company(viewpoint__employees=[employee(5), employee(6), employee(7)], users=[known, unnamed])

    plan = plan_of("employees", world, rules=config(employees=GUARDED))
    open_to_all = plan_of("employees", world)
    other = plan_of("employees", world, rules=config(employees={"protected_roles": ["FIELD"]}))

    assert verdicts(plan) == {"5": "skipped", "6": "skipped", "7": "created"}
    assert (
        verdict(plan, "6").rule
        == "protected: has the role Company Administrator (employees.protected_roles of sync.yaml)"
    )
    assert verdicts(open_to_all) == {"5": "updated", "6": "linked", "7": "created"}
    assert verdicts(other)["5"] == "skipped"


def test_a_protected_person_who_left_is_reported_as_long_as_the_access_is_on() -> None:
    gone, rules = [employee(5, TermDate=FIRED)], config(employees=GUARDED)
    on, off = user("u5", "5", roles=ADMIN), user("u5", "5", roles=ADMIN, system_access=False)

    assert findings(plan_of("employees", company(viewpoint__employees=gone, users=[on]), rules=rules)) == [
        ("protected_leaver", "5")
    ]
    assert findings(plan_of("employees", company(viewpoint__employees=gone, users=[off]), rules=rules)) == []


def test_a_protected_key_that_safetyamp_does_not_know_is_not_created() -> None:
    plan = plan_of(
        "employees", company(viewpoint__employees=[employee(5)]), rules=config(employees={"protected": ["5"]})
    )

    assert (plan.changes, verdicts(plan)) == ((), {"5": "skipped"})


def test_a_value_that_a_protected_account_holds_is_not_set_free() -> None:
    staff = [employee(5, Email="new@example.com"), employee(6, Email="p5@example.com")]
    world = company(viewpoint__employees=staff, users=[user("u5", "5", email="p5@example.com", roles=ADMIN)])

    plan = plan_of("employees", world, rules=config(employees=GUARDED))

    assert verdicts(plan) == {"5": "skipped", "6": "rejected"}
    assert verdict(plan, "6").reasons == ("E-mail is taken: 5 in SafetyAmp has the same",)


def test_suppressed_keys_stay_out_and_one_that_is_there_is_reported_and_stays_as_it_is() -> None:
    staff = [employee(5), employee(6, TermDate=FIRED), employee(7)]
    world = company(viewpoint__employees=staff, users=[user("u6", "6")])

    plan = plan_of("employees", world, rules=config(employees={"suppressed": ["5", "6"]}))

    assert verdicts(plan) == {"5": "skipped", "6": "skipped", "7": "created"}
    assert verdict(plan, "5").rule == "suppressed: named in employees.suppressed of sync.yaml"
    assert findings(plan) == [("suppressed_in_safetyamp", "6")]


def test_a_suppressed_person_takes_no_address_from_anybody() -> None:
    staff = [employee(5, Email="x@example.com"), employee(6, Email="x@example.com")]

    plan = plan_of("employees", company(viewpoint__employees=staff), rules=config(employees={"suppressed": ["5"]}))

    assert verdicts(plan) == {"5": "skipped", "6": "created"}


def test_every_entity_has_its_lists() -> None:
    world = company(
        viewpoint__departments=[department("10"), department("20")],
        viewpoint__jobs=[job("24113."), job("24114.")],
        viewpoint__employees=[employee(5, udEmpTitle="Welder")],
    )

    rules = config(departments={"suppressed": [20]}, jobs={"suppressed": ["24113."]}, titles={"suppressed": ["welder"]})

    assert verdicts(plan_of("departments", world, rules=rules))["20"] == "skipped"
    assert verdicts(plan_of("jobs", world, rules=rules)) == {"24113.": "skipped", "24114.": "created"}
    assert verdicts(plan_of("titles", world, rules=rules)) == {"welder": "skipped"}


@pytest.mark.parametrize("written", ["Welder", " WELDER "])
def test_a_title_is_named_as_people_read_it(written: str) -> None:
    world = company(viewpoint__employees=[employee(5, udEmpTitle="Welder")])

    for kept_out in ("suppressed", "protected"):
        plan = plan_of("titles", world, rules=config(titles={kept_out: [written]}))
        assert verdicts(plan) == {"welder": "skipped"}


def test_a_key_named_twice_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="must name each key once"):
        config(employees={"protected": ["5", 5]})


def test_accounts_of_nobody_are_reported_and_never_changed() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("boss", None), user("api", "A-1")])

    plan = plan_of("employees", world, links={"9": Remembered("gone")})

    assert findings(plan) == [("unmanaged", "A-1"), ("unmanaged", "users [boss]")]
    assert {change.target_id for change in plan.changes} == {None}


def test_the_root_cluster_is_where_ours_stand_and_no_stray() -> None:
    stray = cluster(9, "Stray", 1, "99")

    plan = plan_of("departments", company(site_clusters=[ROOT, SOUTH, CIVIL, stray]))

    assert findings(plan) == [("unmanaged", "99")]
