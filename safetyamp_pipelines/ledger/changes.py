"""Changes: the intent before each call, the answer after it, and what was never sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction
from sqlalchemy.orm import contains_eager

from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.failures import clear_failure
from safetyamp_pipelines.ledger.ledger_errors import AlreadyAnswered, IntentOpen, LeaseLost, SessionEnded
from safetyamp_pipelines.ledger.links import put_link
from safetyamp_pipelines.ledger.records import ChangeStatus, LoggedChange
from safetyamp_pipelines.ledger.schema import ChangeRow, LeaseRow, SessionRow, as_record
from safetyamp_pipelines.sync.model.plan import Action, Agreed, Change, Outcome
from safetyamp_pipelines.sync.model.snapshot import canonical_json
from safetyamp_pipelines.sync.model.tables import Id

SWINGS, SWINGS_WITHIN = 3, timedelta(days=30)
"""A field that was written so often between the same two values in so many days is not written again unasked."""

# Asked before every write to SafetyAmp, so built once.
SESSION_STATE = (
    select(SessionRow.entity, SessionRow.status, SessionRow.lease_name, SessionRow.lease_token)
    .where(SessionRow.id == bindparam("session_id"))
    .with_for_update(read=True)
)
LEASE_STATE = (
    select(LeaseRow.token, LeaseRow.holder).where(LeaseRow.name == bindparam("name")).with_for_update(read=True)
)


class Changes(Store):
    """Write intents and answers, and find what has none."""

    def intend(self, session_id: int, change: Change) -> int:
        """Put the intent on the disk and return its id; only then may the call be made.

        Raises IntentOpen when a create of the record has no answer yet, LeaseLost and SessionEnded when this push
        must not write any more.
        """
        with self._writing() as db:
            entity = require_right_to_push(db, session_id)
            row = change_row(session_id, entity, change, self._clock())
            db.add(row)
            try:
                db.flush()
            except IntegrityError:
                if change.action is not Action.CREATE:
                    raise
                raise IntentOpen(entity, change.source_key) from None
            return row.id

    def answer(
        self,
        change_id: int,
        status: ChangeStatus,
        *,
        target_id: Id | None = None,
        http_status: int | None = None,
        error: Any = None,
        rule: str | None = None,
        answer: Any = None,
        pushed: Mapping[str, Any] | None = None,
        not_taken: Mapping[str, str | None] | None = None,
        not_taken_for: timedelta | None = None,
        optional: Set[str] = frozenset(),
    ) -> None:
        """Settle the change. With `pushed` the record's link is saved in the same transaction (see `links.merge`), and
        an earlier refusal is cleared, unless it was of fields that can be left out (`optional` ones) and none was sent.
        `not_taken_for` is how long that is remembered of the fields not taken; without it for good.

        An answer is taken even from a push that lost its lease: what happened, happened. Raises AlreadyAnswered.
        """
        with self._writing() as db:
            row = db.get(ChangeRow, change_id, with_for_update=True)
            if row is None:
                raise LookupError(f"change {change_id} is not in the ledger")
            if row.status is not None:
                raise AlreadyAnswered(change_id, row.status)
            row.status, row.answered_at = status, self._clock()
            row.target_id = row.target_id if target_id is None else target_id
            row.http_status, row.error, row.rule, row.answer = (http_status, error, rule, answer)
            if pushed is not None:
                if row.target_id is None:
                    raise ValueError(f"change {change_id}: a link needs the SafetyAmp id")
                pair = Agreed(row.source_key, row.natural_key, row.target_id, pushed)
                put_link(db, row.entity, pair, not_taken or {}, self._clock(), not_taken_for)
                clear_failure(db, row.entity, row.source_key, {*pushed, *(not_taken or {})}, optional)

    def note_unsent(self, session_id: int, changes: Iterable[Change], status: Outcome, rule: str) -> None:
        """Record changes for which no call was made, and the rule that decided, all at once."""
        with self._writing() as db:
            now, entity = self._clock(), db.get_one(SessionRow, session_id).entity
            for change in changes:
                row = change_row(session_id, entity, change, now)
                row.answered_at, row.status, row.rule = now, cast("ChangeStatus", str(status)), rule
                db.add(row)

    def open_intents(self, entity: str) -> list[LoggedChange]:
        """Intents of the entity without an answer, oldest first, whatever became of their sessions.

        The holder of the lease has to settle each of them by looking the record up in SafetyAmp.
        """
        query = whole_changes().where(ChangeRow.entity == entity, ChangeRow.status.is_(None)).order_by(ChangeRow.id)
        with self._reading() as db:
            return [change_record(row) for row in db.scalars(query)]

    def has_written_since(self, entity: str, moment: datetime) -> bool:
        """Whether a change of the entity was answered with success at that moment or later."""
        query = select(ChangeRow.id).where(
            ChangeRow.entity == entity, ChangeRow.status == "done", ChangeRow.answered_at >= moment
        )
        with self._reading() as db:
            return db.scalar(query.limit(1)) is not None

    def changes(
        self,
        *,
        session_id: int | None = None,
        run_id: str | None = None,
        entity: str | None = None,
        source_key: str | None = None,
        limit: int | None = None,
    ) -> list[LoggedChange]:
        """The changes that meet every condition given, newest first."""
        query = whole_changes().order_by(ChangeRow.id.desc()).limit(limit)
        if session_id is not None:
            query = query.where(ChangeRow.session_id == session_id)
        if run_id is not None:
            query = query.where(SessionRow.run_id == run_id)
        if entity is not None:
            query = query.where(ChangeRow.entity == entity)
        if source_key is not None:
            query = query.where(ChangeRow.source_key == source_key)
        with self._reading() as db:
            return [change_record(row) for row in db.scalars(query)]

    def changes_intended(self, start: datetime, end: datetime) -> list[LoggedChange]:
        """The changes intended from `start` until, and without, `end`, oldest first."""
        query = whole_changes().where(ChangeRow.intended_at >= start, ChangeRow.intended_at < end)
        with self._reading() as db:
            return [change_record(row) for row in db.scalars(query.order_by(ChangeRow.id))]

    def swings(self, entity: str) -> dict[str, dict[str, frozenset[frozenset[str]]]]:
        """Source key → field → pairs of values (canonical JSON), each pair written to and fro, either way, so often and
        so lately that neither side can be right."""
        written = (ChangeRow.entity == entity, ChangeRow.status == "done", ChangeRow.action != Action.CREATE)
        recent = (*written, ChangeRow.intended_at > self._clock() - SWINGS_WITHIN)
        often = select(ChangeRow.source_key).where(*recent).group_by(ChangeRow.source_key)
        often = often.having(func.count() >= SWINGS)
        query = select(ChangeRow.source_key, ChangeRow.fields).where(*recent, ChangeRow.source_key.in_(often))
        counted: Counter[tuple[str, str, frozenset[str]]] = Counter()
        with self._reading() as db:
            for key, fields in db.execute(query):
                for name, pair in fields.items():
                    counted[key, name, frozenset(map(canonical_json, pair))] += 1
        found: dict[str, dict[str, frozenset[frozenset[str]]]] = {}
        for (key, name, values), times in counted.items():
            if times >= SWINGS:
                known = found.setdefault(key, {})
                known[name] = known.get(name, frozenset()) | {values}
        return found

    def changes_done(self, session_id: int) -> list[LoggedChange]:
        """What the session did in SafetyAmp, oldest first."""
        query = whole_changes().where(ChangeRow.session_id == session_id, ChangeRow.status == "done")
        with self._reading() as db:
            return [change_record(row) for row in db.scalars(query.order_by(ChangeRow.id))]

    def created_in_run(self, run_id: str, entity: str) -> dict[str, Id]:
        """Natural key → SafetyAmp id of what the pushes of this run created, for references to it."""
        query = (
            select(ChangeRow.natural_key, ChangeRow.target_id)
            .join(ChangeRow.session)
            .where(SessionRow.run_id == run_id, ChangeRow.entity == entity)
            .where(ChangeRow.action == "create", ChangeRow.status == "done")
            .order_by(ChangeRow.id)
        )
        with self._reading() as db:
            return {natural_key: target_id for natural_key, target_id in db.execute(query) if target_id is not None}


def require_right_to_push(db: Transaction, session_id: int) -> str:
    """The session's entity. Raises unless the session runs and, if it pushes under a lease, its fencing token is still
    the newest.

    The shared row locks make whoever declares the session over, or takes the lease, wait for this intent and see it.
    """
    session = db.execute(SESSION_STATE, {"session_id": session_id}).one_or_none()
    if session is None:
        raise LookupError(f"session {session_id} is not in the ledger")
    if session.status != "running":
        raise SessionEnded(session_id, session.status)
    if session.lease_name is not None:
        lease = db.execute(LEASE_STATE, {"name": session.lease_name}).one_or_none()
        if lease is None or lease.holder is None or lease.token != session.lease_token:
            raise LeaseLost(session.lease_name, f"session {session_id}")
    entity: str = session.entity
    return entity


def change_row(session_id: int, entity: str, change: Change, now: datetime) -> ChangeRow:
    """The change as a row without an answer."""
    values = {field.name: getattr(change, field.name) for field in fields(Change)}
    return ChangeRow(session_id=session_id, entity=entity, intended_at=now, **{**values, "fields": dict(change.fields)})


def whole_changes() -> Select[ChangeRow]:
    """Changes, each with its session, in one statement."""
    return select(ChangeRow).join(ChangeRow.session).options(contains_eager(ChangeRow.session))


def change_record(row: ChangeRow) -> LoggedChange:
    """The row as a plain record."""
    fields = {name: (before, after) for name, (before, after) in row.fields.items()}
    return as_record(LoggedChange, row, fields=fields, run_id=row.session.run_id)
