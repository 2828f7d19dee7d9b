"""The ledger's tables, and their column types. How they are written and read is not here.

Every name starts with `ledger_`, so that the ledger can share a database with Dagster's own storage. A fresh ledger is
made from these tables; once a release has been run, a change here needs a migration in `migrations/versions`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
    true,
)
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.types import TypeDecorator

from safetyamp_pipelines.sync.model.plan import Action
from safetyamp_pipelines.sync.model.snapshot import canonical_json
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.model.text import usable

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
    """Text that both databases accept, whatever its origin: PostgreSQL refuses NUL, both refuse half a character."""

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


Actions = Enum(Action, native_enum=False, length=20, values_callable=lambda kind: [str(one) for one in kind])

# Every constraint has a name, so that a migration can find it on both databases.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _key(name: str, kind: Any = Words, **options: Any) -> Column[Any]:
    return Column(name, kind, primary_key=True, **options)


def _needed(name: str, kind: Any = Words, *rest: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, *rest, nullable=False, **options)


def _asked() -> tuple[Column[Any], ...]:
    """Who asked for it, who was logged in, why and when."""
    return _needed("who"), _needed("login"), _needed("reason"), _needed("at", UtcDateTime)


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, info={"where": text(where)})


@event.listens_for(metadata, "before_create")
def give_conditions(metadata: MetaData, connection: Connection, **_: Any) -> None:
    """Have the partial indexes made as such. `Index` itself takes conditions by dialect and then loads each of them,
    which a command on SQLite that makes no table would pay for PostgreSQL's."""
    for index in (index for table in metadata.tables.values() for index in table.indexes):
        where: TextClause | None = index.info.get("where")
        if where is not None:
            index.dialect_kwargs[f"{connection.dialect.name}_where"] = where


