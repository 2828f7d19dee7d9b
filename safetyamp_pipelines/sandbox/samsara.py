"""Samsara as a Starlette application over a world: vehicles, drivers, cursors, its rate limit and its errors."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from safetyamp_pipelines.sandbox.world_model import Row, World
from safetyamp_pipelines.sandbox.world_pages import Position, cut_page, seal, unseal

MOST_PER_PAGE = 512


@dataclass
class SamsaraOptions:
    """How this Samsara behaves; a running application reads the options at every request.

    `page_size` caps what `limit` asks for; `empty_pages` puts an empty page with `hasNextPage` between any two;
    `repeating_cursor` is a server that never gets on; `calls` per `period` seconds, then 429 with a fractional
    `Retry-After`; `only_tag` is a token restricted to the records with that tag, which shows less without an error.
    """

    token: str = "sandbox-samsara-token"  # noqa: S105 - opens nothing but the sandbox
    page_size: int | None = None
    empty_pages: bool = False
    repeating_cursor: bool = False
    calls: int | None = None
    period: float = 1.0
    only_tag: str | None = None


class _Refused(Exception):
    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers


def samsara_app(world: World, options: SamsaraOptions | None = None) -> Starlette:
    """The application; it serves the world as it is at the time of each request."""
    api = _Samsara(world, options or SamsaraOptions())
    routes = {
        "/me": api.organisation,
        "/fleet/vehicles": api.vehicles,
        "/fleet/vehicles/{key:path}": api.vehicle,
        "/fleet/drivers": api.drivers,
        "/fleet/drivers/{key:path}": api.driver,
    }
    return Starlette(routes=[Route(path, api.answering(endpoint)) for path, endpoint in routes.items()])


class _Samsara:
    def __init__(self, world: World, options: SamsaraOptions) -> None:
        self.world, self.options = world, options
        self._request_ids = itertools.count(1)
        self._budget = _Budget()

    def answering(self, endpoint: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """The endpoint behind token check and rate limit, its refusals as `{message, requestId}`."""

        async def answer(request: Request) -> Response:
            try:
                self._admit(request)
                with self.world.lock:
                    return JSONResponse(endpoint(request))
            except _Refused as refused:
                body = {"message": refused.message, "requestId": f"sandbox-{next(self._request_ids)}"}
                return JSONResponse(body, refused.status, refused.headers)

        return answer

    def organisation(self, _: Request) -> Any:
        return {"data": {"id": "1", "name": "Sample Construction"}}

    def vehicles(self, request: Request) -> Any:
        return self._listing(request, self._visible(self.world.samsara_vehicles))

    def vehicle(self, request: Request) -> Any:
        return {"data": _one(self._visible(self.world.samsara_vehicles), request.path_params["key"])}

    def drivers(self, request: Request) -> Any:
        status = request.query_params.get("driverActivationStatus", "active")
        if status not in ("active", "deactivated"):
            raise _Refused(400, "driverActivationStatus must be active or deactivated")
        drivers = self._visible(self.world.samsara_drivers)
        return self._listing(request, [row for row in drivers if row["driverActivationStatus"] == status])

    def driver(self, request: Request) -> Any:
        return {"data": _one(self._visible(self.world.samsara_drivers), request.path_params["key"])}

    def _admit(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {self.options.token}":
            raise _Refused(401, "Unauthorized")
        wait = self._budget.spend(self.options.calls, self.options.period)
        if wait > 0:
            raise _Refused(429, "Rate limit exceeded", {"Retry-After": f"{wait:.3f}"})

    def _visible(self, rows: list[Row]) -> list[Row]:
        tag = self.options.only_tag
        return rows if tag is None else [r for r in rows if any(t["name"] == tag for t in r.get("tags", []))]

    def _listing(self, request: Request, rows: list[Row]) -> Any:
        size, at = _limit(request), _position(request.query_params.get("after", ""))
        size = min(size, self.options.page_size or size)
        page = cut_page(rows, at, size, empty_pages=self.options.empty_pages)
        following = page.following
        if self.options.repeating_cursor and at.after:
            following = at
        cursor = seal(following) if following else ""
        return {"data": page.rows, "pagination": {"endCursor": cursor, "hasNextPage": following is not None}}


class _Budget:
    """Calls in a sliding window, counted by the second of the machine's monotonic clock."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque()
        self._lock = threading.Lock()

    def spend(self, calls: int | None, period: float) -> float:
        """Take one call, or say how many seconds to wait for the next; without `calls` nothing is limited."""
        if calls is None:
            return 0.0
        with self._lock:
            now = time.monotonic()
            while self._calls and self._calls[0] <= now - period:
                self._calls.popleft()
            if len(self._calls) >= calls:
                return max(0.001, self._calls[0] + period - now)
            self._calls.append(now)
            return 0.0


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(MOST_PER_PAGE))
    if not text.isdigit() or not 1 <= int(text) <= MOST_PER_PAGE:
        raise _Refused(400, f"limit must lie between 1 and {MOST_PER_PAGE}")
    return int(text)


def _position(cursor: str) -> Position:
    if not cursor:
        return Position()
    try:
        return unseal(cursor, lambda value: Position(str(value[0]), bool(value[1])))
    except ValueError:
        raise _Refused(400, "Invalid pagination cursor") from None


def _one(rows: list[Row], key: str) -> Row:
    """The record with this id, or with this external id when the key reads `name:value`."""
    name, colon, value = key.partition(":")
    for row in rows:
        if row["id"] == key or (colon and row.get("externalIds", {}).get(name) == value):
            return row
    raise _Refused(404, "Object not found")
