"""A snapshot's records against the declared schema of their table, by pandera. The declarations are in `sync/`."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pandas as pd

from safetyamp_pipelines.checks.judged import Judged, Level, shown, worst
from safetyamp_pipelines.sync.model.columns import Column, Presence, Schema
from safetyamp_pipelines.sync.model.snapshot import Record

MISSING, EMPTY = "column_in_dataframe", "not_nullable"
"""How pandera names its own checks for a column that is not there and for a null where none may be."""
KIND = "is a "
LIMIT = "every column that the sync reads is there, of its type; keys are never null; new columns are told"


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
    told = [*wrong, *(f"{name} has no value in any record" for name in unfilled)]
    return Judged(
        worst((bool(wrong), Level.ERROR), (bool(unfilled), Level.WARNING)),
        "; ".join(told) or f"{len(records)} rows with the {len(schema.columns)} columns that are read",
        LIMIT,
        keys=tuple(_key(schema, records[row], row) for row in rows),
        more={"new_columns": shown(new)},
    )


def _violations(schema: Schema, records: Sequence[Record], present: set[str]) -> tuple[list[str], list[int]]:
    """What is wrong, a line for each column and rule, and the places of the records concerned. Never a value."""
    import pandera.pandas as pa  # a second of import, which whoever only looks at the definitions does without

    frame = pd.DataFrame(
        {
            column.name: pd.Series([record.get(column.name) for record in records], dtype=object)
            for column in schema.columns
            if column.name in present
        }
    )
    try:
        pa.DataFrameSchema({column.name: _declared(pa, column) for column in schema.columns}).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as found:
        cases = found.failure_cases
    else:
        return [], []
    told, rows = [], set[int]()
    for (rule, name), group in cases.groupby(["check", cases["column"].fillna(cases["failure_case"])], sort=True):
        places = [int(row) for row in group["index"].dropna()]
        told.append(_told(str(rule), str(name), f"{len(places)} of {len(records)} rows"))
        rows.update(places)
    return told, sorted(rows)


def _declared(pa: ModuleType, column: Column) -> Any:
    types = column.kind.types
    return pa.Column(
        checks=pa.Check(lambda values: values.map(type).isin(types), name=f"{KIND}{column.kind}"),
        nullable=column.presence is not Presence.KEY,
        required=column.presence in (Presence.KEY, Presence.NEEDED),
    )


def _told(rule: str, name: str, where: str) -> str:
    if rule == MISSING:
        return f"column {name} is missing"
    return f"{name} is null in {where}" if rule == EMPTY else f"{name} is no {rule.removeprefix(KIND)} in {where}"


def _key(schema: Schema, record: Record, row: int) -> str:
    values = [record.get(name) for name in schema.key]
    return f"row {row}" if None in values else "/".join(str(value).strip() for value in values)
