"""Approvals, the log of verdicts, and the cause of a failure."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Add the tables and the column; nothing that is there changes."""
    op.add_column("ledger_failures", sa.Column("cause", sa.JSON))
    op.create_table(
        "ledger_approvals",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("plan_hash", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_approvals"),
    )
    op.create_index("ix_ledger_approvals_plan_hash", "ledger_approvals", ["plan_hash"])
    create_verdict_log()


def create_verdict_log() -> None:
    """Runs, and the verdicts that stand from one run on until another."""
    op.create_table(
        "ledger_runs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_runs"),
    )
    op.create_index("ix_ledger_runs_entity_id", "ledger_runs", ["entity", "id"])
    op.create_table(
        "ledger_verdicts",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("notes", sa.JSON, nullable=False),
        sa.Column("since_id", sa.Integer, nullable=False),
        sa.Column("until_id", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_verdicts"),
        sa.ForeignKeyConstraint(["since_id"], ["ledger_runs.id"], name="fk_ledger_verdicts_since_id"),
        sa.ForeignKeyConstraint(["until_id"], ["ledger_runs.id"], name="fk_ledger_verdicts_until_id"),
    )
    standing = sa.text("until_id IS NULL")
    op.create_index("ix_ledger_verdicts_since_id", "ledger_verdicts", ["since_id"])
    op.create_index("ix_ledger_verdicts_entity_source_key", "ledger_verdicts", ["entity", "source_key"])
    op.create_index(
        "ix_ledger_verdicts_standing",
        "ledger_verdicts",
        ["entity"],
        sqlite_where=standing,
        postgresql_where=standing,
    )
