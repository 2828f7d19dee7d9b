"""The tables of Jira and how rows get in: `jira_issues` grows by the columns of the mapping and only ever grows.

Which row is to be written is decided elsewhere; that no older reading replaces a newer one is decided here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateColumn
from sqlalchemy.types import TypeDecorator, TypeEngine

from safetyamp_pipelines.jira.field_mapping import FieldMapping
from safetyamp_pipelines.jira.values import ABSENT, ColumnType
from safetyamp_pipelines.ledger.schema import UtcDateTime
from safetyamp_pipelines.sync.model.errors import Refusal

Row = dict[str, Any]
Columns = Mapping[str, TypeEngine[Any]]
COLUMNS_LOCK = 5_309_771_204_117_063_282
"""Key of the PostgreSQL advisory lock under which columns are added."""
Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


class _Decimal(TypeDecorator[Decimal]):
    """NUMERIC; SQLite has no decimals, so it gets the text, which it keeps as a number where nothing is lost."""

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(_Affine() if dialect.name == "sqlite" else sa.Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, _dialect: sa.Dialect) -> Decimal | None:
        return None if value is None else Decimal(str(value))


class _Affine(sa.types.UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "NUMERIC"


TYPES: Mapping[ColumnType, TypeEngine[Any]] = {
    "text": sa.Text(),
    "integer": sa.BigInteger(),
    "number": _Decimal(),
    "boolean": sa.Boolean(),
    "date": sa.Date(),
    "datetime": UtcDateTime(),
    "json": Json,
    "list": Json,
}

metadata = sa.MetaData()


def fixed_columns() -> list[sa.Column[Any]]:
    """The columns of `jira_issues` that every row has; `untyped` holds by column why its value could not be typed,
    `changes_of` is the `updated` whose changelog is stored."""
    return [
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("issue_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("issue_key", sa.Text, nullable=False),
        sa.Column("project_key", sa.Text, nullable=False),
        sa.Column("old_keys", Json),
        sa.Column("created", UtcDateTime),
        sa.Column("updated", UtcDateTime, nullable=False),
        sa.Column("read_at", UtcDateTime, nullable=False),
        sa.Column("mapping_version", sa.Integer, nullable=False),
        sa.Column("gone_at", UtcDateTime),
        sa.Column("gone_why", sa.Text),
        sa.Column("untyped", Json),
        sa.Column("changes_of", UtcDateTime),
    ]


issues = sa.Table(
    "jira_issues",
    metadata,
    *fixed_columns(),
    sa.Index("ix_jira_issues_project", "instance", "project_key"),
    sa.Index("ix_jira_issues_key", "issue_key"),
    sa.Index("ix_jira_issues_updated", "updated"),
)


def _table(
    name: str, keys: Columns, needed: Columns, maybe: Columns | None = None, *, indexed: Sequence[str] = ()
) -> sa.Table:
    """A table: the columns of its primary key, those that always have a value, and the others."""
    return sa.Table(
        name,
        metadata,
        *(
            sa.Column(key, kind, primary_key=True, autoincrement="auto" if len(keys) == 1 else False)
            for key, kind in keys.items()
        ),
        *(sa.Column(column, kind, nullable=False, index=column in indexed) for column, kind in needed.items()),
        *(sa.Column(column, kind) for column, kind in (maybe or {}).items()),
    )


TEXT, WHOLE, LARGE, AT, YES_NO = sa.Text(), sa.Integer(), sa.BigInteger(), UtcDateTime(), sa.Boolean()
NUMBERED: Columns = {"id": WHOLE}
changes = _table(
    "jira_changes",
    {"instance": TEXT, "issue_id": LARGE, "change_id": LARGE, "item": WHOLE},
    {"at": AT},
    dict.fromkeys(("author_id", "author", "field", "field_id", "from_value", "from_text", "to_value", "to_text"), TEXT),
)
fields = _table(
    "jira_fields",
    {"instance": TEXT, "field_id": TEXT},
    {"name": TEXT, "type": TEXT, "is_custom": YES_NO, "seen_at": AT},
)
partitions = _table(
    "jira_partitions",
    {"instance": TEXT, "project": TEXT},
    {"name": TEXT, "is_read": YES_NO},
    {
        **{"watermark": AT, "rules": Json, "waits": Json, "mapping_version": WHOLE, "read_at": AT, "absent": Json},
        **{"failure": TEXT, "listed_at": AT, "listed": WHOLE, "counted": WHOLE, "not_visible": WHOLE, "held": Json},
    },
)
mappings = _table(
    "jira_mappings", {"version": WHOLE}, {"document": Json, "at": AT, "who": TEXT, "why": TEXT}, {"diff": Json}
)
backups = _table("jira_backups", NUMBERED, {"at": AT, "who": TEXT, "kind": TEXT, "data": Json})
runs = _table(
    "jira_runs",
    NUMBERED,
    {
        **dict.fromkeys(("run_id", "kind", "instance", "project", "cause", "status"), TEXT),
        **{"started_at": AT, "beat_at": AT, "done": WHOLE},
    },
    {"ended_at": AT, "total": WHOLE, "counts": Json, "calls": WHOLE, "error": TEXT},
    indexed=("run_id", "started_at"),
)
pauses = _table("jira_pauses", NUMBERED, {"who": TEXT, "why": TEXT, "at": AT}, {"ended_at": AT, "ended_by": TEXT})


def issues_table(mapping: FieldMapping) -> sa.Table:
    """`jira_issues` with the columns of this mapping."""
    mapped = [sa.Column(name, TYPES[column.type]) for name, column in mapping.columns.items()]
    return sa.Table("jira_issues", sa.MetaData(), *fixed_columns(), *mapped)


def add_columns(connection: sa.Connection, mapping: FieldMapping) -> list[str]:
    """Add the columns that are missing, and return their names. Raises Refusal when one has another type already."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(COLUMNS_LOCK)))
    there = {str(found["name"]): found["type"] for found in sa.inspect(connection).get_columns("jira_issues")}
    added = []
    for name, column in mapping.columns.items():
        made = sa.Column(name, TYPES[column.type])
        wanted = made.type.compile(connection.dialect)
        if name not in there:
            text = CreateColumn(made).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE jira_issues ADD COLUMN {text}")
            added.append(name)
        elif (has := there[name].compile(connection.dialect)) != wanted:
            raise Refusal(f"the column {name} of jira_issues holds {has}, and the mapping wants {wanted}: rename it")
    return added


