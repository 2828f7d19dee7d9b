"""Figures over everything the ledger keeps, each one query: what pushes, changes and waits add up to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import case, extract, func, select

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import Store


@dataclass(frozen=True, kw_only=True)
class SessionTotal:
    """The sessions of one entity with one status. `last_whole` is when the newest whole one ended."""

    entity: str
    status: str
    sessions: int
    seconds: float
    last_start: datetime
    last_whole: datetime | None


@dataclass(frozen=True)
class Waiting:
    """One record that waits for people, and since when."""

    entity: str
    source_key: str
    state: Literal["held", "rejected", "refused", "unanswered"]
    since: datetime


class Totals(Store):
    """Add up; nothing is written here."""

    def session_totals(self) -> list[SessionTotal]:
        """By entity and status."""
        kind = (t.sessions.c.entity, t.sessions.c.status)
        seconds = extract("epoch", t.sessions.c.ended_at) - extract("epoch", t.sessions.c.started_at)
        whole = case((t.sessions.c.is_whole, t.sessions.c.ended_at))
        query = select(
            *kind,
            func.count(),
            func.coalesce(func.sum(seconds), 0),
            func.max(t.sessions.c.started_at),
            func.max(whole, type_=t.UtcDateTime()),
        )
        with self._reading() as db:
            return [
                SessionTotal(
                    entity=entity,
                    status=status,
                    sessions=sessions,
                    seconds=float(total),
                    last_start=started,
                    last_whole=ended,
                )
                for entity, status, sessions, total, started, ended in db.execute(query.group_by(*kind).order_by(*kind))
            ]

    def change_totals(self) -> dict[tuple[str, ...], int]:
        """(entity, action, status) → changes that were answered."""
        kind = (t.changes.c.entity, t.changes.c.action, t.changes.c.status)
        query = select(*kind, func.count()).where(t.changes.c.status.is_not(None)).group_by(*kind)
        with self._reading() as db:
            return {(entity, str(action), str(status)): number for entity, action, status, number in db.execute(query)}

    def waiting(self, now: datetime) -> list[Waiting]:
        """Every record that is held, rejected, refused or without an answer at `now`."""
        return [*self._held_or_rejected(), *self._refused(now), *self._unanswered()]

    def _held_or_rejected(self) -> Iterator[Waiting]:
        query = (
            select(t.verdicts.c.entity, t.verdicts.c.source_key, t.verdicts.c.outcome, t.runs.c.at)
            .join(t.runs, t.runs.c.id == t.verdicts.c.since_id)
            .where(t.verdicts.c.until_id.is_(None), t.verdicts.c.outcome.in_(["held", "rejected"]))
        )
        with self._reading() as db:
            for entity, key, outcome, at in db.execute(query):
                yield Waiting(entity, key, "held" if outcome == "held" else "rejected", at)

    def _refused(self, now: datetime) -> Iterator[Waiting]:
        found = (t.failures.c.entity, t.failures.c.source_key, t.failures.c.first_seen)
        query = select(*found).where(t.failures.c.state == "open", t.failures.c.expires_at > now)
        with self._reading() as db:
            for entity, key, at in db.execute(query):
                yield Waiting(entity, key, "refused", at)

    def _unanswered(self) -> Iterator[Waiting]:
        found = (t.changes.c.entity, t.changes.c.source_key, t.changes.c.intended_at)
        query = select(*found).where(t.changes.c.status.is_(None))
        with self._reading() as db:
            for entity, key, at in db.execute(query):
                yield Waiting(entity, key, "unanswered", at)
