"""Which sessions carried out a whole plan, and which undid another session."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision: str | None = "0007"


def upgrade() -> None:
    """Add the columns; every session so far carried out a whole plan and undid none."""
    op.add_column("ledger_sessions", sa.Column("is_whole", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("ledger_sessions", sa.Column("undoes", sa.Integer))
