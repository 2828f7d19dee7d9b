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

from sqlalchemy import Connection, RowMapping, Select, delete, insert, or_, select, update

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.locks import locked_lease
from safetyamp_pipelines.ledger.records import ChangeStatus, LoggedRun, LoggedVerdict
from safetyamp_pipelines.ledger.statements import records
from safetyamp_pipelines.sync.model.plan import Verdict

c = t.verdicts.c
COLUMNS = ("outcome", "rule", "reasons", "notes")
"""What makes two verdicts the same."""
Values = tuple[Any, ...]
"""The values of a verdict, in the order of COLUMNS."""
GONE: Values = (None, "", [], [])
"""The verdict on a record that earlier runs saw and this one did not."""


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
    """How an entity's records came to their changes: its looks, oldest first; by source key, verdicts and attempts."""

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
        its verdicts and keeps its time.
        """
        given = {verdict.source_key: verdict_columns(verdict) for verdict in verdicts}
        with self._writing() as db:
            # Two runs that log at once take turns: each compares with what stands. A lease nobody holds will do.
            locked_lease(db, f"verdicts of {entity}")
            run = logged_run(db, run_id, entity, at, Counter(outcome for outcome, *_ in given.values()))
            standing = current_verdicts(db, entity)
            now = {**dict.fromkeys(standing, GONE), **given}
            changed = {key: values for key, values in now.items() if standing.get(key) != values}
            replace_verdicts(db, entity, run, changed)

    def verdict_history(self, entity: str, source_key: str, runs: int = 10) -> list[LoggedVerdict]:
        """The record's verdict in each of the entity's last runs, newest first, from the first run that saw it on."""
        with self._reading() as db:
            logged = db.execute(newest_runs(entity, runs)).mappings().all()
            if not logged:
                return []
            overlaps = or_(c.until_id.is_(None), c.until_id > logged[-1]["id"])
            query = (
                select(t.verdicts, t.runs.c.at.label("since"))
                .join(t.runs, c.since_id == t.runs.c.id)
                .where(c.entity == entity, c.source_key == source_key, overlaps)
            )
            spans = db.execute(query).mappings().all()
            return [
                verdict_record(run, span)
                for run in logged
                for span in spans
                if span["since_id"] <= run["id"] and (span["until_id"] is None or run["id"] < span["until_id"])
            ]

    def standing(self, entity: str, outcomes: Iterable[str]) -> dict[str, str]:
        """Source key → outcome of the records whose newest verdict is one of these, in the order of the keys."""
        query = select(c.source_key, c.outcome).where(
            c.entity == entity, c.until_id.is_(None), c.outcome.in_(map(str, outcomes))
        )
        with self._reading() as db:
            return {key: str(outcome) for key, outcome in db.execute(query.order_by(c.source_key))}

    def runs(self, entity: str, limit: int = 50) -> list[LoggedRun]:
        """The newest runs that logged verdicts of the entity, newest first."""
        with self._reading() as db:
            return records(LoggedRun, db, newest_runs(entity, limit))

    def trail(self, entity: str, start: datetime, end: datetime) -> Trail:
        """What led to the changes intended in this time: four statements, however many changes there are."""
        keys = (
            select(t.changes.c.source_key)
            .where(t.changes.c.entity == entity, t.changes.c.intended_at >= start, t.changes.c.intended_at < end)
            .distinct()
        )
        standing: dict[str, list[Standing]] = defaultdict(list)
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        with self._reading() as db:
            r = t.runs.c
            runs = select(r.id, r.run_id, r.at).where(r.entity == entity).order_by(r.id)
            looks = tuple(Look(*row) for row in db.execute(runs))
            for key, outcome, since, until in db.execute(_verdict_spans(entity, keys)):
                standing[key].append(Standing(outcome, since, until))
            for key, number, run_id, status, http_status in db.execute(_attempts(entity, keys)):
                attempts[key].append(Attempt(number, run_id, status, http_status))
        return Trail(
            looks,
            {key: tuple(found) for key, found in standing.items()},
            {key: tuple(found) for key, found in attempts.items()},
        )


def verdict_columns(verdict: Verdict) -> Values:
    """The values of COLUMNS for the verdict, in the types that the database returns."""
    return (str(verdict.outcome), verdict.rule, list(verdict.reasons), list(verdict.notes))


def newest_runs(entity: str, limit: int) -> Select[Any]:
    """The entity's logged runs, newest first."""
    return select(t.runs).where(t.runs.c.entity == entity).order_by(t.runs.c.id.desc()).limit(limit)


def logged_run(db: Connection, run_id: str, entity: str, at: datetime, counts: Mapping[str, int]) -> int:
    """The id of a new row for the run; or of its old row, cleared of verdicts, when that is the entity's newest."""
    newest = db.execute(newest_runs(entity, 1)).one_or_none()
    if newest is None or newest.run_id != run_id:
        new = insert(t.runs).values(run_id=run_id, entity=entity, at=at, counts=dict(counts))
        return int(db.execute(new.returning(t.runs.c.id)).scalar_one())
    own = select(c.source_key).where(c.since_id == newest.id)
    replaced = update(t.verdicts).where(c.entity == entity, c.source_key.in_(own))
    db.execute(replaced.where(c.until_id == newest.id).values(until_id=None))
    db.execute(delete(t.verdicts).where(c.since_id == newest.id))
    db.execute(update(t.runs).where(t.runs.c.id == newest.id).values(counts=dict(counts)))
    return int(newest.id)


def current_verdicts(db: Connection, entity: str) -> dict[str, Values]:
    """Source key → the verdict in force, from the last run that changed it."""
    columns = [c[name] for name in COLUMNS]
    query = select(c.source_key, *columns).where(c.entity == entity, c.until_id.is_(None))
    return {key: tuple(values) for key, *values in db.execute(query)}


def replace_verdicts(db: Connection, entity: str, run: int, changed: dict[str, Values]) -> None:
    """Put these verdicts in force from the run on, and end those they replace; two statements, however many."""
    if not changed:
        return
    rows = [
        {"entity": entity, "source_key": key, "since_id": run, **dict(zip(COLUMNS, values, strict=True))}
        for key, values in changed.items()
    ]
    db.execute(insert(t.verdicts), rows)
    own = select(c.source_key).where(c.since_id == run)
    in_force = update(t.verdicts).where(c.entity == entity, c.until_id.is_(None))
    replaced = in_force.where(c.since_id != run, c.source_key.in_(own))
    db.execute(replaced.values(until_id=run))


def verdict_record(run: RowMapping, span: RowMapping) -> LoggedVerdict:
    """The verdict as the given run repeated it."""
    return LoggedVerdict(
        run_id=run["run_id"],
        at=run["at"],
        outcome=span["outcome"],
        rule=span["rule"],
        reasons=tuple(span["reasons"]),
        notes=tuple(span["notes"]),
        since=span["since"],
    )


def _verdict_spans(entity: str, keys: Select[str]) -> Select[str, str | None, int, int | None]:
    columns = (c.source_key, c.outcome, c.since_id, c.until_id)
    chosen = select(*columns).where(c.entity == entity, c.source_key.in_(keys))
    return chosen.order_by(c.since_id)


def _attempts(entity: str, keys: Select[str]) -> Select[str, int, str, ChangeStatus | None, int | None]:
    columns = (t.changes.c.source_key, t.changes.c.id, t.sessions.c.run_id, t.changes.c.status, t.changes.c.http_status)
    chosen = select(*columns).join(t.sessions).where(t.changes.c.entity == entity, t.changes.c.source_key.in_(keys))
    return chosen.order_by(t.changes.c.id)
