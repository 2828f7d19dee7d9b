"""The state a plan leads to: observed with the plan applied, which later plans use before anything was written."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from safetyamp_pipelines.sync.model.plan import Action, Plan
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field
from safetyamp_pipelines.sync.model.tables import Id, References, set_path


def expected_references(
    observed: Mapping[str, Iterable[Record]], earlier: Iterable[tuple[EntitySpec, Plan]]
) -> References:
    """SafetyAmp's tables after the earlier plans, in their order; rows yet to be created have ids of `new_id`."""
    records: dict[str, list[Record]] = {table: list(rows) for table, rows in observed.items()}
    for spec, plan in earlier:
        records[spec.table] = [*apply_plan(spec, plan, records.get(spec.table, []), References(records))]
    return References(records)


def apply_plan(spec: EntitySpec, plan: Plan, records: Iterable[Record], references: References) -> list[dict[str, Any]]:
    """The records of one table with every change of the plan written where SafetyAmp shows it."""
    rows: dict[Id, dict[str, Any]] = {record["id"]: dict(record) for record in records}
    for change in plan.changes:
        row_id = change.target_id if change.target_id is not None else new_id(spec.table, change.natural_key)
        if change.action is Action.CREATE:
            rows[row_id] = {"id": row_id}
        row = rows[row_id] = copy.deepcopy(rows[row_id])
        for name, value in change.after().items():
            field = spec.field(name)
            set_path(row, field.read or field.name, _referred(field, value, references))
    return list(rows.values())


def new_id(table: str, natural_key: str) -> str:
    """The stand-in id of a row that a plan will create."""
    return f"new:{table}:{natural_key}"


def _referred(field: Field, value: Any, references: References) -> Any:
    if field.references is None:
        return value
    found = references[field.references].id_of(value)
    return found if found is not None else new_id(field.references, value)
