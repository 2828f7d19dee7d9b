"""The verdict log: what became of every source record in each run. Which verdict one gets is decided in `sync/`.

Two thousand records get the same verdict every hour. So a row says from which run on a verdict stands, and a run adds
rows only for the records whose verdict it changed, or that it no longer saw.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Select, delete, insert, or_, select, update
from sqlalchemy.orm import Session as Transaction
from sqlalchemy.orm import aliased

from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.locks import locked_lease
from safetyamp_pipelines.ledger.records import ChangeStatus, LoggedRun, LoggedVerdict
from safetyamp_pipelines.ledger.schema import ChangeRow, RunRow, SessionRow, VerdictRow
from safetyamp_pipelines.sync.model.plan import Verdict

COLUMNS = ("outcome", "rule", "reasons", "notes")
"""What makes two verdicts the same."""
Wording = tuple[Any, ...]
"""What a verdict says, in the order of COLUMNS."""
GONE: Wording = (None, "", [], [])
"""What is said of a record that earlier runs saw and this one did not."""


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


class Verdicts(Store):
    """Log a run's verdicts and read a record's history."""

    def log_verdicts(self, run_id: str, entity: str, at: datetime, verdicts: Iterable[Verdict]) -> None:
        """Log the verdicts of all the entity's source records in one run. Reasons and notes hold no person's value.

        `at` is when the run looked at the sources. A run that logs again, nobody having logged in between, replaces
        what it said and keeps its time.
        """
        told = {verdict.source_key: wording(verdict) for verdict in verdicts}
        with self._writing() as db:
            # Two runs that log at once take turns: each compares with what stands. A lease nobody holds will do.
            locked_lease(db, f"verdicts of {entity}")
            run = logged_run(db, run_id, entity, at)
            run.counts = dict(Counter(outcome for outcome, *_ in told.values()))
            db.add(run)
            db.flush()
            standing = standing_verdicts(db, entity)
            now = {**dict.fromkeys(standing, GONE), **told}
            changed = {key: said for key, said in now.items() if standing.get(key) != said}
            stand_from(db, run, changed)

    def verdict_history(self, entity: str, source_key: str, runs: int = 10) -> list[LoggedVerdict]:
        """The record's verdict in each of the entity's last runs, newest first, from the first run that saw it on."""
        since = aliased(RunRow)
        with self._reading() as db:
            logged = list(db.scalars(newest_runs(entity, runs)))
            if not logged:
                return []
            overlaps = or_(VerdictRow.until_id.is_(None), VerdictRow.until_id > logged[-1].id)
            spans = db.execute(
                select(VerdictRow, since.at)
                .join(since, VerdictRow.since_id == since.id)
                .where(VerdictRow.entity == entity, VerdictRow.source_key == source_key, overlaps)
            ).all()
            return [
                verdict_record(run, verdict, began)
                for run in logged
                for verdict, began in spans
                if verdict.since_id <= run.id and (verdict.until_id is None or run.id < verdict.until_id)
            ]

    def standing(self, entity: str, outcomes: Iterable[str]) -> dict[str, str]:
        """Source key → outcome of the records whose newest verdict is one of these, in the order of the keys."""
        query = select(VerdictRow.source_key, VerdictRow.outcome).where(
            VerdictRow.entity == entity, VerdictRow.until_id.is_(None), VerdictRow.outcome.in_(map(str, outcomes))
        )
        with self._reading() as db:
            return {key: str(outcome) for key, outcome in db.execute(query.order_by(VerdictRow.source_key))}

    def runs(self, entity: str, limit: int = 50) -> list[LoggedRun]:
        """The newest runs that logged verdicts of the entity, newest first."""
        with self._reading() as db:
            rows = db.scalars(newest_runs(entity, limit))
            return [LoggedRun(run_id=row.run_id, at=row.at, counts=row.counts) for row in rows]

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


def wording(verdict: Verdict) -> Wording:
    """What the verdict says, in the types that the database gives back."""
    return (str(verdict.outcome), verdict.rule, list(verdict.reasons), list(verdict.notes))


def newest_runs(entity: str, limit: int) -> Select[RunRow]:
    """The entity's logged runs, newest first."""
    return select(RunRow).where(RunRow.entity == entity).order_by(RunRow.id.desc()).limit(limit)


def logged_run(db: Transaction, run_id: str, entity: str, at: datetime) -> RunRow:
    """A new row for the run; or its old one, taken back, when that is the entity's newest."""
    newest = db.scalars(newest_runs(entity, 1)).one_or_none()
    if newest is None or newest.run_id != run_id:
        return RunRow(run_id=run_id, entity=entity, at=at)
    own = select(VerdictRow.source_key).where(VerdictRow.since_id == newest.id)
    replaced = update(VerdictRow).where(VerdictRow.entity == entity, VerdictRow.source_key.in_(own))
    db.execute(replaced.where(VerdictRow.until_id == newest.id).values(until_id=None))
    db.execute(delete(VerdictRow).where(VerdictRow.since_id == newest.id))
    return newest


def standing_verdicts(db: Transaction, entity: str) -> dict[str, Wording]:
    """Source key → what the last run that knew better said."""
    columns = [getattr(VerdictRow, name) for name in COLUMNS]
    query = select(VerdictRow.source_key, *columns).where(VerdictRow.entity == entity, VerdictRow.until_id.is_(None))
    return {key: tuple(said) for key, *said in db.execute(query)}


def stand_from(db: Transaction, run: RunRow, changed: dict[str, Wording]) -> None:
    """Let these verdicts stand from the run on, and those they replace no longer; two statements, however many."""
    if not changed:
        return
    rows = [
        {"entity": run.entity, "source_key": key, "since_id": run.id, **dict(zip(COLUMNS, said, strict=True))}
        for key, said in changed.items()
    ]
    # On the connection, past the objects of the transaction: thousands of rows that nobody looks at again.
    connection = db.connection()
    connection.execute(insert(VerdictRow), rows)
    own = select(VerdictRow.source_key).where(VerdictRow.since_id == run.id)
    standing = update(VerdictRow).where(VerdictRow.entity == run.entity, VerdictRow.until_id.is_(None))
    replaced = standing.where(VerdictRow.since_id != run.id, VerdictRow.source_key.in_(own))
    connection.execute(replaced.values(until_id=run.id))


def verdict_record(run: RunRow, row: VerdictRow, since: datetime) -> LoggedVerdict:
    """The verdict as the given run repeated it."""
    return LoggedVerdict(
        run_id=run.run_id,
        at=run.at,
        outcome=row.outcome,
        rule=row.rule,
        reasons=tuple(row.reasons),
        notes=tuple(row.notes),
        since=since,
    )


def _standing(entity: str, keys: Select[str]) -> Select[str, str | None, int, int | None]:
    columns = (VerdictRow.source_key, VerdictRow.outcome, VerdictRow.since_id, VerdictRow.until_id)
    chosen = select(*columns).where(VerdictRow.entity == entity, VerdictRow.source_key.in_(keys))
    return chosen.order_by(VerdictRow.since_id)


def _attempts(entity: str, keys: Select[str]) -> Select[str, int, str, ChangeStatus | None, int | None]:
    columns = (ChangeRow.source_key, ChangeRow.id, SessionRow.run_id, ChangeRow.status, ChangeRow.http_status)
    chosen = select(*columns).join(ChangeRow.session).where(ChangeRow.entity == entity, ChangeRow.source_key.in_(keys))
    return chosen.order_by(ChangeRow.id)
