"""The first ledger: sessions, changes, links, failures, leases, pauses, observations and the key of the hashes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Create every table of the first release."""
    create_history()
    create_memory()
    create_locks()


def create_history() -> None:
    """Sessions and changes: what was intended, sent and answered."""
    op.create_table(
        "ledger_sessions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("plan_hash", sa.Text, nullable=False),
        sa.Column("planned", sa.JSON, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("counts", sa.JSON),
        sa.Column("calls", sa.Integer),
        sa.Column("lease_name", sa.Text),
        sa.Column("lease_token", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_sessions"),
    )
    op.create_index("ix_ledger_sessions_run_id", "ledger_sessions", ["run_id"])
    op.create_table(
        "ledger_changes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("session_id", sa.Integer, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("natural_key", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("payload_hash", sa.Text, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("expected", sa.JSON, nullable=False),
        sa.Column("target_id", sa.Text),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("status", sa.Text),
        sa.Column("http_status", sa.Integer),
        sa.Column("error", sa.JSON),
        sa.Column("rule", sa.Text),
        sa.Column("answer", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_changes"),
        sa.ForeignKeyConstraint(["session_id"], ["ledger_sessions.id"], name="fk_ledger_changes_session_id"),
    )
    unanswered, create = (sa.text("status IS NULL"), sa.text("status IS NULL AND action = 'create'"))
    op.create_index("ix_ledger_changes_session_id", "ledger_changes", ["session_id"])
    op.create_index("ix_ledger_changes_entity_source_key", "ledger_changes", ["entity", "source_key"])
    op.create_index(
        "ix_ledger_changes_unanswered",
        "ledger_changes",
        ["entity"],
        sqlite_where=unanswered,
        postgresql_where=unanswered,
    )
    op.create_index(
        "uq_ledger_changes_unanswered_create",
        "ledger_changes",
        ["entity", "source_key"],
        unique=True,
        sqlite_where=create,
        postgresql_where=create,
    )


def create_memory() -> None:
    """Links, failures and observations: what later runs must know."""
    op.create_table(
        "ledger_links",
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("target_id", sa.Text, nullable=False),
        sa.Column("natural_key", sa.Text, nullable=False),
        sa.Column("pushed", sa.JSON, nullable=False),
        sa.Column("not_taken", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("entity", "source_key", name="pk_ledger_links"),
        sa.UniqueConstraint("entity", "target_id", name="uq_ledger_links_entity_target_id"),
    )
    op.create_table(
        "ledger_failures",
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("payload_hash", sa.Text, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("entity", "source_key", name="pk_ledger_failures"),
    )
    op.create_table(
        "ledger_observations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("table_name", sa.Text, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_observations"),
    )
    op.create_index("ix_ledger_observations_table_name_at", "ledger_observations", ["table_name", "at"])


def create_locks() -> None:
    """Leases, pauses and the key of the hashes."""
    op.create_table(
        "ledger_leases",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("name", name="pk_ledger_leases"),
    )
    op.create_table(
        "ledger_pauses",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resumed_by", sa.Text),
        sa.Column("resumed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_pauses"),
    )
    op.create_table(
        "ledger_keys",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_ledger_keys"),
    )
