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


def drift_table(stored: Stored) -> Table:
    """One row a record with the columns that would have to change in the source, and those alone filled."""
    columns = _columns(stored)
    found = [(row, cells) for row in stored.records(stored.spec.key.table) if (cells := _cells(stored, row, columns))]
    used = [column for column in columns if any(column in cells for _, cells in found)]
    key = stored.spec.key
    keys = [name for name in (key.company, key.column) if name is not None]
    rows = [[*(row[name] for name in keys), *(cells.get(name) for name in used), cells[""]] for row, cells in found]
    return [*keys, *used, "Name in SafetyAmp"], rows


def _columns(stored: Stored) -> dict[str, Field]:
    """Column of the entity's own table → the field that it is the first source of there; rules have no column."""
    prefix = f"{stored.spec.key.table}."
    found: dict[str, Field] = {}
    for field in stored.spec.with_policies(stored.config.of(stored.spec)):
        own = [source.removeprefix(prefix) for source in field.sources if source.startswith(prefix)]
        if own and field.references is None and field.read is not None and not field.required:
            found.setdefault(own[0], field)
    return found


def _cells(stored: Stored, row: Record, columns: Mapping[str, Field]) -> dict[str, Any]:
    """Column → SafetyAmp's value, where people entered one that the source does not have. "" is the record's name."""
    key = stored.spec.key
    number = key.of(row)
    named = f"{row[key.company]}/{number}" if key.company is not None else number
    links = stored.inputs.memory.links
    link = links.get(named) or links.get(number)
    target = None if link is None else stored.shown[stored.spec.table].rows.get(link.target_id)
    if link is None or target is None:
        return {}
    record = next((one for one in stored.desired if one.source_key in (named, number)), None)
    if record is None or not record.values:
        return {}
    cells = dict(_edited(stored, record.values, link.pushed, target, columns))
    return {**cells, "": target_name(stored.spec, target)} if cells else {}


def _edited(
    stored: Stored,
    desired: Mapping[str, Any],
    pushed: Mapping[str, Any],
    target: Record,
    columns: Mapping[str, Field],
) -> Iterator[tuple[str, Any]]:
    for column, field in columns.items():
        shown, wanted = observed_value(field, target, stored.shown, pushed), desired.get(field.name)
        is_added = wanted is None and shown not in (None, "") and shown != pushed.get(field.name)
        is_edited = (
            field.policy in (Policy.MERGE, Policy.FILL) and wanted is not None and shown not in (None, "", wanted)
        )
        if is_added or is_edited:
            yield column, SOURCE_WORDS.get(field.clean, {}).get(shown, shown)
