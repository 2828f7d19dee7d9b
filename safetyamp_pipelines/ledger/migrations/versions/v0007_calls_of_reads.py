"""The calls that a whole read made, so that a day's use of the budget can be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Add the column; reads noted before stay without."""
    op.add_column("ledger_observations", sa.Column("calls", sa.Integer))
