"""The schema check: what stops, what warns, what is only told; and no value of a record is ever told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetyamp_pipelines.checks.column_checks import judge_schema
from safetyamp_pipelines.checks.judged import Level
from safetyamp_pipelines.sync.entities.registry import SCHEMAS
from safetyamp_pipelines.sync.model.columns import Column, Kind, Presence, Schema
from safetyamp_pipelines.sync.model.snapshot import Record

PEOPLE = SCHEMAS["viewpoint/employees"]
VALUES: dict[Kind, Any] = {Kind.TEXT: "x", Kind.WHOLE: 1, Kind.FLAG: True, Kind.LIST: [], Kind.OBJECT: {}}
JSON = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just([]) | st.just({})
SMALL = Schema(
    (
        Column("id", Kind.WHOLE, Presence.KEY),
        Column("name", Kind.TEXT),
        Column("udTitle", Kind.TEXT, Presence.SITE),
        Column("note", Kind.TEXT, Presence.LOOSE),
        Column("on", Kind.FLAG),
    ),
    others="made_at",
)


def rows(schema: Schema, count: int = 3, **changes: Any) -> list[dict[str, Any]]:
    """Records as declared, numbered in the first column of the key."""
    whole = [{column.name: VALUES[column.kind] for column in schema.columns} for _ in range(count)]
    return [row | {schema.key[-1]: place} | changes for place, row in enumerate(whole)]


def without(records: list[dict[str, Any]], column: str) -> list[Record]:
    return [{name: value for name, value in record.items() if name != column} for record in records]


def test_records_as_declared_are_fine() -> None:
    found = judge_schema(SMALL, rows(SMALL, made_at="2026"))
    assert (found.level, found.measured) == (Level.FINE, "3 rows with the 5 columns that are read")
    assert found.more == {"new_columns": "none"}


def test_nothing_is_said_of_the_columns_of_an_empty_table() -> None:
    assert judge_schema(SMALL, []).level is Level.FINE


def test_a_needed_column_that_is_gone_stops() -> None:
    found = judge_schema(SMALL, without(rows(SMALL), "name"))
    assert (found.level, found.measured) == (Level.ERROR, "column name is missing")


def test_a_needed_column_may_be_null_and_may_be_left_out_of_some_records() -> None:
    some = [*rows(SMALL, name=None), *without(rows(SMALL), "name")]
    assert judge_schema(SMALL, some).level is Level.FINE


def test_a_changed_type_stops_and_names_the_records_by_key() -> None:
    records = rows(SMALL, 30)
    records[7]["name"] = 12
    found = judge_schema(SMALL, records)
    assert (found.level, found.keys) == (Level.ERROR, ("7",))
    assert found.measured == "name is not of type text in 1 of 30 rows"


@pytest.mark.parametrize(("value", "level"), [(1, Level.FINE), (False, Level.FINE), ("yes", Level.ERROR)])
def test_a_flag_comes_as_a_truth_value_or_as_a_number(value: object, level: Level) -> None:
    assert judge_schema(SMALL, rows(SMALL, on=value)).level is level


def test_a_truth_value_is_no_key() -> None:
    assert judge_schema(SMALL, [*rows(SMALL, 1), *rows(SMALL, 1, id=True)]).level is Level.ERROR


@pytest.mark.parametrize("spoil", [lambda record: record.pop("id"), lambda record: record.update(id=None)])
def test_a_record_without_its_key_stops(spoil: Any) -> None:
    records = rows(SMALL)
    spoil(records[1])
    found = judge_schema(SMALL, records)
    assert (found.level, found.measured, found.keys) == (Level.ERROR, "id is null in 1 of 3 rows", ("row 1",))


def test_a_column_of_this_site_that_says_nothing_warns() -> None:
    for records in (rows(SMALL, udTitle=None), without(rows(SMALL), "udTitle")):
        found = judge_schema(SMALL, records)
        assert (found.level, found.measured) == (Level.WARNING, "udTitle has no value in any record")


def test_what_has_nothing_to_say_may_be_left_out() -> None:
    assert judge_schema(SMALL, without(rows(SMALL), "note")).level is Level.FINE


def test_a_new_column_is_told_and_stops_nothing() -> None:
    records = rows(SMALL)
    records[2]["invented"] = "x"
    found = judge_schema(SMALL, records)
    assert (found.level, found.more["new_columns"]) == (Level.FINE, "invented")


def test_everything_wrong_is_told_at_once() -> None:
    records = without(rows(SMALL, id=None, on="yes"), "name")
    found = judge_schema(SMALL, records).measured
    for part in ("name is missing", "id is null in 3", "on is not of type flag in 3"):
        assert part in found


def test_a_person_is_named_by_company_and_number_and_by_nothing_else() -> None:
    records = rows(PEOPLE, LastName="Łukasz-Secret")
    records[1]["FirstName"] = 404_404
    found = judge_schema(PEOPLE, records)
    assert found.keys == ("1/1",)
    assert [value for value in ("Secret", "404404") if value in repr(found)] == []


@settings(deadline=None, max_examples=40)
@given(st.lists(st.dictionaries(st.sampled_from(["id", "name", "udTitle", "note", "on", "more"]), JSON), max_size=6))
def test_whatever_comes_is_judged_and_nothing_wrong_is_fine(records: list[dict[str, Any]]) -> None:
    found = judge_schema(SMALL, records)
    kinds = {column.name: column for column in SMALL.columns}
    bad = any(
        value is not None and type(value) not in kinds[name].kind.types
        for record in records
        for name, value in record.items()
        if name in kinds
    )
    gone = records and any(not any(name in record for record in records) for name in ("id", "name", "on"))
    keyless = any(record.get("id") is None for record in records)
    assert (found.level is Level.ERROR) == bool(bad or gone or keyless)
