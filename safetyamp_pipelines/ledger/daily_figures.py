"""What the reports ask of the ledger: the changes and sessions of a time, and the trail that led to a record's change.

Reads only. What a report makes of it is decided in `reports/`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import Select, select

from safetyamp_pipelines.ledger.changes import change_record, whole_changes
from safetyamp_pipelines.ledger.records import Change, ChangeStatus, Session
from safetyamp_pipelines.ledger.schema import ChangeRow, ObservationRow, RunRow, SessionRow, VerdictRow
from safetyamp_pipelines.ledger.sessions import session_record
from safetyamp_pipelines.ledger.transactions import Store


@dataclass(frozen=True)
class Look:
    """A run that looked at the sources of an entity. `number` grows from look to look; `at` is when it read them."""

    number: int
    run_id: str
    at: datetime


@dataclass(frozen=True)
class Standing:
    """A verdict that stood from look number `since` until, and without, number `until`; None while it stands."""

    outcome: str | None
    since: int
    until: int | None


@dataclass(frozen=True)
class Attempt:
    """A change of the record in some run, and how it ended."""

    id: int
    run_id: str
    status: ChangeStatus | None
    http_status: int | None


@dataclass(frozen=True)
class Trail:
    """How an entity's records came to their changes: its looks, oldest first; by source key what was said and done."""

    looks: tuple[Look, ...]
    standing: Mapping[str, tuple[Standing, ...]]
    attempts: Mapping[str, tuple[Attempt, ...]]

    @cached_property
    def places(self) -> dict[str, int]:
        """Run → where its look is among `looks`; the newest, should a run have looked twice."""
        return {look.run_id: place for place, look in enumerate(self.looks)}


class Reporting(Store):
    """Read a span of time. A change belongs to the moment its intent was written, a session to its start."""

    def changes_intended(self, start: datetime, end: datetime) -> list[Change]:
        """The changes intended from `start` until, and without, `end`, oldest first."""
        query = whole_changes().where(ChangeRow.intended_at >= start, ChangeRow.intended_at < end)
        with self._reading() as db:
            return [change_record(row) for row in db.scalars(query.order_by(ChangeRow.id))]

    def sessions_started(self, start: datetime, end: datetime) -> list[Session]:
        """The sessions started from `start` until, and without, `end`, oldest first."""
        query = select(SessionRow).where(SessionRow.started_at >= start, SessionRow.started_at < end)
        with self._reading() as db:
            return [session_record(row) for row in db.scalars(query.order_by(SessionRow.id))]

    def reads_noted(self, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
        """When SafetyAmp's tables were read whole in this time, and with how many calls each, oldest first."""
        at, calls = ObservationRow.at, ObservationRow.calls
        query = select(at, calls).where(at >= start, at < end, calls.is_not(None)).order_by(at)
        with self._reading() as db:
            return [(moment, number or 0) for moment, number in db.execute(query)]

    def trail(self, entity: str, start: datetime, end: datetime) -> Trail:
        """What led to the changes intended in this time: four statements, however many changes there are."""
        keys = (
            select(ChangeRow.source_key)
            .where(ChangeRow.entity == entity, ChangeRow.intended_at >= start, ChangeRow.intended_at < end)
            .distinct()
        )
        standing: dict[str, list[Standing]] = defaultdict(list)
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        with self._reading() as db:
            runs = select(RunRow.id, RunRow.run_id, RunRow.at).where(RunRow.entity == entity).order_by(RunRow.id)
            looks = tuple(Look(*row) for row in db.execute(runs))
            for key, outcome, since, until in db.execute(_standing(entity, keys)):
                standing[key].append(Standing(outcome, since, until))
            for key, number, run_id, status, http_status in db.execute(_attempts(entity, keys)):
                attempts[key].append(Attempt(number, run_id, status, http_status))
        return Trail(
            looks,
            {key: tuple(found) for key, found in standing.items()},
            {key: tuple(found) for key, found in attempts.items()},
        )


def _standing(entity: str, keys: Select[str]) -> Select[str, str | None, int, int | None]:
    columns = (VerdictRow.source_key, VerdictRow.outcome, VerdictRow.since_id, VerdictRow.until_id)
    chosen = select(*columns).where(VerdictRow.entity == entity, VerdictRow.source_key.in_(keys))
    return chosen.order_by(VerdictRow.since_id)


def _attempts(entity: str, keys: Select[str]) -> Select[str, int, str, ChangeStatus | None, int | None]:
    columns = (ChangeRow.source_key, ChangeRow.id, SessionRow.run_id, ChangeRow.status, ChangeRow.http_status)
    chosen = select(*columns).join(ChangeRow.session).where(ChangeRow.entity == entity, ChangeRow.source_key.in_(keys))
    return chosen.order_by(ChangeRow.id)
