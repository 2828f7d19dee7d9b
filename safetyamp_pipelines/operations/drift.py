"""What people changed or added in SafetyAmp that the source lacks, as a table in the source's own column names.

The way back to the source is a file that payroll imports: nothing is ever written into the ERP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from safetyamp_pipelines.operations.display import target_name
from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.operations.sheet import Table
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Field, Policy
from safetyamp_pipelines.sync.planning.difference import observed_value

SOURCE_WORDS: Mapping[str, Mapping[Any, str]] = {"gender": {0: "F", 1: "M"}}
"""What the source writes for a value that is cleaned so."""


ENTERED, NEEDED, ONLY_THERE = "entered in SafetyAmp", "needed, and only SafetyAmp has it", "only in SafetyAmp"
Cells = dict[str, Any]


def drift_table(stored: Stored) -> Table:
    """One row a record with the columns that would have to change in the source, and those alone filled; then records
    that are in SafetyAmp alone, with all that it has of them."""
    columns = _columns(stored)
    key = stored.spec.key
    keys = [name for name in (key.company, key.column) if name is not None]
    drifts = ((row, _drift(stored, row, columns)) for row in stored.records(key.table))
    found = [([row[name] for name in keys], drift[0], drift[1], drift[2]) for row, drift in drifts if drift is not None]
    for number, name, cells, note in _only_there(stored, columns):
        found.append(([*[None] * (len(keys) - 1), number], name, cells, note))
    used = [column for column in columns if any(column in cells for _, _, cells, _ in found)]
    rows = [[*named, *(cells.get(name) for name in used), who, note] for named, who, cells, note in found]
    return [*keys, *used, "Name in SafetyAmp", "Note"], rows


def _columns(stored: Stored) -> dict[str, Field]:
    """Column of the entity's own table → the field that it is the first source of there; rules have no column."""
    prefix = f"{stored.spec.key.table}."
    found: dict[str, Field] = {}
    for field in stored.spec.with_policies(stored.config.of(stored.spec)):
        own = [source.removeprefix(prefix) for source in field.sources if source.startswith(prefix)]
        if own and field.read is not None and own[0] != stored.spec.key.column:
            found.setdefault(own[0], field)
    return found


def _drift(stored: Stored, row: Record, columns: Mapping[str, Field]) -> tuple[str, Cells, str] | None:
    """The record's name, column → SafetyAmp's value where the source does not have it, and why; None for no such."""
    key, table = stored.spec.key, stored.shown[stored.spec.table]
    number = key.of(row)
    named = f"{row[key.company]}/{number}" if key.company is not None else number
    links = stored.inputs.memory.links
    link = links.get(named) or links.get(number)
    target = table.rows.get(link.target_id if link is not None else table.id_of(number) or "")
    record = next((one for one in stored.desired if one.source_key in (named, number)), None)
    if target is None or record is None:
        return None
    pushed = link.pushed if link is not None else {}
    if record.values and link is not None:
        cells, note = dict(_edited(stored, record.values, pushed, target, columns)), ENTERED
    elif record.reasons:
        missing = {column: field for column, field in columns.items() if row.get(column) in (None, "")}
        cells, note = dict(_edited(stored, {}, pushed, target, missing)), NEEDED
    else:
        return None
    return (target_name(stored.spec, target), cells, note) if cells else None


def _only_there(stored: Stored, columns: Mapping[str, Field]) -> Iterator[tuple[Any, str, Cells, str]]:
    """Key if SafetyAmp has one, name, column → value, note of the records that no source record is."""
    table = stored.shown[stored.spec.table]
    ids = {table.key_of(row_id) or str(row_id): row_id for row_id in table.rows}
    source = f"{stored.spec.key.table}.{stored.spec.key.column}"
    number = next((field for field in stored.spec.fields if source in field.sources), None)
    for finding in stored.plan.findings:
        if finding.kind == "unmanaged" and finding.key in ids:
            row = table.rows[ids[finding.key]]
            key = observed_value(number, row, stored.shown, {}) if number is not None else None
            yield key, target_name(stored.spec, row), dict(_edited(stored, {}, {}, row, columns)), ONLY_THERE


def _edited(
    stored: Stored,
    desired: Mapping[str, Any],
    pushed: Mapping[str, Any],
    target: Record,
    columns: Mapping[str, Field],
) -> Iterator[tuple[str, Any]]:
    """Column → SafetyAmp's value where people entered one that is not desired."""
    for column, field in columns.items():
        shown, wanted = observed_value(field, target, stored.shown, pushed), desired.get(field.name)
        is_added = wanted is None and shown not in (None, "") and shown != pushed.get(field.name)
        is_edited = (
            field.policy in (Policy.MERGE, Policy.FILL) and wanted is not None and shown not in (None, "", wanted)
        )
        if is_added or is_edited:
            yield column, SOURCE_WORDS.get(field.clean, {}).get(shown, shown)
