"""Changes: the intent before each call, the answer after it, and what was never sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction
from sqlalchemy.orm import contains_eager

from safetyamp_pipelines.ledger.ledger_errors import AlreadyAnswered, IntentOpen, LeaseLost, SessionEnded
from safetyamp_pipelines.ledger.links import put_link
from safetyamp_pipelines.ledger.records import Change, ChangeStatus, Intent, TargetId, Unsent
from safetyamp_pipelines.ledger.schema import ChangeRow, LeaseRow, SessionRow
from safetyamp_pipelines.ledger.transactions import Store

# Asked before every write to SafetyAmp, so built once.
SESSION_STATE = (
    select(SessionRow.status, SessionRow.lease_name, SessionRow.lease_token)
    .where(SessionRow.id == bindparam("session_id"))
    .with_for_update(read=True)
)
LEASE_STATE = (
    select(LeaseRow.token, LeaseRow.holder).where(LeaseRow.name == bindparam("name")).with_for_update(read=True)
)


class Changes(Store):
    """Write intents and answers, and find what has none."""

    def intend(self, session_id: int, intent: Intent) -> int:
        """Put the intent on the disk and return its change id; only then may the call be made.

        Raises IntentOpen when a create of the record has no answer yet, LeaseLost and SessionEnded when this push
        must not write any more.
        """
        with self._writing() as db:
            require_right_to_push(db, session_id)
            row = change_row(session_id, intent)
            row.intended_at = self._clock()
            db.add(row)
            try:
                db.flush()
            except IntegrityError:
                if intent.action != "create":
                    raise
                raise IntentOpen(intent.entity, intent.source_key) from None
            return row.id

    def answer(
        self,
        change_id: int,
        status: ChangeStatus,
        *,
        target_id: TargetId | None = None,
        http_status: int | None = None,
        error: Any = None,
        rule: str | None = None,
        answer: Any = None,
        pushed: Mapping[str, Any] | None = None,
        not_taken: Mapping[str, str | None] | None = None,
        not_taken_for: timedelta | None = None,
    ) -> None:
        """Settle the change. With `pushed` the record's link is saved in the same transaction (see `save_link`).
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
                pair = (row.entity, row.source_key, row.natural_key, row.target_id)
                put_link(db, *pair, pushed, not_taken or {}, self._clock(), not_taken_for)

    def note_unsent(self, session_id: int, intents: Iterable[Intent], status: Unsent, rule: str) -> None:
        """Record changes for which no call was made, and the rule that decided, all at once."""
        with self._writing() as db:
            now = self._clock()
            for intent in intents:
                row = change_row(session_id, intent)
                row.intended_at, row.answered_at, row.status, row.rule = (now, now, status, rule)
                db.add(row)

    def open_intents(self, entity: str) -> list[Change]:
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
    ) -> list[Change]:
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

    def changes_done(self, session_id: int) -> list[Change]:
        """What the session did in SafetyAmp, oldest first: `payload` is what it wrote, `expected` what stood before."""
        query = whole_changes().where(ChangeRow.session_id == session_id, ChangeRow.status == "done")
        with self._reading() as db:
            return [change_record(row) for row in db.scalars(query.order_by(ChangeRow.id))]

    def created_in_run(self, run_id: str, entity: str) -> dict[str, TargetId]:
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


def require_right_to_push(db: Transaction, session_id: int) -> None:
    """Raise unless the session runs and, if it pushes under a lease, its fencing token is still the newest.

    The shared row locks make whoever declares the session over, or takes the lease, wait for this intent and see it.
    """
    session = db.execute(SESSION_STATE, {"session_id": session_id}).one_or_none()
    if session is None:
        raise LookupError(f"session {session_id} is not in the ledger")
    status, lease_name, lease_token = session
    if status != "running":
        raise SessionEnded(session_id, status)
    if lease_name is None:
        return
    lease = db.execute(LEASE_STATE, {"name": lease_name}).one_or_none()
    if lease is None or lease.holder is None or lease.token != lease_token:
        raise LeaseLost(lease_name, f"session {session_id}")


def change_row(session_id: int, intent: Intent) -> ChangeRow:
    """The intent as a row, still without its times."""
    return ChangeRow(session_id=session_id, **{field.name: getattr(intent, field.name) for field in fields(Intent)})


def whole_changes() -> Select[ChangeRow]:
    """Changes, each with its session, in one statement."""
    return select(ChangeRow).join(ChangeRow.session).options(contains_eager(ChangeRow.session))


def change_record(row: ChangeRow) -> Change:
    """The row as a plain record."""
    own = {field.name: getattr(row, field.name) for field in fields(Change) if field.name != "run_id"}
    return Change(**own, run_id=row.session.run_id)
