"""SafetyAmp: listings read whole, single writes. What is written is decided in `sync/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.errors import AnswerLost, NotSent, ReadError, RecordRefused
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot
from safetyamp_pipelines.sync.model.text import usable
from safetyamp_pipelines.systems.http.budget import BucketFactory, Budget, budget_key
from safetyamp_pipelines.systems.http.budget_postgres import bucket_factory
from safetyamp_pipelines.systems.http.client import HttpClient
from safetyamp_pipelines.systems.http.listing import Bounds, has_id, reading, records_of
from safetyamp_pipelines.systems.http.retry import Circuit, RetryPolicy

SYSTEM = "SafetyAmp"
TREE = "site_clusters"
"""The one table that comes as a tree, whole in one answer; paging it would repeat or lose nodes."""


Fetch = Callable[[int, int], Any]
"""Gives the answer of (page, limit)."""


class ListingShifted(ReadError):
    """Rows moved between two pages, or the same page came twice: what was read so far is worthless."""

    def __init__(self, table: str, sign: str) -> None:
        super().__init__(table, f"the listing shifted while it was read: {sign}")


class PageWalk:
    """One walk over the pages of a table.

    `previous_rows`, the size of the last whole read, separates suspicious ends from plausible ones: only the former are
    worth a second call. Of a table that was never read nothing is known (None): there an empty first page is asked for
    once more, and an empty page behind a full one. That costs an empty table one call more, once in its life; believed,
    a single empty answer would have everything created a second time. `pages` counts the answers taken.
    """

    def __init__(self, table: str, fetch: Fetch, *, limit: int, previous_rows: int | None) -> None:
        self.pages = 0
        self._table, self._fetch, self._limit, self._previous_rows = table, fetch, limit, previous_rows
        self._asked = limit
        self._rows: dict[str | int, Record] = {}
        self._bounds = Bounds(table, previous_rows)

    def read(self) -> list[Record]:
        """All rows; ListingShifted when they cannot be of one moment, ReadError when an answer is not a listing."""
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
        self._bounds.page(len(rows))
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
            raise ReadError(table, "the tree holds something that is not a record")
        if node["id"] in nodes:
            raise ListingShifted(table, "a node stands in the tree twice")
        nodes[node["id"]] = node
        waiting += reversed(children)
    return list(nodes.values())


class SafetyAmpClient:
    """SafetyAmp's REST API. Thread-safe; `http.calls` and `http.waited` measure what it cost."""

    def __init__(self, http: HttpClient, page_size: int) -> None:
        self.http = http
        self._page_size = page_size

    def list_table(self, table: str, *, read_at: str, previous_rows: int | None) -> Snapshot:
        """The whole table as `safetyamp_observed/<table>`; a listing that shifts is read again, once.

        `previous_rows` is the size of the last whole read, None when there is none: then an empty answer is asked for
        once more (see PageWalk). Records marked as deleted, none of which was ever seen in a listing, are
        left out with a notice: nothing may be matched with them or refer to them. Raises ReadError, FatalCall.
        """
        name = f"{OBSERVED}/{table}"
        walk = self._walk_tree if table == TREE else self._walk_pages
        with reading(name):
            try:
                rows, pages = walk(table, name, previous_rows)
            except ListingShifted:
                rows, pages = walk(table, name, previous_rows)
        kept = [row for row in rows if row.get("deleted_at") is None]
        gone = len(rows) - len(kept)
        notices = [f"left out: {gone} marked as deleted"] if gone else []
        return Snapshot.certified(name, kept, key=lambda row: row["id"], pages=pages, read_at=read_at, notices=notices)

    def _walk_pages(self, table: str, name: str, previous_rows: int | None) -> tuple[list[Record], int]:
        def fetch(page: int, limit: int) -> Any:
            try:
                return self.http.get(f"/api/{table}", {"page": page, "limit": limit})
            except RecordRefused as refused:
                # Beyond the end an empty page is what was seen, and an error is thinkable.
                if page > 0 and refused.status == HTTPStatus.NOT_FOUND:
                    return {"data": []}
                raise

        walk = PageWalk(name, fetch, limit=self._page_size, previous_rows=previous_rows)
        return walk.read(), walk.pages

    def _walk_tree(self, table: str, name: str, previous_rows: int | None) -> tuple[list[Record], int]:
        roots = records_of(self.http.get(f"/api/{table}"), "data", name)
        if roots or previous_rows == 0:
            return flattened(name, roots), 1
        return flattened(name, records_of(self.http.get(f"/api/{table}"), "data", name)), 2

    def create(self, table: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create one record; gives what SafetyAmp answered, `{}` when that was nothing. Raises CallError."""
        path = f"/api/{table}"
        return self._record("POST", path, self.http.write("POST", path, body, endpoint=path))

    def update(self, table: str, record_id: str | int, body: Mapping[str, Any], method: str) -> dict[str, Any]:
        """Update one record with PUT or PATCH; gives the answer as `create` does. Raises CallError."""
        endpoint = f"/api/{table}/{{id}}"
        if str(record_id) in (".", ".."):  # no quoting keeps them from being steps of a path
            raise NotSent(SYSTEM, method, endpoint, detail="the record's id cannot be part of an address")
        path = f"/api/{table}/{quote(str(record_id), safe='')}"
        return self._record(method, endpoint, self.http.write(method, path, body, endpoint=endpoint))

    def _record(self, method: str, endpoint: str, answer: Any) -> dict[str, Any]:
        record = answer.get("data", answer) if isinstance(answer, dict) else answer
        if record is None:
            return {}
        if not isinstance(record, dict):
            raise AnswerLost(SYSTEM, method, endpoint, detail="the answer holds no record")
        made: dict[str, Any] = usable(record)
        return made

    def check(self) -> str:
        """One cheap call that needs key and tenant; a sentence for `doctor`. Raises SyncError."""
        with reading(table := f"{OBSERVED}/roles"):
            records_of(self.http.get("/api/roles", {"page": 0, "limit": 1}), "data", table)
        return f"SafetyAmp answers at {urlsplit(self.http.base_url).netloc} and takes the key"

    def close(self) -> None:
        """Close the connections."""
        self.http.close()


def safetyamp_client(settings: Settings, *, bucket: BucketFactory | None = None) -> SafetyAmpClient:
    """The client these settings describe; raises SettingsError when some are missing. Makes no call.

    `bucket` gives the place where the budget is booked; by default a file that all processes of this machine share, or
    the ledger's database if that is PostgreSQL, which pods share.
    """
    settings.require("safetyamp")
    assert settings.safetyamp_token is not None
    assert settings.safetyamp_fqdn is not None
    token = settings.safetyamp_token.get_secret_value()
    headers = {
        "Authorization": f"Bearer {token}",
        "Fqdn": settings.safetyamp_fqdn,
        "User-Agent": settings.safetyamp_user_agent,
        "Accept": "application/json",
    }
    make_bucket = bucket or bucket_factory(settings.ledger_url.get_secret_value(), settings.budget_path)
    http = HttpClient(
        SYSTEM,
        settings.safetyamp_base_url,
        headers=lambda: headers,
        timeout=settings.http_request_timeout,
        ca_bundle=settings.requests_ca_bundle,
        budget=Budget(
            settings.api_rate_limit_calls,
            settings.api_rate_limit_period,
            make_bucket(budget_key(settings.safetyamp_base_url, token)),
        ),
        policy=RetryPolicy(window=settings.api_rate_limit_period),
        circuit=Circuit(one_key=True),
    )
    return SafetyAmpClient(http, settings.safetyamp_page_size)
