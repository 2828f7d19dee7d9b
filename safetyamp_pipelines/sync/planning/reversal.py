"""The plan that undoes one session. Pure; reading SafetyAmp and pushing are in `operations/undo_step.py`.

What stood before is known of every change: the ledger writes it together with the intent, before the call
is made, so no other inverse is kept. A field is set back only while SafetyAmp still says what the session wrote.
Nothing is deleted: a record that the session created is switched off where it has a switch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Action, Change, Outcome, Plan, Verdict, payload_hash
from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field
from safetyamp_pipelines.sync.model.tables import Id, References, has_path
from safetyamp_pipelines.sync.planning.circumstances import holders_of
from safetyamp_pipelines.sync.planning.difference import is_same, observed_value, value_hash
from safetyamp_pipelines.sync.planning.guards import Scale, place_groups, refusals
from safetyamp_pipelines.sync.planning.only import waits_for
from safetyamp_pipelines.sync.planning.waves import can_release, in_waves, rings_of
from safetyamp_pipelines.sync.rules.config import SyncConfig


@dataclass(frozen=True)
class Ground:
    """What an undo is planned on: SafetyAmp's tables just read, and the links. `inputs` are their content hashes."""

    shown: References
    links: Mapping[str, Link]
    as_of: str
    inputs: Mapping[str, str]


@dataclass
class _Record:
    """All that the session did to one record, and what is to be set back."""

    source_key: str
    natural_key: str = ""
    target_id: Id | None = None
    is_new: bool = False
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def plan_undo(spec: EntitySpec, session_id: int, done: Iterable[Change], ground: Ground, config: SyncConfig) -> Plan:
    """The plan that sets back what the session's changes wrote, oldest change first. Guards judge it as any other."""
    records = _by_record(done)
    for record in records:
        _set_back(spec, record, ground)
    _leave_taken_values(spec, records, ground.shown)
    changes = _changes(spec, records, session_id)
    _leave_rings(spec, records, changes)
    _leave_taken_values(spec, records, ground.shown)  # by those that keep theirs in a ring
    changes = _changes(spec, records, session_id)
    ordered = in_waves(spec, changes, waits_for(spec, changes))
    actions = {change.source_key: change.action for change in ordered}
    above = config.guards.second_person_above
    return Plan(
        entity=spec.name,
        table=spec.table,
        as_of=ground.as_of,
        inputs=ground.inputs,
        config_hash=value_hash(config.model_dump(mode="json")),
        changes=tuple(ordered),
        verdicts=tuple(_verdict(record, actions.get(record.source_key), session_id) for record in records),
        refused=refusals(spec, changes, _scale(spec, ground), config.guards),
        only=tuple(record.source_key for record in records),
        by_two=tuple(sorted(actions)) if above is not None and len(actions) > above else (),
    )


def _by_record(done: Iterable[Change]) -> list[_Record]:
    """The changes of one record as one: before the first of them, after the last."""
    found: dict[str, _Record] = {}
    for change in done:
        record = found.setdefault(change.source_key, _Record(change.source_key))
        record.natural_key = change.natural_key
        record.target_id = change.target_id if change.target_id is not None else record.target_id
        record.is_new = record.is_new or change.action == Action.CREATE
        for name, (before, after) in change.fields.items():
            record.before.setdefault(name, before)
            record.after[name] = after
    return sorted(found.values(), key=lambda record: record.source_key)


def _set_back(spec: EntitySpec, record: _Record, ground: Ground) -> None:
    row = ground.shown[spec.table].rows.get(record.target_id) if record.target_id is not None else None
    if row is None:
        record.notes.append("SafetyAmp does not list it any more")
    elif record.is_new:
        _switch_off(spec, record, row, ground.shown)
    elif not record.after:
        record.notes.append("its values were erased by forget, so its earlier values are unknown")
    else:
        link = ground.links.get(record.source_key)
        for name in sorted(record.after):
            _set_field_back(spec.field(name), record, row, ground.shown, link.pushed if link is not None else {})


def _switch_off(spec: EntitySpec, record: _Record, row: Record, shown: References) -> None:
    if spec.access is None:
        record.notes.append("it was created; nothing is ever deleted, and it has no switch to turn off")
    elif (now := observed_value(spec.field(spec.access), row, shown, {})) != 0:
        record.fields[spec.access] = (now, 0)


