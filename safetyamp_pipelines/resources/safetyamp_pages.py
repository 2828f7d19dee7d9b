"""How a SafetyAmp listing is read whole: page by page, or as the one tree of site clusters. Makes its calls through
the function it is given, and knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from safetyamp_pipelines.sync.model.errors import ReadError
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.systems.http.listing import has_id, records_of

Fetch = Callable[[int, int], Any]
"""Gives the answer of (page, limit)."""


class ListingShifted(ReadError):
    """Rows moved between two pages, or the same page came twice: what was read so far is worthless."""

    def __init__(self, table: str, sign: str) -> None:
        super().__init__(table, f"the listing shifted while it was read: {sign}")


class PageWalk:
    """One walk over the pages of a table.

    `previous_rows`, the size of the last whole read, tells a suspicious end from a plausible one: only the former is
    worth a second call. Of a table that was never read nothing is known (None): there an empty first page is asked for
    once more, and an empty page behind a full one. That costs an empty table one call more, once in its life; believed,
    a single empty answer would have everything created a second time. `pages` counts the answers taken.
    """

    def __init__(self, table: str, fetch: Fetch, *, limit: int, previous_rows: int | None) -> None:
        self.pages = 0
        self._table, self._fetch, self._limit, self._previous_rows = table, fetch, limit, previous_rows
        self._asked = limit
        self._rows: dict[str | int, Record] = {}

    def read(self) -> list[Record]:
        """All rows; ListingShifted when they cannot be of one moment, ReadError when an answer is no listing."""
        page, short = 0, False
        while rows := self._page(page, ends_plausibly=short):
            if short:
                raise ListingShifted(self._table, "rows came after a page that was not full")
            if page == 0:
                # Either the server gives fewer than asked, and may count its pages in its own size, or this was all.
                # Asking on in its own size is right in both cases.
                self._limit = min(self._limit, len(rows))
            short = len(rows) < self._limit
            self._keep(rows)
            page += 1
        return list(self._rows.values())

    def _page(self, page: int, *, ends_plausibly: bool) -> list[Record]:
        rows = self._ask(page)
        if rows or ends_plausibly or not self._expects_more(page):
            return rows
        return self._ask(page)

    def _expects_more(self, page: int) -> bool:
        """Whether an empty page here is suspicious, all pages before it having been full."""
        if self._previous_rows is not None:
            return self._previous_rows > len(self._rows)
        # A first page with fewer rows than asked is most likely the whole table.
        return page != 1 or len(self._rows) >= self._asked

    def _ask(self, page: int) -> list[Record]:
        self.pages += 1
        return records_of(self._fetch(page, self._limit), "data", self._table)

    def _keep(self, rows: list[Record]) -> None:
        for row in rows:
            if row["id"] in self._rows:
                raise ListingShifted(self._table, "a row came twice")
            self._rows[row["id"]] = row


def flattened(table: str, roots: Sequence[Record]) -> list[Record]:
    """Every node of the tree, parents first, without `children`; ListingShifted when an id comes twice."""
    nodes: dict[str | int, Record] = {}
    waiting = list(reversed(roots))
    while waiting:
        node = dict(waiting.pop())
        children = node.pop("children", None) or []
        if not has_id(node) or not isinstance(children, list) or not all(isinstance(child, dict) for child in children):
            raise ReadError(table, "the tree holds something that is no record")
        if node["id"] in nodes:
            raise ListingShifted(table, "a node stands in the tree twice")
        nodes[node["id"]] = node
        waiting += reversed(children)
    return list(nodes.values())
