"""Wrong links that people had forgotten, and when a field that SafetyAmp did not take is offered again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision: str | None = "0010"


def upgrade() -> None:
    """Fields not taken so far are forgotten: each is offered once more and, if need be, remembered with its end."""
    op.add_column("ledger_links", sa.Column("not_taken_until", sa.JSON))
    op.execute("UPDATE ledger_links SET not_taken = '{}'")
    op.create_table(
        "ledger_unlinks",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("target_id", sa.Text, nullable=False),
        sa.Column("natural_key", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_unlinks"),
    )