def _set_field_back(
    declared: Field, record: _Record, row: Record, shown: References, pushed: Mapping[str, Any]
) -> None:
    name = declared.name
    now, before = observed_value(declared, row, shown, pushed), record.before[name]
    if is_same(declared, now, before, shown):
        return
    if (why := _why_left(declared, now, record, row, shown)) is None:
        record.fields[name] = (now, before)
    else:
        record.notes.append(f"{declared.label}: {why}")


def _why_left(declared: Field, now: Any, record: _Record, row: Record, shown: References) -> str | None:
    before, after = record.before[declared.name], record.after[declared.name]
    if not is_same(declared, now, after, shown):
        return "changed since, left as it is"
    if before is None and (declared.read is None or not has_path(row, declared.read)):
        return "SafetyAmp does not show this field, so its earlier value is unknown"
    if before is None and declared.required:
        return "it was empty before, and a required field is not emptied"
    if before is not None and declared.references is not None and shown[declared.references].id_of(before) is None:
        return "what it referred to is not in SafetyAmp any more"
    return None


def _leave_taken_values(spec: EntitySpec, records: Sequence[_Record], shown: References) -> None:
    """A unique value that another record has by now stays there, unless that record gives it up in the same undo."""
    own = {record.target_id: record for record in records}
    is_settled = False
    while not is_settled:
        is_settled = True
        for record in records:
            for declared in (spec.field(name) for name in list(record.fields) if spec.field(name).unique is not None):
                before, rows = record.fields[declared.name][1], shown[spec.table].rows
                bearers = holders_of(declared, before, rows, record.target_id)
                if any(declared.name not in own.get(bearer, _Record("")).fields for bearer in bearers):
                    _leave(record, declared, "another record has this value by now")
                    is_settled = False


def _leave_rings(spec: EntitySpec, records: Sequence[_Record], changes: Sequence[Change]) -> None:
    """Values that records exchanged and SafetyAmp requires are set back by no order of calls: a person has to begin."""
    steps = {change.source_key: change for change in changes}
    waiting = waits_for(spec, changes)
    fixed = {key: {one for one in others if not can_release(spec, steps, one, key)} for key, others in waiting.items()}
    for ring in rings_of(fixed):
        members = ", ".join(sorted(ring))
        for record in (record for record in records if record.source_key in ring):
            unique = [declared for name in record.fields if (declared := spec.field(name)).unique is not None]
            for declared in (declared for declared in unique if not declared.can_be_cleared):
                _leave(
                    record,
                    declared,
                    f"stays as it is, a ring: {spec.name} {members} have each other's, and none can go first. Give one "
                    f"of them another {declared.label.lower()} in SafetyAmp by hand and undo once more; its own is "
                    "then set by hand, too",
                )


def _leave(record: _Record, declared: Field, why: str) -> None:
    del record.fields[declared.name]
    record.notes.append(f"{declared.label}: {why}")


def _changes(spec: EntitySpec, records: Sequence[_Record], session_id: int) -> list[Change]:
    return [_change(spec, record, session_id) for record in records if record.fields]


def _change(spec: EntitySpec, record: _Record, session_id: int) -> Change:
    access = record.fields.get(spec.access or "", (None, None))[1]
    action = Action.UPDATE if access is None else Action.REACTIVATE if access else Action.DEACTIVATE
    after = {name: pair[1] for name, pair in record.fields.items()}
    return Change(
        action,
        record.source_key,
        record.natural_key,
        record.target_id,
        dict(record.fields),
        f"takes back session {session_id}",
        payload_hash(spec.name, action, after),
    )


def _verdict(record: _Record, action: Action | None, session_id: int) -> Verdict:
    notes = tuple(record.notes)
    if action is not None:
        return Verdict(record.source_key, OUTCOME_OF[action], f"takes back session {session_id}", notes=notes)
    if notes:
        return Verdict(record.source_key, Outcome.HELD, "left as it is", reasons=notes)
    return Verdict(record.source_key, Outcome.UNCHANGED, f"is as it was before session {session_id}")


def _scale(spec: EntitySpec, ground: Ground) -> Scale:
    """Guards measure against the linked records that SafetyAmp shows, and count by the places of those switched on."""
    rows = ground.shown[spec.table].rows
    linked = {key: rows[link.target_id] for key, link in ground.links.items() if link.target_id in rows}
    groups = {key: place_groups(spec, row, ground.shown) for key, row in linked.items()}
    return Scale(len(linked), False, {key: found for key, found in groups.items() if found}, {}, {})
