"""The ledger's tables as SQLAlchemy models, and their column types. How they are written and read is not here.

Every name starts with `ledger_`, so that the ledger can share a database with Dagster's own storage. A fresh ledger is
made from these models; once a release has been run, a change here needs a migration in `migrations/versions`.
"""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from safetyamp_pipelines.ledger.records import ChangeStatus, SessionStatus
from safetyamp_pipelines.sync.model.plan import Action
from safetyamp_pipelines.sync.model.remembered import Choice, FailureState
from safetyamp_pipelines.sync.model.snapshot import canonical_json
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.model.text import usable

UNANSWERED = text("status IS NULL")
UNANSWERED_CREATE = text("status IS NULL AND action = 'create'")
STANDING = text("until_id IS NULL")

Record = TypeVar("Record")

# JSON text on both databases, not JSONB: it is never searched inside, keeps what was written as it was written, and
# takes the \u0000 that JSONB refuses. An absent value is SQL NULL.
Json = JSON(none_as_null=True)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite stores none, PostgreSQL answers in the time zone of the server."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse a naive time (ValueError): it would be read as another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes aware times only")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """The stored moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text that both databases take, whoever wrote it: NUL is not for PostgreSQL, half a character for neither."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """What is kept of it, as of anything that is read."""
        return None if value is None else str(usable(value))


def stored_json(value: Any) -> str:
    """Canonical JSON, of what is kept of the value where it holds half a character, which no database takes."""
    written = canonical_json(value)
    try:
        written.encode()
    except UnicodeEncodeError:
        return canonical_json(usable(value))
    return written


class SafetyAmpId(TypeDecorator[Id]):
    """A SafetyAmp id as JSON text, so that the number 12345 and the user id "12345" stay two things."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Id | None, _dialect: Dialect) -> str | None:
        """`6001` or `"aB3dE"`."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Id | None:
        """The id in its own type."""
        if value is None:
            return None
        target_id: Id = json.loads(value)
        return target_id


class Base(DeclarativeBase):
    """Names every constraint, so that a migration can find it on both databases."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Words,
        Action: Enum(Action, native_enum=False, length=20, values_callable=lambda kind: [str(one) for one in kind]),
        datetime: UtcDateTime,
        dict[str, Any]: Json,
        list[str]: Json,
    }


class SessionRow(Base):
    """One push of one entity in one run, and the fencing token it pushes under. `undoes` is another session's id."""

    __tablename__ = "ledger_sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(index=True)
    entity: Mapped[str]
    plan_hash: Mapped[str]
    planned: Mapped[dict[str, Any]]
    status: Mapped[SessionStatus] = mapped_column(Text)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any] | None]
    calls: Mapped[int | None]
    lease_name: Mapped[str | None]
    lease_token: Mapped[int | None]
    is_whole: Mapped[bool] = mapped_column(server_default=true())
    undoes: Mapped[int | None]


class ChangeRow(Base):
    """An intent, written before its call, and the answer. `status` is NULL while no answer is known.

    `fields` maps each field to [before, after], in natural keys.
    """

    __tablename__ = "ledger_changes"
    __table_args__ = (
        # The promise "at most one create per source record" ends here, whatever the code above does.
        Index(
            "uq_ledger_changes_unanswered_create",
            "entity",
            "source_key",
            unique=True,
            sqlite_where=UNANSWERED_CREATE,
            postgresql_where=UNANSWERED_CREATE,
        ),
        Index("ix_ledger_changes_unanswered", "entity", sqlite_where=UNANSWERED, postgresql_where=UNANSWERED),
        Index("ix_ledger_changes_entity_source_key", "entity", "source_key"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("ledger_sessions.id"), index=True)
    entity: Mapped[str]
    source_key: Mapped[str]
    natural_key: Mapped[str]
    action: Mapped[Action]
    payload_hash: Mapped[str]
    fields: Mapped[dict[str, Any]]
    cause: Mapped[str]
    target_id: Mapped[Id | None] = mapped_column(SafetyAmpId)
    wave: Mapped[int]
    intended_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    status: Mapped[ChangeStatus | None] = mapped_column(Text)
    http_status: Mapped[int | None]
    error: Mapped[Any] = mapped_column(Json, nullable=True)
    rule: Mapped[str | None]
    answer: Mapped[Any] = mapped_column(Json, nullable=True)

    session: Mapped[SessionRow] = relationship()


class LinkRow(Base):
    """Source record and SafetyAmp id: one link per source record, one per SafetyAmp record.

    `not_taken_until` maps a field of `not_taken` to the time (ISO 8601) at which it is offered again.
    """

    __tablename__ = "ledger_links"
    __table_args__ = (UniqueConstraint("entity", "target_id"),)

    entity: Mapped[str] = mapped_column(primary_key=True)
    source_key: Mapped[str] = mapped_column(primary_key=True)
    target_id: Mapped[Id] = mapped_column(SafetyAmpId)
    natural_key: Mapped[str]
    pushed: Mapped[dict[str, Any]]
    not_taken: Mapped[dict[str, Any]]
    not_taken_until: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class UnlinkRow(Base):
    """A pair that a person had forgotten, because it was wrong; the history is kept."""

    __tablename__ = "ledger_unlinks"

    id: Mapped[int] = mapped_column(primary_key=True)
    entity: Mapped[str]
    source_key: Mapped[str]
    target_id: Mapped[Id] = mapped_column(SafetyAmpId)
    natural_key: Mapped[str]
    who: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]