# One push of one entity in one run, and the fencing token it pushes under. `undoes` is another session's id.
sessions = Table(
    "ledger_sessions",
    metadata,
    _key("id", Integer),
    _needed("run_id", index=True),
    _needed("entity"),
    _needed("plan_hash"),
    _needed("planned", Json),
    _needed("status", Text),
    _needed("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("counts", Json),
    Column("calls", Integer),
    Column("lease_name", Words),
    Column("lease_token", Integer),
    _needed("is_whole", Boolean, server_default=true()),
    Column("undoes", Integer),
)

# An intent, written before its call, and the answer. `status` is NULL while no answer is known. `fields` maps each
# field to [before, after], in natural keys.
changes = Table(
    "ledger_changes",
    metadata,
    _key("id", Integer),
    _needed("session_id", Integer, ForeignKey("ledger_sessions.id"), index=True),
    _needed("entity"),
    _needed("source_key"),
    _needed("natural_key"),
    _needed("action", Actions),
    _needed("payload_hash"),
    _needed("fields", Json),
    _needed("cause"),
    Column("target_id", SafetyAmpId),
    _needed("wave", Integer),
    _needed("intended_at", UtcDateTime),
    Column("answered_at", UtcDateTime),
    Column("status", Text),
    Column("http_status", Integer),
    Column("error", Json),
    Column("rule", Words),
    # The promise "at most one create per source record" ends here, whatever the code above does.
    _partial(
        "uq_ledger_changes_unanswered_create",
        "entity",
        "source_key",
        where="status IS NULL AND action = 'create'",
        unique=True,
    ),
    _partial("ix_ledger_changes_unanswered", "entity", where="status IS NULL"),
    Index("ix_ledger_changes_entity_source_key", "entity", "source_key"),
)

# Source record and SafetyAmp id: one link per source record, one per SafetyAmp record. `not_taken_until` maps a field
# of `not_taken` to the time (ISO 8601) at which it is offered again.
links = Table(
    "ledger_links",
    metadata,
    _key("entity"),
    _key("source_key"),
    _needed("target_id", SafetyAmpId),
    _needed("natural_key"),
    _needed("pushed", Json),
    _needed("not_taken", Json),
    _needed("not_taken_until", Json),
    _needed("updated_at", UtcDateTime),
    UniqueConstraint("entity", "target_id"),
)

# A pair that a person had forgotten, because it was wrong; the history is kept.
unlinks = Table(
    "ledger_unlinks",
    metadata,
    _key("id", Integer),
    _needed("entity"),
    _needed("source_key"),
    _needed("target_id", SafetyAmpId),
    _needed("natural_key"),
    _needed("who"),
    _needed("reason"),
    _needed("at", UtcDateTime),
)

# A record SafetyAmp refused, with keyed hashes of the offending fields.
failures = Table(
    "ledger_failures",
    metadata,
    _key("entity"),
    _key("source_key"),
    _needed("action", Actions),
    _needed("payload_hash"),
    _needed("fields", Json),
    Column("http_status", Integer),
    _needed("first_seen", UtcDateTime),
    _needed("last_seen", UtcDateTime),
    _needed("attempts", Integer),
    _needed("expires_at", UtcDateTime),
    _needed("state", Text),
    _needed("cause", Json),
)

# The lease of one name. The row stays after release, because its token must only ever grow.
leases = Table(
    "ledger_leases",
    metadata,
    _key("name"),
    _needed("token", Integer),
    Column("holder", Words),
    Column("since", UtcDateTime),
    Column("expires_at", UtcDateTime),
)

# A pause and its end; the history is kept.
pauses = Table(
    "ledger_pauses",
    metadata,
    _key("id", Integer),
    _needed("who"),
    _needed("reason"),
    _needed("at", UtcDateTime),
    Column("resumed_by", Words),
    Column("resumed_at", UtcDateTime),
)

# How many rows a whole read of a table gave, and with how many calls; the history is kept for the guards.
observations = Table(
    "ledger_observations",
    metadata,
    _key("id", Integer),
    _needed("table_name"),
    _needed("rows", Integer),
    _needed("at", UtcDateTime),
    Column("calls", Integer),
    Index("ix_ledger_observations_table_name_at", "table_name", "at"),
)

# The random key of the keyed hashes, made once per ledger.
keys = Table("ledger_keys", metadata, _key("name"), _needed("secret", LargeBinary))

# A person's permission to push one plan; every one given is kept.
approvals = Table(
    "ledger_approvals",
    metadata,
    _key("id", Integer),
    _needed("plan_hash", index=True),
    _needed("entity"),
    *_asked(),
    _needed("expires_at", UtcDateTime),
    Column("used_at", UtcDateTime),
)

# A person's permission to push one change that a guard holds; every one given is kept. `change_hash` stands for record,
# fields and values. `used_at` is when the change was pushed.
change_approvals = Table(
    "ledger_change_approvals",
    metadata,
    _key("id", Integer),
    _needed("entity"),
    _needed("source_key"),
    _needed("change_hash"),
    _needed("guard"),
    *_asked(),
    _needed("expires_at", UtcDateTime),
    Column("used_at", UtcDateTime),
    Index("ix_ledger_change_approvals_entity_change_hash", "entity", "change_hash"),
)

# What a person decided about one record; every one is kept. It counts until `ended_at`, and `ended` says why. `about`
# is the hash of the question, or of the held change, that it answers; empty for a link.
decisions = Table(
    "ledger_decisions",
    metadata,
    _key("id", Integer),
    _needed("entity"),
    _needed("source_key"),
    _needed("choice", Text),
    _needed("about"),
    Column("target_id", SafetyAmpId),
    *_asked(),
    Column("until", UtcDateTime),
    Column("ended_at", UtcDateTime),
    _needed("ended"),
    Index("ix_ledger_decisions_entity_source_key", "entity", "source_key"),
)

# The latest time that the ledger has seen: a clock that is set back revives nothing.
clock = Table("ledger_clock", metadata, _key("name"), _needed("at", UtcDateTime))

# A run that gave verdicts to an entity's source records, and how many of each.
runs = Table(
    "ledger_runs",
    metadata,
    _key("id", Integer),
    _needed("run_id"),
    _needed("entity"),
    _needed("at", UtcDateTime),
    _needed("counts", Json),
    Index("ix_ledger_runs_entity_id", "entity", "id"),
)

# A verdict from the run that first gave it until, and without, the run that gave another one. `until_id` is NULL while
# it stands. `outcome` is NULL from the first run on that no longer saw the source record.
verdicts = Table(
    "ledger_verdicts",
    metadata,
    _key("id", Integer),
    _needed("entity"),
    _needed("source_key"),
    Column("outcome", Words),
    _needed("rule"),
    _needed("reasons", Json),
    _needed("notes", Json),
    _needed("since_id", Integer, ForeignKey("ledger_runs.id"), index=True),
    Column("until_id", Integer, ForeignKey("ledger_runs.id")),
    _partial("ix_ledger_verdicts_standing", "entity", where="until_id IS NULL"),
    Index("ix_ledger_verdicts_entity_source_key", "entity", "source_key"),
)

# One call to an outside system: no ids, no values.
calls = Table(
    "ledger_calls",
    metadata,
    _key("id", Integer),
    _needed("run_id", index=True),
    _needed("at", UtcDateTime, index=True),
    _needed("system", index=True),
    _needed("method"),
    _needed("path"),
    Column("status", Integer),
    _needed("seconds", Double),
    _needed("waited", Double),
)

# What the calls to one system with one status add up to, also those that are no longer listed. 0: no answer.
call_totals = Table(
    "ledger_call_totals",
    metadata,
    _key("system"),
    _key("status", Integer, autoincrement=False),
    _needed("calls", Integer),
    _needed("seconds", Double),
    _needed("waited", Double),
)

# Who looked at which record on the desk, and when. The key of a forgotten record is empty.
looks = Table(
    "ledger_looks",
    metadata,
    _key("id", Integer),
    _needed("at", UtcDateTime),
    _needed("who"),
    _needed("entity"),
    _needed("source_key"),
    Index("ix_ledger_looks_entity_source_key", "entity", "source_key"),
)
