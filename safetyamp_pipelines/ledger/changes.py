"""Changes: the intent before each call, the answer after it, and what was never sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select
from sqlalchemy.exc import IntegrityError

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.approvals import give_back_approval, use_approval
from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.failures import clear_failure
from safetyamp_pipelines.ledger.ledger_errors import AlreadyAnswered, IntentOpen, LeaseLost, SessionEnded
from safetyamp_pipelines.ledger.links import put_link
from safetyamp_pipelines.ledger.records import ChangeStatus, LoggedChange
from safetyamp_pipelines.ledger.statements import as_record, many, of_key, put, row_at
from safetyamp_pipelines.sync.model.plan import Action, Agreed, Change, Outcome
from safetyamp_pipelines.sync.model.snapshot import canonical_json
from safetyamp_pipelines.sync.model.tables import Id

c = t.changes.c
SWINGS, SWINGS_WITHIN = 3, timedelta(days=30)
"""A field that was written so often between the same two values in so many days is not written again unasked."""

# Asked before every write to SafetyAmp, so built once.
SESSION_STATE = (
    select(t.sessions.c.entity, t.sessions.c.status, t.sessions.c.lease_name, t.sessions.c.lease_token)
    .where(t.sessions.c.id == bindparam("session_id"))
    .with_for_update(read=True)
)
LEASE_STATE = (
    select(t.leases.c.token, t.leases.c.holder).where(t.leases.c.name == bindparam("name")).with_for_update(read=True)
)


class Changes(Store):
    """Write intents and answers, and find what has none."""

    def intend(self, session_id: int, change: Change, approval: str | None = None) -> int:
        """Put the intent on the disk and return its id; only then may the call be made. `approval` is the hash under
        which people approved the change: it is used up, until an answer says that SafetyAmp did not act.

        Raises IntentOpen when a create of the record has no answer yet, LeaseLost and SessionEnded when this push
        must not write any more.
        """
        with self._writing() as db:
            entity, now = require_right_to_push(db, session_id), self._clock()
            if approval is not None:
                use_approval(db, entity, change.source_key, approval, now)
            intent = insert(t.changes).values(**change_row(session_id, entity, change, now))
            try:
                return int(db.execute(intent.returning(c.id)).scalar_one())
            except IntegrityError:
                if change.action is not Action.CREATE:
                    raise
                raise IntentOpen(entity, change.source_key) from None

    def answer(
        self,
        change_id: int,
        status: ChangeStatus,
        *,
        target_id: Id | None = None,
        http_status: int | None = None,
        error: Any = None,
        rule: str | None = None,
        pushed: Mapping[str, Any] | None = None,
        not_taken: Mapping[str, str | None] | None = None,
        not_taken_for: timedelta | None = None,
        declared: Set[str] = frozenset(),
    ) -> None:
        """Settle the change. With `pushed` the record's link is saved in the same transaction (see `links.merge`), and
        an earlier refusal is cleared, unless it was of `declared` fields and none of them was sent.
        `not_taken_for` is how long that is remembered of the fields not taken; without it for good.

        An answer is taken even from a push that lost its lease: what happened, happened. Raises AlreadyAnswered.
        """
        with self._writing() as db:
            row = row_at(db, t.changes, change_id, lock=True)
            if row is None:
                raise LookupError(f"change {change_id} is not in the ledger")
            if row["status"] is not None:
                raise AlreadyAnswered(change_id, row["status"])
            target_id = row["target_id"] if target_id is None else target_id
            settled = {
                "status": status,
                "answered_at": self._clock(),
                "target_id": target_id,
                "http_status": http_status,
                "error": error,
                "rule": rule,
            }
            put(db, t.changes, [change_id], settled, known=True)
            if status == "failed":
                give_back_approval(db, row["entity"], row["source_key"], row["intended_at"])
            if pushed is not None:
                if target_id is None:
                    raise ValueError(f"change {change_id}: a link needs the SafetyAmp id")
                pair = Agreed(row["source_key"], row["natural_key"], target_id, pushed)
                put_link(db, row["entity"], pair, not_taken or {}, self._clock(), not_taken_for)
                clear_failure(db, row["entity"], row["source_key"], {*pushed, *(not_taken or {})}, declared)

    def note_unsent(self, session_id: int, changes: Iterable[Change], status: Outcome, rule: str) -> None:
        """Record changes for which no call was made, and the rule that decided, all at once."""
        with self._writing() as db:
            now = self._clock()
            entity = db.execute(select(t.sessions.c.entity).where(of_key(t.sessions, session_id))).scalar_one()
            unsent = {"answered_at": now, "status": str(status), "rule": rule}
            rows = [{**change_row(session_id, entity, change, now), **unsent} for change in changes]
            many(db, insert(t.changes), rows)

    def open_intents(self, entity: str) -> list[LoggedChange]:
        """Intents of the entity without an answer, oldest first, whatever became of their sessions.

        The holder of the lease has to settle each of them by looking the record up in SafetyAmp.
        """
        query = whole_changes().where(c.entity == entity, c.status.is_(None)).order_by(c.id)
        with self._reading() as db:
            return change_records(db, query)

    def has_written_since(self, entity: str, moment: datetime) -> bool:
        """Whether a change of the entity was answered with success at that moment or later."""
        query = select(c.id).where(c.entity == entity, c.status == "done", c.answered_at >= moment)
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
        wanted = {c.session_id: session_id, t.sessions.c.run_id: run_id, c.entity: entity, c.source_key: source_key}
        given = (column == value for column, value in wanted.items() if value is not None)
        with self._reading() as db:
            return change_records(db, whole_changes().where(*given).order_by(c.id.desc()).limit(limit))

    def changes_intended(self, start: datetime, end: datetime) -> list[LoggedChange]:
        """The changes intended from `start` until, and without, `end`, oldest first."""
        query = whole_changes().where(c.intended_at >= start, c.intended_at < end)
        with self._reading() as db:
            return change_records(db, query.order_by(c.id))

    def swings(self, entity: str) -> dict[str, dict[str, frozenset[frozenset[str]]]]:
        """Source key → field → pairs of values (canonical JSON), each pair written to and fro, either way, so often and
        so lately that neither side can be right."""
        written = (c.entity == entity, c.status == "done", c.action != Action.CREATE)
        recent = (*written, c.intended_at > self._clock() - SWINGS_WITHIN)
        often = select(c.source_key).where(*recent).group_by(c.source_key)
        often = often.having(func.count() >= SWINGS)
        query = select(c.source_key, c.fields).where(*recent, c.source_key.in_(often))
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
        query = whole_changes().where(c.session_id == session_id, c.status == "done")
        with self._reading() as db:
            return change_records(db, query.order_by(c.id))


def require_right_to_push(db: Connection, session_id: int) -> str:
    """The session's entity. Raises unless the session runs and, if it pushes under a lease, its fencing token is still
    the newest.

    With the shared row locks, a process that ends the session or takes the lease waits for this intent and sees it.
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


def change_row(session_id: int, entity: str, change: Change, now: datetime) -> dict[str, Any]:
    """The columns of a change without an answer."""
    values = {field.name: getattr(change, field.name) for field in fields(Change)}
    own = {"session_id": session_id, "entity": entity, "intended_at": now}
    return {**own, **values, "fields": dict(change.fields)}


def whole_changes() -> Select[Any]:
    """Changes, each with its session's run, in one statement."""
    return select(t.changes, t.sessions.c.run_id).join(t.sessions)


def change_records(db: Connection, query: Select[Any]) -> list[LoggedChange]:
    """What the query finds, as plain records."""
    return [
        as_record(LoggedChange, row, fields={name: tuple(pair) for name, pair in row["fields"].items()})
        for row in db.execute(query).mappings()
    ]
