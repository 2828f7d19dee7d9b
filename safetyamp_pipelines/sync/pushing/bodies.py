"""From a change in natural keys to the body of a call in ids, and from the answer back to what was not taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from safetyamp_pipelines.sync.model.plan import Action, Change
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field
from safetyamp_pipelines.sync.model.tables import Id, References, at_path, set_path
from safetyamp_pipelines.sync.planning.difference import is_same, is_shown, observed_value, offered

Resolve = Callable[[str, str], Id | None]
"""(table, natural key) → SafetyAmp id, or None when it is not there."""


class Unresolved(Exception):
    """What a change refers to is missing in SafetyAmp; the text names it."""


def build_body(spec: EntitySpec, change: Change, row: Record | None, resolve: Resolve) -> dict[str, Any]:
    """The changed fields, plus for an update what SafetyAmp insists on, read from its own row. Raises Unresolved."""
    body = {name: write_value(spec.field(name), value, resolve) for name, value in change.after().items()}
    if change.action is Action.CREATE:
        return body
    for name in spec.target.always:
        if name not in body and row is not None:
            raw = at_path(row, spec.field(name).read or name)
            body[name] = int(raw) if isinstance(raw, bool) else raw
    return body


def write_value(field: Field, value: Any, resolve: Resolve) -> Any:
    """A field's value as SafetyAmp takes it: references as ids, a list of ids as objects. Raises Unresolved."""
    if value is None:
        return [] if field.as_list_of_ids else None
    if field.references is None:
        return value
    target_id = resolve(field.references, value)
    if target_id is None:
        raise Unresolved(f"{field.label} {value!r} is not in SafetyAmp")
    return [{"id": target_id}] if field.as_list_of_ids else target_id


def compare_answer(
    spec: EntitySpec, change: Change, body: Mapping[str, Any], answer: Record, references: References
) -> tuple[dict[str, str | None], dict[str, Any]]:
    """Which of the sent fields SafetyAmp did not take, by `difference.offered`, and what it showed instead of those.

    SafetyAmp ignores what it does not know and answers 200, so silence about a field proves nothing either way.
    """
    not_taken: dict[str, str | None] = {}
    instead: dict[str, Any] = {}
    for name, (before, after) in change.fields.items():
        field = spec.field(name)
        if not is_shown(field, answer):
            not_taken[name] = offered(after, before)
        elif has_sent_value(field, answer, body[name], after, references):
            not_taken[name] = None
        else:
            not_taken[name] = offered(after)
            instead[name] = observed_value(field, answer, references, {})
    return not_taken, instead


def has_sent_value(field: Field, answer: Record, sent: Any, after: Any, references: References) -> bool:
    """Whether the record has the value that was sent: references by their id, all else as a plan would compare it."""
    if field.references is not None:
        wanted = _plain_id(field, sent)
        return bool(at_path(answer, field.read or field.name) == wanted)
    return is_same(field, observed_value(field, answer, references, {}), after, references)


def row_after(
    spec: EntitySpec, change: Change, body: Mapping[str, Any], row: Record | None, answer: Record, target_id: Id
) -> dict[str, Any]:
    """The table's row after the call: its old values, overlaid with what was sent and then with SafetyAmp's answer."""
    after: dict[str, Any] = {**(row or {}), "id": target_id}
    for name in change.fields:
        field = spec.field(name)
        set_path(after, field.read or name, _plain_id(field, body[name]))
    return {**after, **answer, "id": target_id}


def _plain_id(field: Field, sent: Any) -> Any:
    """What was sent of a field, without the list that some ids are sent in."""
    if not field.as_list_of_ids:
        return sent
    return sent[0]["id"] if sent else None
