"""A snapshot's records against the declared schema of their table. The declarations are in `sync/`."""

from __future__ import annotations

from collections.abc import Sequence

from safetyamp_pipelines.checks.judged import Judged, Level, key_list, worst
from safetyamp_pipelines.sync.model.columns import Presence, Schema
from safetyamp_pipelines.sync.model.snapshot import Record

LIMIT = "every column that the sync reads is there, of its type; keys are never null; new columns are reported"


def judge_schema(schema: Schema, records: Sequence[Record]) -> Judged:
    """Missing columns, changed types and null keys are errors, columns that only this site has a warning."""
    if not records:
        return Judged(Level.FINE, "no rows, so no columns to look at", LIMIT)
    present = {name for record in records for name in record}
    wrong, rows = _violations(schema, records, present)
    unfilled = [
        column.name
        for column in schema.columns
        if column.presence is Presence.SITE and all(record.get(column.name) is None for record in records)
    ]
    new = sorted(present - schema.known())
    found = [*wrong, *(f"{name} has no value in any record" for name in unfilled)]
    return Judged(
        worst((bool(wrong), Level.ERROR), (bool(unfilled), Level.WARNING)),
        "; ".join(found) or f"{len(records)} rows with the {len(schema.columns)} columns that are read",
        LIMIT,
        keys=tuple(_key(schema, records[row], row) for row in rows),
        more={"new_columns": key_list(new)},
    )


def _violations(schema: Schema, records: Sequence[Record], present: set[str]) -> tuple[list[str], list[int]]:
    """What is wrong, a line for each column and rule, and the places of the records concerned. Never a value."""
    missing, changed, null = [], [], []
    rows = set[int]()
    for column in sorted(schema.columns, key=lambda column: column.name):
        name, types = column.name, column.kind.types
        if name not in present:
            if column.presence in (Presence.KEY, Presence.NEEDED):
                missing.append(f"column {name} is missing")
            continue
        values = [record.get(name) for record in records]
        of_other_type = {row for row, value in enumerate(values) if value is not None and type(value) not in types}
        if of_other_type:
            changed.append(f"{name} is not of type {column.kind} in {len(of_other_type)} of {len(records)} rows")
        empty = {row for row, value in enumerate(values) if value is None and column.presence is Presence.KEY}
        if empty:
            null.append(f"{name} is null in {len(empty)} of {len(records)} rows")
        rows |= of_other_type | empty
    return [*missing, *changed, *null], sorted(rows)


def _key(schema: Schema, record: Record, row: int) -> str:
    values = [record.get(name) for name in schema.key]
    return f"row {row}" if None in values else "/".join(str(value).strip() for value in values)
