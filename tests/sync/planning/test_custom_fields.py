"""Fields that only sync.yaml declares are mapped, cleaned, compared and told like the declared ones."""

from __future__ import annotations

from typing import Any

from small_worlds import (
    Remembered,
    account,
    applied,
    change,
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

from safetyamp_pipelines.assets.describe import field_mapping
from safetyamp_pipelines.checks.column_checks import judge_schema
from safetyamp_pipelines.sync.entities.registry import BY_NAME, SCHEMAS

NICKNAME = {"column": "Suffix", "field": "nickname", "label": "Called"}


def custom(entity: str = "employees", **changes: Any) -> Any:
    return config(**{entity: {"custom_fields": [{**NICKNAME, **changes}]}})


def test_a_custom_field_is_created_compared_and_converges() -> None:
    people = [employee(5, Suffix=" Jr "), employee(6, Suffix=None), employee(7, Suffix="Sr")]
    world = company(viewpoint__employees=people, users=[user("u7", "7", nickname="Old")])

    plan = plan_of("employees", world, rules=custom())
    again = plan_of("employees", applied(plan, world), rules=custom())

    assert change(plan, "5").after()["nickname"] == "Jr"
    assert "nickname" not in change(plan, "6").fields
    assert pairs(plan, "7")["nickname"] == ("Old", "Sr")
    assert "Called" in verdict(plan, "7").rule
    assert set(verdicts(again).values()) == {"unchanged"}


def test_its_policy_and_its_cleaner_hold() -> None:
    world = company(
        viewpoint__employees=[employee(5, udCall="12"), employee(6, udCall="+1 504 555 0123")],
        users=[user("u5", "5"), user("u6", "6", home_phone="+15045550199")],
    )
    phone = {"column": "udCall", "field": "home_phone", "cleaner": "phone"}

    plain, fill = custom(**phone), custom(**phone, policy="fill")

    assert pairs(plan_of("employees", world, rules=plain), "6")["home_phone"] == ("+15045550199", "+15045550123")
    assert "home_phone" not in pairs(plan_of("employees", world, rules=fill), "6")
    notes = verdict(plan_of("employees", world, rules=plain), "5").notes
    assert "Called: Viewpoint udCall is not a number that can be dialled" in notes


def test_it_may_come_from_another_source_and_one_that_was_not_read_leaves_it_as_it_is() -> None:
    world = company(
        viewpoint__employees=[employee(5)],
        entra__users=[account(5, mail="p5@example.com", mobilePhone="A7")],
        users=[user("u5", "5", extension="1")],
    )
    rules = custom(column="entra/users.mobilePhone", field="extension")

    assert pairs(plan_of("employees", world, rules=rules), "5")["extension"] == ("1", "A7")
    unread = plan_of("employees", world, rules=rules, unread={"entra/users": "AuthRefused"})
    assert "extension" not in pairs(unread, "5")
    assert any(note.startswith("Called stays as it is") for note in verdict(unread, "5").notes)


def test_later_plans_and_plans_without_the_field_go_on_with_one_that_has_it() -> None:
    world = company(
        viewpoint__employees=[employee(5, Suffix="Jr")],
        samsara__drivers=[driver("d", notes="5")],
        samsara__vehicles=[vehicle("1", staticAssignedDriver={"id": "d"})],
        users=[user("u5", "5")],
    )
    plan = plan_of("employees", world, rules=custom())

    assert verdicts(plan_of("vehicles", world, after=[plan]))["1"] in ("created", "rejected")
    links = {"5": Remembered("u5", {"nickname": "Jr"})}
    assert "nickname" not in pairs(plan_of("employees", world, links=links), "5")


def test_the_field_table_shows_it_and_the_schema_check_knows_its_column() -> None:
    spec = BY_NAME["employees"].with_custom(custom(column="udShirt", cleaner="number", policy="merge").employees)
    last = field_mapping(spec)["field_mapping"].records[-1].data

    assert (last["field"], last["from"], last["cleaned as"], last["policy"]) == (
        *("nickname", "Viewpoint udShirt", "number", "merge"),
    )
    assert spec.field("nickname").personal
    rows = [dict.fromkeys(SCHEMAS["viewpoint/employees"].known()) | employee(5, udShirt=None)]
    rules = custom(column="udShirt")
    judged = judge_schema(SCHEMAS["viewpoint/employees"].with_site(rules.site_columns("viewpoint/employees")), rows)
    assert "udShirt has no value in any record" in judged.measured
    assert judged.more["new_columns"] == judge_schema(SCHEMAS["viewpoint/employees"], [employee(5)]).more["new_columns"]
