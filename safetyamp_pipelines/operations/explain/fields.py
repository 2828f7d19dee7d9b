"""Each field of one record: the value of every declared source, which one was chosen, and what SafetyAmp has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.sync.model.clean import CLEANERS, Unclean
from safetyamp_pipelines.sync.model.mapping import source_label
from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Desired, Field, Rows
from safetyamp_pipelines.sync.planning.difference import observed_value


def explain_fields(stored: Stored, record: Desired, row: Record | None, link: Link | None) -> list[dict[str, Any]]:
    """One entry a declared field. `row` is what SafetyAmp shows of the record, None when it is not there."""
    rows = rows_of(stored, record)
    fields = record.under(stored.spec.with_policies(stored.config.of(stored.spec)))
    return [_field(stored, field, record, rows, row, link) for field in fields]


def _field(
    stored: Stored, field: Field, record: Desired, rows: Rows, row: Record | None, link: Link | None
) -> dict[str, Any]:
    sources = [_source(stored, field, source, record, rows) for source in field.sources]
    chosen = next((source["source"] for source in sources if source["usable"] is not None), None)
    pushed: Mapping[str, Any] = link.pushed if link is not None else {}
    value = record.values.get(field.name)
    return {
        "field": field.name,
        "label": field.label,
        "value": value,
        "from": None if value is None else chosen,
        "sources": sources,
        "cleaned_as": field.clean,
        "policy": str(field.policy),
        "when_empty": field.when_empty,
        "safetyamp": None if row is None else observed_value(field, row, stored.shown, pushed),
        "last_pushed": pushed.get(field.name),
        "not_taken": link is not None and field.name in link.not_taken,
    }


def _source(stored: Stored, field: Field, source: str, record: Desired, rows: Rows) -> dict[str, Any]:
    """One source: its raw value, the cleaned value, and why there is none."""
    raw = _raw(stored, field, source, record, rows)
    usable, trouble = None, None
    if raw is not None:
        try:
            usable = CLEANERS[field.clean](raw, stored.config.of(stored.spec).phone_region)
        except Unclean as unclean:
            trouble = str(unclean)
    words = stored.spec.words.get(source)
    label = source_label(source) if words is None else f"rule ({words})"
    return {"source": label, "raw": raw, "usable": usable, "trouble": trouble}


def _raw(stored: Stored, field: Field, source: str, record: Desired, rows: Rows) -> Any:
    """A rule's value is known only as what came of it: the field's value, when no source before the rule had one."""
    table, _, column = source.partition(".")
    if table == "rule":
        return record.values.get(field.name)
    if source.startswith("sync.yaml."):
        value: Any = stored.config
        for part in source.removeprefix("sync.yaml.").split("."):
            value = getattr(value, part)
        return value
    return rows.get(table, {}).get(column)


def rows_of(stored: Stored, record: Desired) -> Rows:
    """The rows behind a record; a table that says nothing of it is left out. A region of departments has no row."""
    key, keys = stored.spec.key, (record.natural_key, record.source_key, record.source_key.partition("/")[2])
    own = next((row for row in record.rows if key.of(row) in keys), None)
    return {**({key.table: own} if own is not None else {}), **stored.spec.beside(stored.inputs)(record)}
