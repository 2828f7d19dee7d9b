"""`safetyamp status` and `history`: what is going on, and what the last pushes did, from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from safetyamp_pipelines.ledger import Ledger, LoggedChange
from safetyamp_pipelines.operations.explain.calls import call_document
from safetyamp_pipelines.operations.lease import LEASE
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES
from safetyamp_pipelines.sync.model.errors import Refusal


def status_of(ledger: Ledger, now: datetime) -> dict[str, Any]:
    """Pause, lease, last session, open intents and failures by entity, and the approvals that stand at `now`."""
    failures = [entity for entity, failure in ledger.all_failures(now=now) if failure.state != "dismissed"]
    holder = ledger.lease_holder(LEASE)
    return {
        "paused": plain(ledger.pause_state()),
        "pushing": None if holder is None else {"holder": holder[0], "since": plain(holder[1])},
        "entities": {
            spec.name: {
                "last_session": next(iter(history_of(ledger, 1, spec.name)), None),
                "open_intents": len(ledger.open_intents(spec.name)),
                "failures": failures.count(spec.name),
            }
            for spec in ENTITIES
        },
        "approvals": [plain(approval) for approval in ledger.approvals() if approval.expires_at > now],
    }


def require_entity(name: str | None) -> None:
    """Raises Refusal for a name that is no entity's: its empty list would be mistaken for an answer."""
    if name is not None and name not in BY_NAME:
        raise Refusal(f"no such entity: {name}. There are {', '.join(BY_NAME)}")


def history_of(ledger: Ledger, limit: int, entity: str | None = None) -> list[dict[str, Any]]:
    """The newest sessions, newest first, as plain values. Raises Refusal when there is no such entity."""
    require_entity(entity)
    return [plain(session) for session in ledger.sessions(limit, entity=entity)]


def session_of(ledger: Ledger, session_id: int) -> dict[str, Any]:
    """One session with its changes, oldest first, as plain values. Raises Refusal when there is no such."""
    session = ledger.session(session_id)
    if session is None:
        raise Refusal(f"there is no session {session_id}: `safetyamp history` lists them")
    changes = ledger.changes(session_id=session_id)[::-1]
    return {**plain(session), "changes": [_change_without_values(session.entity, change) for change in changes]}


def _change_without_values(entity: str, change: LoggedChange) -> dict[str, Any]:
    """The names of the fields, and no value: those are shown by `safetyamp explain`."""
    call = call_document(BY_NAME[entity], change)
    return {**{name: value for name, value in call.items() if name != "session_id"}, "fields": list(call["fields"])}


def render_changes(session: dict[str, Any]) -> Iterator[str]:
    """A line for each change of `session_of`."""
    for change in session["changes"]:
        answer = f" ({change['http_status']})" if change["http_status"] is not None else ""
        rule = f" — {change['rule']}" if change["rule"] else ""
        refused = f": {', '.join(change['refused_fields'])}" if change["refused_fields"] else ""
        fields = f" [{', '.join(change['fields'])}]" if change["fields"] else ""
        status = change["status"] or "no answer yet"
        yield f"  {change['intended_at']}  {change['key']} {change['action']} {status}{answer}{rule}{refused}{fields}"


def render_session(session: dict[str, Any]) -> str:
    """One line for a session of `history_of`."""
    counts = session["counts"] if session["counts"] is not None else session["planned"]
    counted = ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "nothing to do"
    planned = "" if session["counts"] is not None else "planned: "
    calls = "" if session["calls"] is None else f", {session['calls']} calls"
    kind = "" if session["is_whole"] else " (some keys)"
    kind = kind if session["undoes"] is None else f" (undo of session {session['undoes']})"
    return (
        f"session {session['id']}  {session['started_at']}  {session['entity']}{kind}  {session['status']}  "
        f"{planned}{counted}{calls}, plan {session['plan_hash'][:12]}, run {session['run_id']}"
    )


def render_status(status: dict[str, Any]) -> list[str]:
    """The lines of `status_of`."""
    pause, pushing = status["paused"], status["pushing"]
    lines = [
        f"paused by {pause['who']} since {pause['at']}: {pause['reason']}" if pause else "not paused",
        f"{pushing['holder']} is pushing since {pushing['since']}" if pushing else "nobody is pushing",
    ]
    for entity, facts in status["entities"].items():
        session = facts["last_session"]
        lines.append(f"{entity}: {render_session(session) if session else 'never pushed'}")
        if facts["open_intents"]:
            lines.append(f"  {facts['open_intents']} calls without an answer: the next sync looks them up")
        if facts["failures"]:
            lines.append(f"  {facts['failures']} refused by SafetyAmp: `safetyamp failures list`")
    lines += [
        f"approved until {given['expires_at']}: plan {given['plan_hash'][:12]} of {given['entity']}, "
        f"by {given['who']}: {given['reason']}"
        for given in status["approvals"]
    ]
    return lines
