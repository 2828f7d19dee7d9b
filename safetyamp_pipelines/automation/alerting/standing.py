"""Problems that no event reports: syncing stays paused or is quarantined, settings are wrong, the ledger is away, and
what waits for people, by owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import dagster as dg

from safetyamp_pipelines.automation.starting.timing import why_quarantined
from safetyamp_pipelines.operations.alerts.problems import Green, Level, Red, Signal
from safetyamp_pipelines.operations.local_time import age, local_time
from safetyamp_pipelines.operations.plan_step import load_stored
from safetyamp_pipelines.operations.queue import Item, queue_of
from safetyamp_pipelines.sync.entities.registry import ENTITIES
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger
    from safetyamp_pipelines.ledger.records import Pause
    from safetyamp_pipelines.settings.model import Settings
    from safetyamp_pipelines.sync.model.errors import SyncError

LONG_PAUSE = timedelta(hours=4)
"""A pause is intended; a forgotten one leaves leavers with their access."""


def pause_signal(pause: Pause | None, now: datetime, timezone: str) -> Signal | None:
    """Whether a pause lasts too long; None while a younger one does."""
    if pause is None:
        return Green(frozenset({"pause"}), now.timestamp())
    if now - pause.at < LONG_PAUSE:
        return None
    return Red(
        problem="pause",
        level=Level.DIGEST,
        title=f"syncing is paused since {local_time(pause.at, timezone)}; leavers keep their access",
        needs=frozenset({"pause"}),
        at=pause.at.timestamp(),
        detail="newcomers have no access either, for as long as it lasts",
        advice="`safetyamp status` shows who paused it and why; `safetyamp resume`, or the job resume_syncing, ends it",
        page="state",
        is_standing=True,
    )


_UNUSABLE = {
    "settings": (
        "the settings are wrong: no sync starts",
        "do what the message says; `safetyamp config show` lists all that is wrong",
    ),
    "ledger": (
        "the ledger cannot be asked: no sync starts",
        "check LEDGER_URL, and that its folder or server can be written to; `safetyamp doctor` tests it",
    ),
}
"""Title and advice."""


def error_signal(name: Literal["settings", "ledger"], error: SyncError | None, now: datetime) -> Signal:
    """Whether the settings are valid, or the ledger could be read. If not, ticks of the schedule fail, and no run
    reports it."""
    if error is None:
        return Green(frozenset({name}), now.timestamp())
    title, advice = _UNUSABLE[name]
    return Red(
        problem=name,
        level=Level.CRITICAL,
        title=title,
        needs=frozenset({name}),
        at=now.timestamp(),
        detail=str(error),
        advice=advice,
        is_standing=True,
    )


def waiting_signals(settings: Settings, ledger: Ledger, now: datetime) -> dict[str, list[Signal]]:
    """What waits for people after a sync, by the address that sync.yaml names for it, with keys and ages and without
    names; under "" what is nobody's. Empty where sync.yaml names no owner: the checks report to everybody then.
    Raises SyncError where ledger or snapshots cannot be read.
    """
    config, store, stored = settings.sync_config(), snapshot_store(settings), {}
    addresses = [*config.owners.addresses()]
    if not addresses:
        return {}
    for spec in ENTITIES:
        if store.newest(f"plan/{spec.name}") is not None:
            stored[spec.name] = load_stored(spec, store, ledger, config)
    items: dict[str, list[Item]] = {address: [] for address in ("", *addresses)}
    for item in queue_of(stored, ledger, now):
        if item.kind != "unanswered":
            items[item.owner if item.owner in items else ""].append(item)
    return {address: [_waiting(mine, now)] for address, mine in items.items()}


def _waiting(items: Sequence[Item], now: datetime) -> Signal:
    if not items:
        return Green(frozenset({"waiting"}), now.timestamp())
    kinds = Counter(item.kind for item in items)
    oldest = min(item.since for item in items)
    by_age = sorted(items, key=lambda item: item.since)
    return Red(
        problem="waiting",
        level=Level.DIGEST,
        title=f"{len(items)} {'record waits' if len(items) == 1 else 'records wait'} for you, the oldest for "
        f"{age(oldest, now)}: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}",
        needs=frozenset({"waiting"}),
        at=now.timestamp(),
        detail="; ".join(f"{item.entity} {item.key} {item.kind} for {age(item.since, now)}" for item in by_age),
        advice="the queue on the desk lists each with its reason and what to do; `safetyamp explain` shows one",
        page="queue",
        size=len(items),
    )


def quarantine_signals(instance: dg.DagsterInstance, settings: Settings, ended_at: float) -> Iterator[Signal]:
    """Whether quarantine slows the schedule; checked when a run has ended, since it changes at no other time."""
    interval = timedelta(minutes=settings.sync_interval_minutes)
    config = settings.sync_config().schedule
    reason = why_quarantined(instance, config, interval, datetime.fromtimestamp(ended_at, UTC))
    if reason is None:
        yield Green(frozenset({"quarantine"}), ended_at)
        return
    yield Red(
        problem="quarantine",
        level=Level.DIGEST,  # what failed was reported at once
        title="syncing is quarantined: it failed again and again, and is tried less often",
        needs=frozenset({"quarantine"}),
        at=ended_at,
        detail=reason,
        advice="correct what the last run reports, then `safetyamp sync`, or the job sync_all: one good run ends it",
        page="state",
        is_standing=True,
    )
