"""What a value and a mapping become: typed or refused with a reason, and never the value in it."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from safetyamp_pipelines.jira import field_mapping
from safetyamp_pipelines.jira.field_mapping import (
    FIXED,
    FieldMapping,
    MappingError,
    imported_mapping,
    mapping_schema,
    packaged_mapping,
    parse_mapping,
    problems_with,
    read_mapping,
    row_values,
)
from safetyamp_pipelines.jira.values import ABSENT, Untyped, typed

SPRINT = "com.atlassian.greenhopper.service.sprint.Sprint@1f[id=6,state=ACTIVE,name=a, [b],goal=<null>]"
DOCUMENT = {
    "type": "doc",
    "content": [
        {"type": "heading", "content": [{"type": "text", "text": "Title"}]},
        {
            "type": "paragraph",
            "content": [
                {"type": "text", "text": "See "},
                {"type": "inlineCard", "attrs": {"url": "https://x.example"}},
                {"type": "hardBreak"},
                {"type": "mention", "attrs": {"text": "@Ada"}},
                {"type": "emoji", "attrs": {"text": ":)"}},
                {"type": "date", "attrs": {"timestamp": "1700000000000"}},
            ],
        },
        {"type": "somethingNew", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "kept"}]}]},
        {"type": "nothingKnown", "attrs": {}},
    ],
}


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("text", DOCUMENT, "Title\nSee https://x.example\n@Ada:)1700000000000\nkept"),
        ("text", {"value": "Hall", "child": {"value": "Bay"}}, "Hall > Bay"),
        ("text", {"name": "n", "displayName": "Ada", "key": "k"}, "Ada"),
        ("text", [{"value": "a"}, {"value": "b"}], "a, b"),
        ("text", SPRINT, "a, [b]"),
        ("text", "a\0b", "ab"),
        ("text", "", None),
        ("text", 0, "0"),
        ("text", False, "false"),
        ("integer", 3.0, 3),
        ("integer", "Order 4711", 4711),
        ("integer", "-7", -7),
        ("number", 0.1, Decimal("0.1")),
        ("number", "1e2", Decimal("1e2")),
        ("boolean", {"value": "Yes"}, True),
        ("boolean", "off", False),
        ("date", "2026-07-15T23:59:00.000-0500", date(2026, 7, 15)),
        ("datetime", "2026-07-15T22:26:03.672-0500", datetime.fromisoformat("2026-07-16T03:26:03.672+00:00")),
        ("datetime", 1_700_000_000_000, datetime.fromisoformat("2023-11-14T22:13:20+00:00")),
        ("list", ["a", None, "b"], ["a", "b"]),
        ("list", [], None),
        ("json", {"a\0": ["\0"]}, {"a": [""]}),
    ],
)
def test_a_value_is_typed(kind: Any, raw: Any, value: Any) -> None:
    assert typed(kind, raw) == value


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("integer", "1 of 2"),
        ("integer", 1.5),
        ("integer", "none"),
        ("integer", 10**19),
        ("integer", True),
        ("number", "NaN"),
        ("number", "Infinity"),
        ("number", "1e999999999"),
        ("number", "1_000"),
        ("boolean", "perhaps"),
        ("date", "15.7.2026"),
        ("datetime", "2026-07-15"),
        ("datetime", "2026-07-15T10:00:00"),
        ("datetime", 10**30),
    ],
)
def test_what_a_type_cannot_hold_is_refused_without_repeating_it(kind: Any, raw: Any) -> None:
    with pytest.raises(Untyped) as refused:
        typed(kind, raw)
    assert str(raw) not in str(refused.value)


def test_every_source_of_a_column() -> None:
    mapping = read_mapping(
        """
        columns:
          first: {type: text, fields: [a, b]}
          joined: {type: text, fields: [a, b], combine: " / "}
          sprint: {type: text, field: s, pick: active}
          last: {type: text, field: l, pick: last}
          deep: {type: text, field: status.category.key}
          many: {type: list, field: parts.name}
          gone: {type: text, field: nowhere}
          some: {type: text, sources: {b: {field: a}}}
        """
    )
    fields = {
        "a": "",
        "b": {"value": "B"},
        "s": [{"name": "old", "state": "closed"}, SPRINT],
        "l": ["x", "y"],
        "status": {"category": {"key": "done"}},
        "parts": [{"name": "p"}, {"name": "q"}],
    }
    values, untyped = row_values(mapping, "site", fields)
    assert values == {
        "first": "B",
        "joined": "B",
        "sprint": "a, [b]",
        "last": "y",
        "deep": "done",
        "many": ["p", "q"],
        "gone": ABSENT,
    }
    assert untyped == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("columns: {Bad Name: {type: text, field: a}}", "lower-case"),
        ("columns: {issue_key: {type: text, field: a}}", "every row has"),
        ("columns: {a: {type: money, field: a}}", "columns.a.type"),
        ("columns: {a: {type: text, field: a, fields: [b]}}", "exactly one"),
        ("columns: {a: {type: text}}", "columns.a"),
        ("columns: {a: {type: text, field: a, sources: {x: {field: b}}}}", "both"),
        ("columns: {a: {type: text, when: {to: Done}}}", "datetime"),
        ("columns: {a: {type: integer, fields: [x, y], combine: ', '}}", "text"),
        ("columns: {a: {type: text, field: a, colour: red}}", "colour"),
        ("columns: [", "YAML"),
        ("nothing: 1", "columns"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(MappingError, match="the Jira mapping") as refused:
        read_mapping(text)
    assert words in str(refused.value)


def test_the_catalogue_finds_unknown_fields_and_instances() -> None:
    mapping = parse_mapping(
        {"columns": {"a": {"type": "text", "sources": {"x": {"field": "cf_1.value"}, "z": {"field": "q"}}}}}
    )
    catalogue: dict[str, Any] = {"x": {"cf_2": {}}, "y": {"cf_1": {}}}
    assert problems_with(mapping, catalogue) == ["a: there is no instance z", "a: x has no field cf_1"]
    assert problems_with(mapping, {}) == []


def test_the_packaged_mapping_and_the_schema_agree() -> None:
    document = packaged_mapping().document()
    jsonschema.validate(document, FieldMapping.model_json_schema())
    assert not set(document["columns"]) & set(FIXED)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"columns": {"a": {"type": "money"}}}, FieldMapping.model_json_schema())


def test_the_old_dashboards_document_is_taken_over_and_what_is_not_is_named() -> None:
    old = {
        "version": "2.0",
        "instances": {"instance_1": "Site A", "instance_2": "Site B"},
        "field_groups": {
            "order": {
                "fields": {
                    "ndpu_order_no": {
                        "type": "string",
                        "description": "Order",
                        "instance_1": {"field_id": "customfield_10101", "name": "Order no"},
                        "instance_2": {"field_ids": ["customfield_1", "customfield_2"], "combine": "comma"},
                    },
                    "parts": {"type": "array", "instance_1": {"field_id": "customfield_3"}, "instance_2": {}},
                    "done": {"type": "datetime", "instance_1": {"transition_name": "Done"}},
                    "summary": {"type": "string", "system_field": True, "field_id": "summary"},
                    "issue_key": {"type": "string", "field_id": "key"},
                }
            }
        },
    }
    mapping, left = imported_mapping(json.dumps(old))
    columns = mapping.document()["columns"]
    assert columns["ndpu_order_no"]["sources"] == {
        "instance_1": {"field": "customfield_10101"},
        "instance_2": {"fields": ["customfield_1", "customfield_2"], "combine": ", "},
    }
    assert columns["ndpu_parts"] == {"type": "list", "sources": {"instance_1": {"field": "customfield_3"}}}
    assert columns["ndpu_done"]["sources"]["instance_1"] == {"when": {"to": "Done"}}
    assert columns["summary"]["sources"] == {"*": {"field": "summary"}}
    assert left == ["parts: no field in instance_2", "issue_key: every row has it"]


def test_the_committed_schema_is_the_models_and_takes_both_forms_of_a_column() -> None:
    folder = Path(field_mapping.__file__).parent
    committed = json.loads((folder / "mapping.schema.json").read_text(encoding="utf-8"))
    assert committed == mapping_schema(), "write json.dumps(mapping_schema(), indent=2) to it"
    jsonschema.validate(yaml.safe_load((folder / "mapping.yaml").read_text(encoding="utf-8")), committed)
    short, whole = {"type": "text", "field": "a"}, {"type": "text", "sources": {"*": {"field": "a"}}}
    jsonschema.validate({"columns": {"a": short, "b": whole}}, committed)
    for wrong in ({"type": "text"}, {**short, **whole}, {**short, "fields": ["b"]}, {**short, "typo": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"columns": {"a": wrong}}, committed)
