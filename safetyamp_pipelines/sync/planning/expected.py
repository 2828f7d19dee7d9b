"""The state a plan leads to: observed with the plan applied, which later plans use before anything was written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from typing import Any

from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.plan import Action, Change, Plan
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field
from safetyamp_pipelines.sync.model.tables import Id, References, set_path


def expected_references(
    observed: Mapping[str, Collection[Record]],
    earlier: Iterable[tuple[EntitySpec, Plan]],
    linked: Mapping[str, Set[Id]] | None = None,
) -> References:
    """SafetyAmp's tables after the earlier plans, in their order; rows yet to be created have ids of `new_id`. Of two
    rows with the same key the one in `linked` keeps it: the push uses that one, too."""
    expected = references(observed, known=linked)
    for spec, plan in earlier:
        rows = apply_plan(spec, plan, expected[spec.table].rows.values(), expected)
        claimed = {agreed.target_id for agreed in plan.agreed} | {_row_id(plan, change) for change in plan.changes}
        expected = expected.with_rows(spec.table, rows, claimed)
    return expected


def apply_plan(spec: EntitySpec, plan: Plan, records: Iterable[Record], keyed: References) -> list[dict[str, Any]]:
    """The records of one table with every change of the plan written where SafetyAmp shows it."""
    rows: dict[Id, dict[str, Any]] = {record["id"]: dict(record) for record in records}
    for change in plan.changes:
        row_id = _row_id(plan, change)
        if change.action is Action.CREATE:
            rows[row_id] = {"id": row_id}
        row = rows[row_id]
        for name, value in change.after().items():
            field = spec.field(name)
            set_path(row, field.read or field.name, _referred(field, value, keyed))
    return list(rows.values())


def _row_id(plan: Plan, change: Change) -> Id:
    return change.target_id if change.target_id is not None else new_id(plan.table, change.natural_key)


def new_id(table: str, natural_key: str) -> str:
    """The stand-in id of a row that a plan will create."""
    return f"new:{table}:{natural_key}"


def _referred(field: Field, value: Any, keyed: References) -> Any:
    if field.references is None or value is None:
        return value
    found = keyed[field.references].id_of(value)
    return found if found is not None else new_id(field.references, value)
