"""Settling intents without an answer: by looking the record up in rows read after the call, never by guessing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from safetyamp_pipelines.sync.bodies import Unresolved, shows, write_value
from safetyamp_pipelines.sync.journal import Journal, OpenIntent
from safetyamp_pipelines.sync.names import Names
from safetyamp_pipelines.sync.snapshot import Record
from safetyamp_pipelines.sync.spec import EntitySpec
from safetyamp_pipelines.sync.tables import Id, at_path, fold, has_path


def settle(
    spec: EntitySpec,
    journal: Journal,
    intents: Iterable[OpenIntent],
    rows: Iterable[Record],
    names: Names,
) -> dict[int, bool]:
    """Answer each intent in the journal from the rows given; returns by intent whether SafetyAmp had acted.

    A create is looked up by the primary match key, an update by its id and the values it was to write.
    """
    by_id = {row["id"]: row for row in rows}
    settled: dict[int, bool] = {}
    for intent in intents:
        target_id = _found(spec, intent, by_id, names)
        settled[intent.id] = target_id is not None
        if target_id is not None:
            journal.done(intent.id, target_id, intent.after, {}, "found in SafetyAmp after the answer was lost")
        else:
            journal.undone(intent.id, "not found in SafetyAmp after the answer was lost")
    return settled


def _found(spec: EntitySpec, intent: OpenIntent, by_id: Mapping[Id, Record], names: Names) -> Id | None:
    if intent.target_id is None:
        return _created(spec, intent.after, by_id)
    row = by_id.get(intent.target_id)
    return intent.target_id if row is not None and _says(spec, row, intent.after, names) else None


def _created(spec: EntitySpec, after: Mapping[str, Any], by_id: Mapping[Id, Record]) -> Id | None:
    """The row that bears the value of the first match key the create was to write."""
    for key in spec.match:
        value = next((after[f.name] for f in spec.fields if f.read == key.read and after.get(f.name)), None)
        if value is None:
            continue
        wanted = fold(value, case=key.fold_case, numeric=key.numeric)
        for row_id, row in by_id.items():
            shown = at_path(row, key.read)
            if shown not in (None, "") and fold(shown, case=key.fold_case, numeric=key.numeric) == wanted:
                return row_id
        return None
    return None


def _says(spec: EntitySpec, row: Record, after: Mapping[str, Any], names: Names) -> bool:
    """Whether the row says what was to be written, as far as SafetyAmp shows those fields."""
    for field in (spec.field(name) for name in after):
        if field.read is None or not has_path(row, field.read):
            continue
        try:
            sent = write_value(field, after[field.name], names.id_of)
        except Unresolved:
            return False
        if not shows(field, row, sent, after[field.name], names.references):
            return False
    return True
