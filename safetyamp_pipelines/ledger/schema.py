"""The ledger's tables as SQLAlchemy models. What they hold is declared here; how it is written and read is not.

Every name starts with `ledger_`, so that the ledger can share a database with Dagster's own storage. A change here
needs a migration in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, LargeBinary, MetaData, Text, UniqueConstraint, text, true
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from safetyamp_pipelines.ledger.column_types import Json, SafetyAmpId, UtcDateTime
from safetyamp_pipelines.ledger.records import Action, ChangeStatus, FailureState, SessionStatus, TargetId

UNANSWERED = text("status IS NULL")
UNANSWERED_CREATE = text("status IS NULL AND action = 'create'")
STANDING = text("until_id IS NULL")


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
        str: Text,
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
    """An intent, written before its call, and the answer. `status` is NULL while no answer is known."""

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
    action: Mapped[Action] = mapped_column(Text)
    payload_hash: Mapped[str]
    payload: Mapped[dict[str, Any]]
    expected: Mapped[dict[str, Any]]
    target_id: Mapped[TargetId | None] = mapped_column(SafetyAmpId)
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
    target_id: Mapped[TargetId] = mapped_column(SafetyAmpId)
    natural_key: Mapped[str]
    pushed: Mapped[dict[str, Any]]
    not_taken: Mapped[dict[str, Any]]
    not_taken_until: Mapped[dict[str, Any] | None]
    updated_at: Mapped[datetime]


class UnlinkRow(Base):
    """A pair that a person had forgotten, because it was wrong; the history is kept."""

    __tablename__ = "ledger_unlinks"

    id: Mapped[int] = mapped_column(primary_key=True)
    entity: Mapped[str]
    source_key: Mapped[str]
    target_id: Mapped[TargetId] = mapped_column(SafetyAmpId)
    natural_key: Mapped[str]
    who: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]


class FailureRow(Base):
    """A record SafetyAmp refused, with keyed hashes of the offending fields. `cause` is NULL before revision 0002."""

    __tablename__ = "ledger_failures"

    entity: Mapped[str] = mapped_column(primary_key=True)
    source_key: Mapped[str] = mapped_column(primary_key=True)
    action: Mapped[Action] = mapped_column(Text)
    payload_hash: Mapped[str]
    fields: Mapped[dict[str, Any]]
    http_status: Mapped[int | None]
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    attempts: Mapped[int]
    expires_at: Mapped[datetime]
    state: Mapped[FailureState] = mapped_column(Text)
    cause: Mapped[dict[str, Any] | None]


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
    reason: Mapped[str]
    at: Mapped[datetime]
    expires_at: Mapped[datetime]


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
