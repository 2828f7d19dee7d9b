"""The first release. Fresh tables are made from the models (`jira/issue_tables.py`), so there is nothing to do here."""

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Nothing: later revisions begin here."""
