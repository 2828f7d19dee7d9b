"""What every listing has to satisfy before it may become a snapshot. The paging of each system is in its client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from safetyamp_pipelines.sync.model.errors import CallError, FatalCall, ReadError
from safetyamp_pipelines.sync.model.snapshot import Record

MOST_ROWS = 500_000
MOST_PAGES = 5_000
MOST_EMPTY = 20
"""Pages in a row that bring nothing: some systems filter after they have cut the pages."""


class Bounds:
    """Ends a listing that does not end by itself; `previous_rows` is the size of the last whole read."""

    def __init__(self, table: str, previous_rows: int | None = None) -> None:
        self._table, self._rows, self._pages, self._empty = table, 0, 0, 0
        self._most = MOST_ROWS if previous_rows is None else min(MOST_ROWS, 2 * previous_rows + 10_000)
        self._most_pages = min(MOST_PAGES, self._most // 10)

    def page(self, rows: int) -> None:
        """Count a page; ReadError when there have been too many."""
        self._rows, self._pages = self._rows + rows, self._pages + 1
        self._empty = 0 if rows else self._empty + 1
        if self._rows > self._most or self._pages > self._most_pages or self._empty > MOST_EMPTY:
            read = f"{self._rows} rows on {self._pages} pages"
            raise ReadError(self._table, f"the listing does not end: {read}, the last {self._empty} of them empty")


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
