"""The tables of Jira. The columns that a mapping adds to `jira_issues` are added by `issue_tables.add_columns`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision: str | None = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
AT = sa.DateTime(timezone=True)


def _key(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def upgrade() -> None:
    """Everything at once: there was no Jira before."""
    op.create_table(
        "jira_issues",
        _key("instance", sa.Text),
        _key("issue_id", sa.BigInteger),
        sa.Column("issue_key", sa.Text, nullable=False),
        sa.Column("project_key", sa.Text, nullable=False),
        sa.Column("old_keys", JSON),
        sa.Column("created", AT),
        sa.Column("updated", AT, nullable=False),
        sa.Column("read_at", AT, nullable=False),
        sa.Column("mapping_version", sa.Integer, nullable=False),
        sa.Column("gone_at", AT),
        sa.Column("gone_why", sa.Text),
        sa.Column("changes_of", AT),
    )
    op.create_index("ix_jira_issues_project", "jira_issues", ["instance", "project_key"])
    op.create_index("ix_jira_issues_key", "jira_issues", ["issue_key"])
    op.create_index("ix_jira_issues_updated", "jira_issues", ["updated"])
    op.create_table(
        "jira_changes",
        _key("instance", sa.Text),
        _key("issue_id", sa.BigInteger),
        _key("change_id", sa.BigInteger),
        _key("item", sa.Integer),
        sa.Column("at", AT, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("author_id", "author", "field", "field_id")),
        *(sa.Column(name, sa.Text) for name in ("from_value", "from_text", "to_value", "to_text")),
    )
    op.create_table(
        "jira_fields",
        _key("instance", sa.Text),
        _key("field_id", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("is_custom", sa.Boolean, nullable=False),
        sa.Column("seen_at", AT, nullable=False),
    )
    op.create_table(
        "jira_partitions",
        _key("instance", sa.Text),
        _key("project", sa.Text),
        sa.Column("name", sa.Text, nullable=False, server_default=""),
        sa.Column("is_read", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("watermark", AT),
        sa.Column("rules", JSON),
        sa.Column("waits", JSON),
        sa.Column("mapping_version", sa.Integer),
        sa.Column("read_at", AT),
        sa.Column("absent", JSON),
        sa.Column("failure", sa.Text),
        sa.Column("listed_at", AT),
        *(sa.Column(name, sa.Integer) for name in ("listed", "counted", "not_visible")),
        sa.Column("held", JSON),
    )
    op.create_table(
        "jira_untyped",
        _key("instance", sa.Text),
        _key("issue_id", sa.BigInteger),
        _key("column_name", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "jira_mappings",
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("document", JSON, nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("diff", JSON),
    )
    op.create_table(
        "jira_backups",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", AT, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("data", JSON, nullable=False),
    )
    op.create_table(
        "jira_runs",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run_id", "kind", "instance", "project")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("cause", "status")),
        sa.Column("started_at", AT, nullable=False),
        sa.Column("beat_at", AT, nullable=False),
        sa.Column("ended_at", AT),
        sa.Column("total", sa.Integer),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("counts", JSON),
        sa.Column("calls", sa.Integer),
        sa.Column("error", sa.Text),
    )
    op.create_index("ix_jira_runs_run_id", "jira_runs", ["run_id"])
    op.create_index("ix_jira_runs_started_at", "jira_runs", ["started_at"])
    op.create_table(
        "jira_pauses",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("ended_at", AT),
        sa.Column("ended_by", sa.Text),
    )
