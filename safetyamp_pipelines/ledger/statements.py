"""Statements that all themes share: rows by primary key, many at once, and as the plain records that callers get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Executable, RowMapping, Select, Table, and_, insert, select, update

Record = TypeVar("Record")


def of_key(table: Table, *key: Any) -> ColumnElement[bool]:
    """The condition that a row has this primary key."""
    return and_(*(column == value for column, value in zip(table.primary_key, key, strict=True)))


def row_at(db: Connection, table: Table, *key: Any, lock: bool = False) -> RowMapping | None:
    """The row with this primary key; with `lock` as it is once nobody else is at it, until the transaction ends."""
    query = select(table).where(of_key(table, *key))
    return db.execute(query.with_for_update() if lock else query).mappings().one_or_none()


def put(db: Connection, table: Table, key: Sequence[Any], values: Mapping[str, Any], *, known: bool) -> None:
    """Give the row with this primary key these values; insert it unless it is `known`."""
    if known:
        db.execute(update(table).where(of_key(table, *key)).values(**values))
    else:
        named = dict(zip(table.primary_key.columns.keys(), key, strict=True))
        db.execute(insert(table).values(**named, **values))


def as_record(kind: type[Record], row: Mapping[Any, Any], **others: Any) -> Record:
    """The row as a plain record of this dataclass; `others` are the fields that are not columns as they stand."""
    names = [field.name for field in fields(kind) if field.name not in others]  # type: ignore[arg-type]
    return kind(**{name: row[name] for name in names}, **others)


def records(kind: type[Record], db: Connection, query: Select[Any]) -> list[Record]:
    """What the query finds, as plain records."""
    return [as_record(kind, row) for row in db.execute(query).mappings()]


def newest(db: Connection, kind: type[Record], table: Table, limit: int | None = None, **wanted: Any) -> list[Record]:
    """The rows of the table as plain records, newest first; only those with the `wanted` values, where one is given."""
    given = (table.c[name] == value for name, value in wanted.items() if value is not None)
    return records(kind, db, select(table).where(*given).order_by(table.c.id.desc()).limit(limit))


def many(db: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute it once for each; not at all without any, which would mean one row of defaults."""
    if rows:
        db.execute(statement, rows)