class FailureRow(Base):
    """A record SafetyAmp refused, with keyed hashes of the offending fields."""

    __tablename__ = "ledger_failures"

    entity: Mapped[str] = mapped_column(primary_key=True)
    source_key: Mapped[str] = mapped_column(primary_key=True)
    action: Mapped[Action]
    payload_hash: Mapped[str]
    fields: Mapped[dict[str, Any]]
    http_status: Mapped[int | None]
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    attempts: Mapped[int]
    expires_at: Mapped[datetime]
    state: Mapped[FailureState] = mapped_column(Text)
    cause: Mapped[dict[str, Any]]


class LeaseRow(Base):
    """The lease of one name. The row stays after release, because its token must only ever grow."""

    __tablename__ = "ledger_leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[int]
    holder: Mapped[str | None]
    since: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]


class PauseRow(Base):
    """A pause and its end; the history is kept."""

    __tablename__ = "ledger_pauses"

    id: Mapped[int] = mapped_column(primary_key=True)
    who: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]
    resumed_by: Mapped[str | None]
    resumed_at: Mapped[datetime | None]


class ObservationRow(Base):
    """How many rows a whole read of a table gave, and with how many calls; the history is kept for the guards."""

    __tablename__ = "ledger_observations"
    __table_args__ = (Index("ix_ledger_observations_table_name_at", "table_name", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    table_name: Mapped[str]
    rows: Mapped[int]
    at: Mapped[datetime]
    calls: Mapped[int | None]


class KeyRow(Base):
    """The random key of the keyed hashes, made once per ledger."""

    __tablename__ = "ledger_keys"

    name: Mapped[str] = mapped_column(primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)


class ApprovalRow(Base):
    """A person's leave to push one plan; every one given is kept."""

    __tablename__ = "ledger_approvals"

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_hash: Mapped[str] = mapped_column(index=True)
    entity: Mapped[str]
    who: Mapped[str]
    login: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ChangeApprovalRow(Base):
    """A person's leave to push one change that a guard holds; every one given is kept.

    `change_hash` says record, fields and values. `used_at` is when the change was pushed.
    """

    __tablename__ = "ledger_change_approvals"
    __table_args__ = (Index("ix_ledger_change_approvals_entity_change_hash", "entity", "change_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    entity: Mapped[str]
    source_key: Mapped[str]
    change_hash: Mapped[str]
    guard: Mapped[str]
    who: Mapped[str]
    login: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class DecisionRow(Base):
    """What a person decided about one record; every one is kept. It counts until `ended_at`, and `ended` says why.

    `about` is the hash of the question, or of the held change, that it answers; empty for a link.
    """

    __tablename__ = "ledger_decisions"
    __table_args__ = (Index("ix_ledger_decisions_entity_source_key", "entity", "source_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    entity: Mapped[str]
    source_key: Mapped[str]
    choice: Mapped[Choice] = mapped_column(Text)
    about: Mapped[str]
    target_id: Mapped[Id | None] = mapped_column(SafetyAmpId)
    who: Mapped[str]
    login: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]
    until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended: Mapped[str]


class ClockRow(Base):
    """The latest time that the ledger has seen: a clock that is set back revives nothing."""

    __tablename__ = "ledger_clock"

    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class RunRow(Base):
    """A run that gave verdicts to an entity's source records, and how many of each."""

    __tablename__ = "ledger_runs"
    __table_args__ = (Index("ix_ledger_runs_entity_id", "entity", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str]
    entity: Mapped[str]
    at: Mapped[datetime]
    counts: Mapped[dict[str, Any]]


class VerdictRow(Base):
    """A verdict from the run that first gave it until, and without, the run that gave another one.

    `until_id` is NULL while it stands. `outcome` is NULL from the first run on that no longer saw the source record.
    """

    __tablename__ = "ledger_verdicts"
    __table_args__ = (
        Index("ix_ledger_verdicts_standing", "entity", sqlite_where=STANDING, postgresql_where=STANDING),
        Index("ix_ledger_verdicts_entity_source_key", "entity", "source_key"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    entity: Mapped[str]
    source_key: Mapped[str]
    outcome: Mapped[str | None]
    rule: Mapped[str]
    reasons: Mapped[list[str]]
    notes: Mapped[list[str]]
    since_id: Mapped[int] = mapped_column(ForeignKey("ledger_runs.id"), index=True)
    until_id: Mapped[int | None] = mapped_column(ForeignKey("ledger_runs.id"))


class CallRow(Base):
    """One call to an outside system: no ids, no values."""

    __tablename__ = "ledger_calls"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(index=True)
    at: Mapped[datetime] = mapped_column(index=True)
    system: Mapped[str] = mapped_column(index=True)
    method: Mapped[str]
    path: Mapped[str]
    status: Mapped[int | None]
    seconds: Mapped[float]
    waited: Mapped[float]


class CallTotalRow(Base):
    """What the calls to one system with one status add up to, also those that are no longer listed. 0: no answer."""

    __tablename__ = "ledger_call_totals"

    system: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    calls: Mapped[int]
    seconds: Mapped[float]
    waited: Mapped[float]


class LookRow(Base):
    """Who looked at which record on the desk, and when."""

    __tablename__ = "ledger_looks"
    __table_args__ = (Index("ix_ledger_looks_entity_source_key", "entity", "source_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str]
    entity: Mapped[str]
    source_key: Mapped[str]


def as_record(kind: type[Record], row: Base, **others: Any) -> Record:
    """The row as a plain record of this dataclass; `others` are the fields that are not columns as they stand."""
    names = [field.name for field in fields(kind) if field.name not in others]  # type: ignore[arg-type]
    return kind(**{name: getattr(row, name) for name in names}, **others)
