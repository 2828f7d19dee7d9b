"""`safetyamp status` and `history`: what is running, and what the last pushes did, from the ledger alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from safetyamp_pipelines.ledger import ChangeApproval, Ledger, LoggedChange, Session
from safetyamp_pipelines.operations.explain.calls import call_document
from safetyamp_pipelines.operations.lease import who_pushes
from safetyamp_pipelines.operations.local_time import local_time
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES, full_name
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.systems.http.budget_postgres import booked_calls

NOT_DONE = ("stopped", "failed", "abandoned")
COMMANDS = {
    "held": ("held", "safetyamp plan {entity}"),
    "rejected": ("rejected", "safetyamp plan {entity}"),
    "failures": ("refused", "safetyamp failures list"),
    "open_intents": ("without an answer", "safetyamp sync {entity}"),
}
"""The label of each kind of waiting record, and the command that shows or ends it."""


def status_of(ledger: Ledger, now: datetime, settings: Settings | None = None) -> dict[str, Any]:
    """One word for all, then pause, lease, progress, what each entity did last and what waits for people at `now`.

    With `settings` also what is left of the call budget and when the schedule starts next.
    """
    waiting = Counter((one.entity, one.state) for one in ledger.waiting(now))
    sessions = {spec.name: next(iter(ledger.sessions(1, entity=spec.name)), None) for spec in ENTITIES}
    holder, pause = who_pushes(ledger), ledger.pause_state()
    stopped = [session for session in sessions.values() if session is not None and session.status in NOT_DONE]
    last = max(stopped, key=lambda session: session.id, default=None)
    plans, changes = ledger.standing_approvals()
    return {
        "condition": _condition(pause is not None, holder is not None, sessions, last is not None, bool(waiting)),
        "paused": plain(pause),
        "pushing": None if holder is None else {"holder": holder[0], "since": plain(holder[1])},
        "progress": _progress(ledger, sessions.values(), now, settings),
        "entities": {
            name: {
                "last_session": plain(session),
                "open_intents": waiting[name, "unanswered"],
                "failures": waiting[name, "refused"],
                "held": waiting[name, "held"],
                "rejected": waiting[name, "rejected"],
            }
            for name, session in sessions.items()
        },
        "approvals": [plain(approval) for approval in plans],
        "change_approvals": _by_set(changes),
        "last_error": None
        if last is None
        else {"session": last.id, "entity": last.entity, "status": last.status, "at": plain(last.ended_at)},
        "budget": None if settings is None else _budget(settings, now),
        "next_start": None if settings is None else _next_start(settings, now),
    }


def _by_set(approvals: Iterable[ChangeApproval]) -> list[dict[str, Any]]:
    """Approvals that were given together, as one: all keys, with the rest listed once."""
    shared = ("entity", "guard", "who", "login", "reason", "at", "expires_at")
    sets: dict[tuple[Any, ...], list[str]] = {}
    for one in approvals:
        sets.setdefault(tuple(getattr(one, name) for name in shared), []).append(one.source_key)
    return [
        {**{name: plain(value) for name, value in zip(shared, given, strict=True)}, "keys": sorted(keys)}
        for given, keys in sets.items()
    ]


def _condition(
    is_paused: bool, is_pushing: bool, sessions: Mapping[str, Session | None], has_failed: bool, has_work: bool
) -> str:
    """The one word for the overall state."""
    words = {
        "paused": is_paused,
        "pushing": is_pushing,
        "never synced": all(session is None for session in sessions.values()),
        "the last push did not end well": has_failed,
        "people have work": has_work,
    }
    return next((word for word, holds in words.items() if holds), "in step")


def _progress(
    ledger: Ledger, sessions: Iterable[Session | None], now: datetime, settings: Settings | None
) -> dict[str, Any] | None:
    """How far the running push is; by the budget, when it ends, and what it waits for."""
    running = [session for session in sessions if session is not None and session.status == "running"]
    if not running:
        return None
    session = max(running, key=lambda one: one.id)
    planned = sum(session.planned.values())
    settled = sum(change.status is not None for change in ledger.changes(session_id=session.id))
    left = max(0, planned - settled)
    budget = None if settings is None else _budget(settings, now)
    pace = 1.0 if settings is None else settings.seconds_a_call
    waits = budget is not None and budget["left"] == 0 and left > 0
    return {
        "session": session.id,
        "entity": session.entity,
        "planned": planned,
        "settled": settled,
        "ends_at": plain(now + timedelta(seconds=left * pace)),
        "waits_for": "It waits for the call budget." if waits else "",
    }


def _budget(settings: Settings, now: datetime) -> dict[str, Any] | None:
    """What is left of the calls of this period; None without a token, whose budget it would be."""
    if settings.safetyamp_token is None or settings.safetyamp_fqdn is None:
        return None
    calls, period = settings.api_rate_limit_calls, settings.api_rate_limit_period
    booked = sum(at > now.timestamp() - period for at in booked_calls(settings))
    return {"calls": calls, "period": period, "left": max(0, calls - booked)}


def _next_start(settings: Settings, now: datetime) -> str | None:
    """When the schedule ticks next; None when it is off."""
    if settings.sync_schedule != "on":
        return None
    local = now.astimezone(ZoneInfo(settings.sync_config().schedule.timezone))
    midnight, every = local.replace(hour=0, minute=0, second=0, microsecond=0), settings.sync_interval_minutes
    ticks = (local.hour * 60 + local.minute) // every + 1
    return str(plain((midnight + timedelta(minutes=ticks * every)).astimezone(UTC)))


def history_of(ledger: Ledger, limit: int, entity: str | None = None) -> list[dict[str, Any]]:
    """The newest sessions, newest first, as plain values. Raises Refusal when there is no such entity."""
    return [plain(session) for session in ledger.sessions(limit, entity=full_name(entity))]


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


def render_changes(session: dict[str, Any], timezone: str) -> Iterator[str]:
    """A line for each change of `session_of`."""
    for change in session["changes"]:
        answer = f" ({change['http_status']})" if change["http_status"] is not None else ""
        rule = f" — {change['rule']}" if change["rule"] else ""
        refused = f": {', '.join(change['refused_fields'])}" if change["refused_fields"] else ""
        fields = f" [{', '.join(change['fields'])}]" if change["fields"] else ""
        status = change["status"] or "no answer yet"
        at = local_time(change["intended_at"], timezone)
        yield f"  {at}  {change['key']} {change['action']} {status}{answer}{rule}{refused}{fields}"


def render_session(session: dict[str, Any], timezone: str) -> str:
    """One line for a session of `history_of`."""
    counts = session["counts"] if session["counts"] is not None else session["planned"]
    planned = "" if session["counts"] is not None else "planned: "
    calls = "" if session["calls"] is None else f", {session['calls']} calls"
    kind = "" if session["is_whole"] else " (some keys)"
    kind = kind if session["undoes"] is None else f" (undo of session {session['undoes']})"
    started = local_time(session["started_at"], timezone)
    return (
        f"session {session['id']}  {started}  {session['entity']}{kind}  {session['status']}  "
        f"{planned}{_counted(counts)}{calls}, plan {session['plan_hash'][:12]}, run {session['run_id']}"
    )


def render_status(status: Mapping[str, Any], timezone: str) -> list[str]:
    """The lines of `status_of`: one screen, what waits with the command for it, times local to the company."""

    def local(moment: str | None) -> str:
        return local_time(moment, timezone)

    pause, pushing, progress = status["paused"], status["pushing"], status["progress"]
    lines = [status["condition"]]
    if pause:
        lines.append(f"paused by {pause['who']} since {local(pause['at'])}: {pause['reason']}. `safetyamp resume`")
    if pushing:
        lines.append(f"{pushing['holder']} is pushing since {local(pushing['since'])}")
    if progress:
        how_far = f"{progress['settled']} of {progress['planned']} changes"
        lines.append(
            f"{progress['entity']}: {how_far}, ends at about {local(progress['ends_at'])}. {progress['waits_for']}"
        )
    for entity, facts in status["entities"].items():
        session = facts["last_session"]
        lines.append(f"{entity:<12} {_last_push(session, local) if session else 'never pushed'}")
        for name, (state, command) in COMMANDS.items():
            if facts[name]:
                lines.append(f"{'':<12} {facts[name]} {state}: `{command.format(entity=entity)}`")
    lines += [
        f"approved until {local(given['expires_at'])}: plan {given['plan_hash'][:12]} of {given['entity']}, "
        f"by {_named(given)}: {given['reason']}"
        for given in status["approvals"]
    ]
    lines += [
        f"approved until {local(given['expires_at'])}: {len(given['keys'])} changes of {given['entity']} that "
        f"{given['guard']} holds, by {_named(given)}: {given['reason']}"
        for given in status["change_approvals"]
    ]
    if status["budget"]:
        lines.append(f"{status['budget']['left']} of {status['budget']['calls']} calls left in this period")
    if status["next_start"]:
        lines.append(f"next start {local(status['next_start'])}")
    return lines


def _named(given: Mapping[str, Any]) -> str:
    """Who asked, and who was logged in where that is another name."""
    return str(given["who"]) if given["who"] == given["login"] else f"{given['who']} (logged in as {given['login']})"


def _last_push(session: Mapping[str, Any], local: Callable[[str | None], str]) -> str:
    counts = session["counts"] if session["counts"] is not None else session["planned"]
    return f"{session['status']} {local(session['started_at'])}, session {session['id']}: {_counted(counts)}"


def _counted(counts: Mapping[str, int]) -> str:
    words = [f"{number} {name.replace('_', ' ')}" for name, number in sorted(counts.items())]
    return ", ".join(words) or "nothing to do"
