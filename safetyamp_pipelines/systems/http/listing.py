"""What every listing has to satisfy before it may become a snapshot. The paging of each system is in its client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from safetyamp_pipelines.sync.model.errors import CallError, FatalCall, ReadError
from safetyamp_pipelines.sync.model.snapshot import Record


@contextmanager
def reading(table: str) -> Iterator[None]:
    """Turn a failed call into ReadError naming the table; FatalCall passes, it concerns more than this table."""
    try:
        yield
    except FatalCall:
        raise
    except CallError as error:
        raise ReadError(table, str(error)) from error


def records_of(answer: Any, field: str, table: str) -> list[Record]:
    """The list of records under `field`; ReadError unless each is an object with an `id` of text or number."""
    rows = answer.get(field) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ReadError(table, f"the answer holds no list {field!r}")
    for row in rows:
        if not isinstance(row, dict) or not has_id(row):
            raise ReadError(table, "a record has no id")
    return rows


def has_id(record: Record) -> bool:
    """Whether the record has an id that can be a key: some text, or a whole number."""
    value = record.get("id")
    return (isinstance(value, str) and value != "") or (isinstance(value, int) and not isinstance(value, bool))
