"""What each source record should become, with the fields that sync.yaml adds to the declared ones. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.kinds import EntityRules
from safetyamp_pipelines.sync.model.mapping import MappedRow, map_fields
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec, Rows


def desired_of(spec: EntitySpec, inputs: Inputs, rules: EntityRules) -> list[Desired]:
    """The desired records of an entity `with_custom` fields."""
    desired = spec.desire(inputs, rules)
    fields = spec.fields[len(spec.fields) - len(rules.custom_fields) :]
    if not fields or not desired:
        return desired
    beside = spec.beside(inputs)
    sources = [source for field in fields for source in field.sources]
    columns = {source: [_value(spec, one, source, beside) for one in desired] for source in sources}
    mapped = map_fields(columns, fields, rules.phone_region, spec.unknown(inputs.unread))
    return [_with(one, found) if one.values else one for one, found in zip(desired, mapped, strict=True)]


def _with(record: Desired, found: MappedRow) -> Desired:
    """The record with its further values. What several rows do not agree on is unknown, not empty."""
    empty = record.empty | (found.empty if len(record.rows) == 1 else set())
    notes = (*record.notes, *found.notes)
    return replace(record, values={**record.values, **found.values}, notes=notes, empty=empty)


def _value(spec: EntitySpec, record: Desired, source: str, beside: Callable[[Desired], Rows]) -> Any:
    """What the record's row says; of several rows, such as those of a title, only what all of them say."""
    table, _, column = source.rpartition(".")
    rows = record.rows if table == spec.key.table else (beside(record).get(table, {}),)
    values = [row.get(column) for row in rows]
    return values[0] if values and all(value == values[0] for value in values) else None