def write_rows(connection: sa.Connection, table: sa.Table, instance: str, rows: Sequence[Row]) -> dict[str, int]:
    """Insert or replace rows by (instance, issue_id), and count what became of them.

    A row keeps what it has where the new value is ABSENT, and as a whole where its reading was the newer one.
    """
    known = _known(connection, table, instance, rows)
    counts = {"created": 0, "updated": 0, "unchanged": 0, "older": 0}
    for row in rows:
        before = known.get(row["issue_id"])
        counts[_outcome(before, row)] += 1
        row["old_keys"] = _old_keys(before, row)
        for name, value in row.items():
            if value is ABSENT:
                row[name] = getattr(before, name) if before is not None else None
    if rows:
        _upsert(connection, table, rows)
    return counts


def _known(connection: sa.Connection, table: sa.Table, instance: str, rows: Sequence[Row]) -> dict[int, Any]:
    """The rows that are there, locked, with what is needed of them."""
    kept = {name for row in rows for name, value in row.items() if value is ABSENT}
    needed = {"issue_id", "issue_key", "old_keys", "updated", "read_at", "mapping_version", "gone_at"} | kept
    query = (
        sa.select(*(table.c[name] for name in sorted(needed)))
        .where(table.c.instance == instance, table.c.issue_id.in_([row["issue_id"] for row in rows]))
        .order_by(table.c.issue_id)
        .with_for_update()
    )
    return {found.issue_id: found for found in connection.execute(query)}


def _outcome(before: Any, row: Row) -> str:
    if before is None:
        return "created"
    if (before.updated, before.read_at) > (row["updated"], row["read_at"]):
        return "older"
    same = (before.updated, before.issue_key, before.mapping_version, before.gone_at)
    return "unchanged" if same == (row["updated"], row["issue_key"], row["mapping_version"], None) else "updated"


def _old_keys(before: Any, row: Row) -> list[str] | None:
    if before is None:
        return None
    keys: list[str] = before.old_keys or []
    if before.issue_key not in (row["issue_key"], *keys):
        keys = [*keys, before.issue_key]
    return [key for key in keys if key != row["issue_key"]] or None


def _upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    names = list(rows[0])
    if connection.dialect.name == "postgresql":
        record = sa.func.jsonb_to_recordset(sa.cast(sa.bindparam("rows", type_=sa.Text), postgresql.JSONB))
        given = record.table_valued(*(sa.column(name, table.c[name].type) for name in names))
        given = given.render_derived("r", with_types=True)
        chosen = sa.select(*(given.c[name] for name in names))
        insert: Any = postgresql.insert(table).from_select(names, chosen)
        parameters: Any = {"rows": json.dumps(rows, default=_as_json, ensure_ascii=False)}
    else:
        insert, parameters = sqlite.insert(table), list(rows)
    new = insert.excluded
    kept = {name: new[name] for name in names if name not in ("instance", "issue_id", "created")}
    returned = sa.or_(table.c.gone_at.is_(None), table.c.gone_at <= new.read_at)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["instance", "issue_id"],
            set_={
                **kept,
                "created": sa.func.coalesce(new.created, table.c.created),
                # In another project the changelog is read again: its rules may have filled other columns there.
                "changes_of": sa.case((table.c.project_key == new.project_key, table.c.changes_of)),
                "gone_at": sa.case((returned, None), else_=table.c.gone_at),
                "gone_why": sa.case((returned, None), else_=table.c.gone_why),
            },
            where=sa.tuple_(new.updated, new.read_at) >= sa.tuple_(table.c.updated, table.c.read_at),
        ),
        parameters,
    )


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)
