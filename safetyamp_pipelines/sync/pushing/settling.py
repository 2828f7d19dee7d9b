"""Settling intents without an answer: by looking the record up in rows read after the call, never by guessing."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from safetyamp_pipelines.sync.model.plan import Change
from safetyamp_pipelines.sync.model.remembered import Intent
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.planning.difference import is_shown
from safetyamp_pipelines.sync.planning.matching import key_text, key_written
from safetyamp_pipelines.sync.pushing.bodies import Unresolved, has_sent_value, write_value
from safetyamp_pipelines.sync.pushing.ports import Journal
from safetyamp_pipelines.sync.pushing.sight import Names, Sight

FOUND = "found in SafetyAmp after the answer was lost"


def settle(
    spec: EntitySpec,
    journal: Journal,
    intents: Iterable[Intent],
    rows: Mapping[Id, Record],
    names: Names,
    over: Container[int],
) -> dict[int, Id | None]:
    """Close in the journal the intents that the rows show as done, and those in `over`, whose call can no longer act.
    The others stay open. Returns, by intent, the record that SafetyAmp changed, or None where it had not acted.

    A create is looked up by the primary match key among the rows that no other source record is linked to, an update
    by its id and the values it was to write. Values that the row does not have are not recorded as pushed.
    """
    settled: dict[int, Id | None] = {}
    for intent in intents:
        target_id = _found(spec, intent, rows, names, journal)
        if target_id is not None:
            other = fields_not_taken(spec, intent, rows[target_id], names)
            pushed = {name: value for name, value in intent.after().items() if name not in other}
            note = "; ".join([FOUND, *([not_taken_note(spec, other)] if other else [])])
            journal.done(intent.id, target_id, pushed, {}, note)
        elif intent.id in over:
            journal.undone(intent.id, "not found in SafetyAmp after the answer was lost")
        else:
            continue
        settled[intent.id] = target_id
    return settled


def is_as_written(spec: EntitySpec, row: Record, after: Mapping[str, Any], names: Names) -> bool:
    """Whether the row has the values that were to be written, as far as it shows those fields; a row that shows none of
    them proves nothing, and an update may safely be sent again."""
    fields = _fields_as_written(spec, row, after, names)
    return bool(fields) and all(fields.values())


def fields_not_taken(spec: EntitySpec, change: Change, row: Record, names: Names) -> list[str]:
    """Names of the fields whose value in the row differs from what the change was to write."""
    return [name for name, is_done in _fields_as_written(spec, row, change.after(), names).items() if not is_done]


def not_taken_note(spec: EntitySpec, names: Iterable[str]) -> str:
    """The note for a record where SafetyAmp left these fields as they were."""
    return f"SafetyAmp did not take: {', '.join(spec.field(name).label for name in names)}"


def _fields_as_written(spec: EntitySpec, row: Record, after: Mapping[str, Any], names: Names) -> dict[str, bool]:
    """For each field that the row shows, whether it has the value that was to be written."""
    shown = [field for field in (spec.field(name) for name in after) if is_shown(field, row)]
    return {field.name: _is_field_as_written(field, row, after[field.name], names) for field in shown}


def _is_field_as_written(field: Field, row: Record, after: Any, names: Names) -> bool:
    try:
        sent = write_value(field, after, names.id_of)
    except Unresolved:
        return False
    return has_sent_value(field, row, sent, after, names.references)


def _was_updated(spec: EntitySpec, change: Change, row: Record, names: Names) -> bool:
    """SafetyAmp silently ignores fields it does not accept, so one field with its new value proves that the call was
    carried out; a change of access is done when the access has its new value."""
    fields = _fields_as_written(spec, row, change.after(), names)
    return fields.get(str(spec.access), any(fields.values()))


def _found(spec: EntitySpec, intent: Intent, rows: Mapping[Id, Record], names: Names, journal: Journal) -> Id | None:
    if intent.target_id is None:
        own = {link.target_id for link in journal.links() if link.source_key == intent.source_key}
        others = {link.target_id for link in journal.linked(spec.table)} - own
        return _created(spec, intent.after(), {key: row for key, row in rows.items() if key not in others}, names)
    row = rows.get(intent.target_id)
    return intent.target_id if row is not None and _was_updated(spec, intent, row, names) else None


def _created(spec: EntitySpec, after: Mapping[str, Any], rows: Mapping[Id, Record], names: Names) -> Id | None:
    """The row with the value of the first match key that the create was to write. One that wrote no key, such as a
    vehicle without VIN, gateway and plate, is recognised by all values that it wrote."""
    for key in spec.match:
        if (wanted := key_written(spec, key, after)) is not None:
            return next((row_id for row_id, row in rows.items() if key_text(key, row) == wanted), None)
    return next((row_id for row_id, row in rows.items() if is_as_written(spec, row, after, names)), None)


@dataclass(frozen=True)
class Awaited:
    """An intent without an answer. SafetyAmp may act on it until `until`, behind a gateway that gave up before it did;
    what a read that began then does not show will never come."""

    intent: Intent
    until: datetime


def settle_in_time(
    spec: EntitySpec, journal: Journal, awaited: Sequence[Awaited], sight: Sight, wait: Callable[[datetime], bool]
) -> dict[int, Id | None]:
    """Close the intents in the journal; returns, by intent, the record that SafetyAmp changed, None where it had not
    acted.

    The rows at hand settle what they show, and calls that are long over; the rest is settled by one new read, as late
    as necessary. When `wait` returns False, it was cut short and the rest stays open. Raises SyncError when the read
    fails.
    """
    at_hand = [one for one in awaited if one.intent.intended_at < sight.began]
    settled = _settle(spec, journal, at_hand, sight)
    rest = [one for one in awaited if one.intent.id not in settled]
    if rest and wait(max(one.until for one in rest)):
        sight.look()
        settled |= _settle(spec, journal, rest, sight)
    return settled


def _settle(spec: EntitySpec, journal: Journal, awaited: Sequence[Awaited], sight: Sight) -> dict[int, Id | None]:
    if not awaited:
        return {}  # without asking the journal for the names of thousands of records
    over = {one.intent.id for one in awaited if one.until <= sight.began}
    intents = [one.intent for one in awaited]
    return settle(spec, journal, intents, sight.rows, sight.names, over)
