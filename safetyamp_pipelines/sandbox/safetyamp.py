"""The embedded SafetyAmp as an HTTP API, as its contract describes it. Records and rules live elsewhere."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from safetyamp_pipelines.sandbox.safetyamp_options import TargetOptions
from safetyamp_pipelines.sandbox.safetyamp_rules import Refused
from safetyamp_pipelines.sandbox.safetyamp_schema import ENDPOINTS, TABLES
from safetyamp_pipelines.sandbox.safetyamp_state import API_USER, SafetyAmpState
from safetyamp_pipelines.sandbox.safetyamp_views import tree
from safetyamp_pipelines.sandbox.throttle import Throttle

_DEFAULT_LIMIT = 25


def safetyamp_app(state: SafetyAmpState) -> Starlette:
    """The API over `state`; it obeys `state.options` as they are at each request."""
    api = _Api(state)
    return Starlette(
        routes=[
            Route("/api/{table}", api.table, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            Route("/api/{table}/{id}", api.record, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ],
        exception_handlers={404: _not_found},
    )


class _Problem(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, message: str, errors: Mapping[str, list[str]] | None = None) -> None:
        self.status, self.body = status, {"message": message, **({"errors": dict(errors)} if errors else {})}
        super().__init__(message)


@dataclass(frozen=True)
class _Call:
    """One request that was let in."""

    method: str
    table: str
    id: str | int | None
    query: Mapping[str, str]
    body: bytes


_Verb = Callable[[_Call], tuple[int, Any]]  # answers (status, JSON), or raises _Problem or Refused


class _Api:
    """The verbs of the API. Every request passes the header check and the throttle first."""

    def __init__(self, state: SafetyAmpState) -> None:
        self._state, self._throttle = state, Throttle()

    async def table(self, request: Request) -> Response:
        """GET a listing, POST a record."""
        return await self._answered(request, {"GET": self._list, "POST": self._create})

    async def record(self, request: Request) -> Response:
        """GET, PUT, PATCH or DELETE one record."""
        verbs = {"GET": self._get, "PUT": self._update, "PATCH": self._update, "DELETE": self._delete}
        return await self._answered(request, verbs)

    async def _answered(self, request: Request, verbs: Mapping[str, _Verb]) -> Response:
        table = request.path_params["table"]
        call = _Call(request.method, table, _id(request), request.query_params, await request.body())
        try:
            _check_headers(request.headers, self._state.options)
            self._spend()
            if table not in ENDPOINTS:
                raise _Problem(404, "Not Found")
            if call.method not in verbs or not self._allows(call):
                raise _Problem(405, f"The {call.method} method is not supported for this route.")
            status, answer = verbs[call.method](call)
        except _Problem as problem:
            status, answer = problem.status, problem.body
        except Refused as refused:
            status, answer = 422, {"message": refused.message, "errors": refused.errors}
        await asyncio.sleep(self._state.options.latency)
        return JSONResponse(answer, status, headers=self._rate_headers(status))

    def _spend(self) -> None:
        options = self._state.options
        if not self._throttle.admit(options.calls, options.period):
            raise _Problem(429, "Too Many Attempts.")

    def _allows(self, call: _Call) -> bool:
        """Whether the API has this verb for this table."""
        options = self._state.options
        match call.method:
            case "GET":
                return call.id is None or call.table in options.readable_by_id
            case "PATCH":
                return call.table in options.patch_tables
            case "DELETE":
                return options.delete_works
        return bool(TABLES[call.table].fields)

    def _list(self, call: _Call) -> tuple[int, Any]:
        page, limit = _paging(call.query)
        table = call.table
        if table == "site_clusters":  # the whole tree at once, whatever page was asked for
            clusters = [self._state.shown(table, row) for row in self._state.listing(table)]
            return 200, {"data": tree(clusters)}
        options = self._state.options
        size = limit if options.page_cap is None else min(limit, options.page_cap)
        start = page * (limit if options.offset_from_asked_limit else size)
        rows = self._state.listing(table)
        if start >= len(rows) and page > 0 and options.beyond_the_end == "not_found":
            raise _Problem(404, "Not Found")
        return 200, {"data": [self._state.shown(table, row) for row in rows[start : start + size]]}

    def _get(self, call: _Call) -> tuple[int, Any]:
        row = self._state.row(call.table, call.id)
        if row is None:
            raise _Problem(404, "Not Found")
        return 200, {"data": self._state.shown(call.table, row)}

    def _create(self, call: _Call) -> tuple[int, Any]:
        created = self._state.create(call.table, _object(call.body))
        return self._state.options.create_status, self._wrapped(created)

    def _update(self, call: _Call) -> tuple[int, Any]:
        replace = call.method == "PUT" and self._state.options.put_clears_omitted
        try:
            updated = self._state.update(call.table, call.id, _object(call.body), replace=replace)
        except KeyError:
            raise _Problem(404, "Not Found") from None
        return 200, self._wrapped(updated)

    def _delete(self, call: _Call) -> tuple[int, Any]:
        if self._state.row(call.table, call.id) is None:
            raise _Problem(404, "Not Found")
        return 200, self._wrapped(self._state.hide(call.table, call.id, author=API_USER))

    def _wrapped(self, record: Mapping[str, Any]) -> Any:
        return {"data": record} if self._state.options.wrap_answers else record

    def _rate_headers(self, status: int) -> dict[str, str]:
        options = self._state.options
        headers: dict[str, str] = {}
        wait = math.ceil(self._throttle.wait(options.calls, options.period))
        if options.rate_headers in ("x_ratelimit", "both"):
            headers["X-RateLimit-Limit"] = str(options.calls)
            headers["X-RateLimit-Remaining"] = str(self._throttle.remaining(options.calls, options.period))
        if status == 429 and options.rate_headers in ("x_ratelimit", "both"):
            headers["X-RateLimit-Reset"] = str(int(time.time()) + wait)
        if status == 429 and options.rate_headers in ("retry_after", "both"):
            headers["Retry-After"] = str(wait)
        return headers


def _check_headers(headers: Mapping[str, str], options: TargetOptions) -> None:
    if headers.get("authorization") != f"Bearer {options.token}" or headers.get("fqdn") != options.fqdn:
        raise _Problem(401, "Unauthenticated.")
    if not headers.get("user-agent"):
        raise _Problem(400, "Bad Request: A User-Agent header is required.")
    if "application/json" not in headers.get("accept", ""):
        raise _Problem(400, "Bad Request: The Accept header must be application/json.")


def _paging(query: Mapping[str, str]) -> tuple[int, int]:
    if "page" in query and "limit" not in query:
        raise _Problem(400, "Bad Request: A limit is required when using page.")
    try:
        page, limit = int(query.get("page", 0)), int(query.get("limit", _DEFAULT_LIMIT))
    except ValueError:
        raise _Problem(400, "Bad Request: Page and limit must be numbers.") from None
    if page < 0 or limit < 1:
        raise _Problem(400, "Bad Request: Page and limit must be numbers.")
    return page, limit


def _id(request: Request) -> str | int | None:
    """The id in the path, None without one. Users have texts, the others numbers; any other text belongs to nothing."""
    text: str | None = request.path_params.get("id")
    if text is not None and request.path_params["table"] != "users" and text.isascii() and text.isdigit():
        return int(text)
    return text


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise _Problem(400, "Bad Request: The body must be a JSON object.")
    return parsed


async def _not_found(*_: object) -> Response:
    return JSONResponse({"message": "Not Found"}, 404)
