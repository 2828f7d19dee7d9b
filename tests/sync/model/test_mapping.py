"""Mapping: the declared sources in their order, and the words a payroll clerk reads when none will do."""

from __future__ import annotations

from typing import Any

from safetyamp_pipelines.sync.model.mapping import MappedRow, map_fields, source_label
from safetyamp_pipelines.sync.model.spec import Field

MAIL = Field(
    "email", "E-mail", ("entra/users.mail", "viewpoint/employees.Email"), "email", clean="email", required=True
)
PHONE = Field("work_phone", "Work phone", ("viewpoint/employees.Phone",), "work_phone", clean="phone")
HOME = Field("home_site_id", "Home site", ("rule.home_site",), "home_site_id", required=True)


def mapped(field: Field, **columns: list[Any]) -> list[MappedRow]:
    names = {name.replace("__", "/").replace("_dot_", "."): values for name, values in columns.items()}
    return map_fields(names, [field])


def test_the_first_source_with_a_usable_value_wins() -> None:
    result = mapped(
        MAIL,
        entra__users_dot_mail=["a@example.com", None, "x@acme.onmicrosoft.com"],
        viewpoint__employees_dot_Email=["b@example.com", "c@example.com", "d@example.com"],
    )

    assert [row.values["email"] for row in result] == ["a@example.com", "c@example.com", "d@example.com"]
    assert [row.reasons for row in result] == [[], [], []]
    assert [row.notes for row in result] == [
        [],
        [],
        ["E-mail: Entra mail is an onmicrosoft address, which is not a mailbox"],
    ]


def test_a_later_source_is_not_blamed_when_an_earlier_one_was_usable() -> None:
    result = mapped(MAIL, entra__users_dot_mail=["a@example.com"], viewpoint__employees_dot_Email=["nonsense"])

    assert [row.notes for row in result] == [[]]


def test_a_required_field_without_a_value_says_where_it_can_be_filled() -> None:
    result = mapped(MAIL, entra__users_dot_mail=[None], viewpoint__employees_dot_Email=[None])

    assert [row.reasons for row in result] == [["E-mail is missing: fill Entra mail or Viewpoint Email"]]


def test_a_required_field_with_only_unusable_values_says_what_is_wrong_with_each() -> None:
    result = mapped(MAIL, entra__users_dot_mail=["x@a.onmicrosoft.com"], viewpoint__employees_dot_Email=["nonsense"])

    assert [row.reasons for row in result] == [
        [
            "E-mail: Entra mail is an onmicrosoft address, which is not a mailbox; "
            "Viewpoint Email is not a valid e-mail address"
        ]
    ]
    assert [row.notes for row in result] == [[]]


def test_an_optional_field_with_an_unusable_value_is_left_out_with_a_note() -> None:
    result = mapped(PHONE, viewpoint__employees_dot_Phone=["12"])

    assert [row.values for row in result] == [{"work_phone": None}]
    assert [row.reasons for row in result] == [[]]
    assert [row.notes for row in result] == [["Work phone: Viewpoint Phone is not a number that can be dialled"]]


def test_a_rule_that_finds_no_value_says_why_in_its_own_words() -> None:
    result = mapped(HOME, rule_dot_home_site=["YARD", None], rule_dot_home_site_dot_why=["unused", "no timecard"])

    assert [row.reasons for row in result] == [[], ["no timecard"]]


def test_a_constant_that_follows_a_source_only_stands_in() -> None:
    region = Field("region", "Region", ("viewpoint/employees.State", "sync.yaml.default"), "region")
    zone = Field("zone", "Zone", ("sync.yaml.default",), "zone")
    columns = {"viewpoint/employees.State": ["TX", None], "sync.yaml.default": ["LA", "LA"]}

    result = map_fields(columns, [region, zone])

    assert [row.values for row in result] == [{"region": "TX", "zone": "LA"}, {"region": "LA", "zone": "LA"}]
    assert [row.stand_ins for row in result] == [set(), {"region"}]


def test_a_source_the_frame_does_not_have_is_as_good_as_empty() -> None:
    result = mapped(MAIL, viewpoint__employees_dot_Email=["b@example.com"])

    assert [row.values for row in result] == [{"email": "b@example.com"}]


def test_sources_are_named_as_operators_know_them() -> None:
    assert source_label("viewpoint/employees.Email") == "Viewpoint Email"
    assert source_label("samsara/vehicles.vin") == "Samsara vin"
    assert source_label("sync.yaml.jobs.country") == "sync.yaml.jobs.country"
