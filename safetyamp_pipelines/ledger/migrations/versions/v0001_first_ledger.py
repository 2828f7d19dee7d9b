"""The first release. A fresh ledger is made from the models (`ledger/schema.py`), so there is nothing to do here."""

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Nothing: later revisions begin here."""
