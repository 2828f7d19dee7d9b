"""One change of the ledger, for people: what was sent, what was there before, and the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safetyamp_pipelines.ledger import LoggedChange
from safetyamp_pipelines.operations.local_time import local_time
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.sync.model.plan import Action
from safetyamp_pipelines.sync.model.spec import EntitySpec

_SHOWN = ("session_id", "intended_at", "action", "status", "http_status", "rule")


def call_document(spec: EntitySpec, call: LoggedChange) -> dict[str, Any]:
    """The change with its fields by label, each [before, after]. Of a forgotten record no values are left."""
    labels = {field.name: field.label for field in spec.fields}
    refused = call.error if isinstance(call.error, list) else []
    return {
        **{name: plain(getattr(call, name)) for name in _SHOWN},
        "key": call.source_key,
        "safetyamp_id": call.target_id,
        "fields": {labels.get(name, name): list(values) for name, values in call.fields.items()},
        "refused_fields": [labels.get(name, name) for name in refused],
    }


def render_call(call: dict[str, Any], timezone: str, *, every: bool = False) -> list[str]:
    """The lines of one change of `call_document`. They show values."""
    answer = f" ({call['http_status']})" if call["http_status"] is not None else ""
    refused = f": {', '.join(call['refused_fields'])}" if call["refused_fields"] else ""
    rule = f" — {call['rule']}{refused}" if call["rule"] else ""
    status = call["status"] or "no answer yet"
    at, session = local_time(call["intended_at"], timezone), call["session_id"]
    return [
        f"  {at}  {call['action']} {status}{answer}{rule}, session {session}",
        *(f"  {line}" for line in render_fields(call, every=every)),
    ]


def render_fields(change: Mapping[str, Any], *, every: bool) -> list[str]:
    """Before → after of a change's fields; of a new record, where nothing stood before, their number unless `every`."""
    if change["action"] == Action.CREATE and not every:
        return [f"  {len(change['fields'])} fields: --all shows them"]
    return [f"  {label}: {render_value(old)} → {render_value(new)}" for label, (old, new) in change["fields"].items()]


def render_value(value: Any) -> str:
    """A value in a sentence."""
    return "nothing" if value is None else repr(value)
