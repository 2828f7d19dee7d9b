"""Samsara: vehicles and drivers, read whole."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import ReadError
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot
from safetyamp_pipelines.systems.http.budget_postgres import pace_of
from safetyamp_pipelines.systems.http.client import HttpClient
from safetyamp_pipelines.systems.http.listing import Bounds, reading, records_of

SYSTEM = "Samsara"
VEHICLES = "/fleet/vehicles"
DRIVERS = "/fleet/drivers"
_LIMIT = 512  # the most a page may hold, and the default
_NOT_KEPT = ("licenseNumber", "licenseState")
"""Of drivers a licence is never needed, and so it is in no snapshot."""


class SamsaraClient:
    """Samsara's fleet API, reading only. `http.calls` counts its requests."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http

    def list_vehicles(self, *, read_at: str) -> Snapshot:
        """All vehicles the token may see, as `samsara/vehicles`. Raises ReadError, FatalCall."""
        return self._list("samsara/vehicles", VEHICLES, read_at)

    def list_drivers(self, *, read_at: str) -> Snapshot:
        """All active drivers (Samsara's default list), as `samsara/drivers`. Raises ReadError, FatalCall."""
        return self._list("samsara/drivers", DRIVERS, read_at)

    def _list(self, table: str, path: str, read_at: str) -> Snapshot:
        rows: dict[str | int, Record] = {}
        cursors: set[str] = set()
        params: dict[str, str | int] = {"limit": _LIMIT}
        bounds = Bounds(table)
        with reading(table):
            while True:
                answer = self.http.get(path, params)
                page = records_of(answer, "data", table)
                bounds.page(len(page))
                for row in page:
                    if row["id"] in rows:
                        raise ReadError(table, "a record came twice")
                    rows[row["id"]] = {name: value for name, value in row.items() if name not in _NOT_KEPT}
                # A page may be short or empty while more follow: only hasNextPage counts.
                cursor = _next_cursor(table, answer)
                if cursor is None:
                    break
                if cursor in cursors:
                    raise ReadError(table, "the cursor of the next page came twice")
                cursors.add(cursor)
                params = {"limit": _LIMIT, "after": cursor}
        return Snapshot.certified(
            table, rows.values(), key=lambda row: row["id"], pages=len(cursors) + 1, read_at=read_at
        )

    def check(self) -> str:
        """One cheap call that needs the key; a sentence for `doctor`. Raises SyncError."""
        with reading("samsara/vehicles"):
            records_of(self.http.get(VEHICLES, {"limit": 1}), "data", "samsara/vehicles")
        return f"Samsara answers at {urlsplit(self.http.base_url).netloc} and takes the key"

    def close(self) -> None:
        """Close the connections."""
        self.http.close()


def _next_cursor(table: str, answer: dict[str, Any]) -> str | None:
    """The cursor of the next page, None on the last; ReadError when the answer is neither."""
    pagination = answer.get("pagination")
    more = pagination.get("hasNextPage") if isinstance(pagination, dict) else None
    if not isinstance(pagination, dict) or not isinstance(more, bool):
        raise ReadError(table, "the answer holds no pagination.hasNextPage")
    if not more:
        return None
    cursor = pagination.get("endCursor")
    if not isinstance(cursor, str) or not cursor:
        raise ReadError(table, "more pages follow, but the answer holds no cursor")
    return cursor


def samsara_client(settings: Settings) -> SamsaraClient:
    """The client these settings describe; raises SettingsError when some are missing. Makes no call."""
    settings.require("samsara")
    assert settings.samsara_api_key is not None
    headers = {"Authorization": f"Bearer {settings.samsara_api_key.get_secret_value()}", "Accept": "application/json"}
    http = HttpClient(
        SYSTEM,
        settings.samsara_base_url,
        headers=lambda: headers,
        timeout=settings.http_request_timeout,
        ca_bundle=settings.requests_ca_bundle,
        budget=pace_of(settings, settings.samsara_base_url, settings.samsara_api_key.get_secret_value()),
    )
    return SamsaraClient(http)
