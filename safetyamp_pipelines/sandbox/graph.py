"""Microsoft login and Graph as one Starlette application over a world: `/v1.0/users`, its options and its errors."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from safetyamp_pipelines.sandbox.graph_login import GraphOptions, Login
from safetyamp_pipelines.sandbox.world_model import Row, World
from safetyamp_pipelines.sandbox.world_pages import Position, cut_page, seal, unseal

__all__ = ["GraphOptions", "login_graph_app"]

DEFAULT_TOP, MOST_TOP = 100, 999
DEFAULT_PROPERTIES = (
    *("id", "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation"),
    *("preferredLanguage", "surname", "userPrincipalName"),
)
SELECTABLE = frozenset(DEFAULT_PROPERTIES) | {
    *("accountEnabled", "companyName", "department", "employeeHireDate", "employeeId", "onPremisesSyncEnabled"),
    *("otherMails", "proxyAddresses", "userType"),
}
# These live outside the directory: a list of users that selects one of them is refused.
REFUSED = frozenset(
    ("aboutMe", "birthday", "hireDate", "interests", "mailboxSettings", "mySite", "pastProjects", "schools", "skills")
)
_ADVANCED = re.compile(r"\b(ne|not|endsWith)\b")


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class _Query:
    select: tuple[str, ...]
    keep: Mapping[str, Any]
    top: int
    manager: tuple[str, ...] | None


def login_graph_app(world: World, options: GraphOptions | None = None) -> Starlette:
    """The application; it serves the world as it is at the time of each request."""
    chosen = options or GraphOptions()
    login = Login(chosen)

    async def users(request: Request) -> Response:
        try:
            _admit(request, login, chosen)
            with world.lock:
                return JSONResponse(_list_users(request, world, chosen))
        except _Refused as refused:
            return _error(request, refused)

    return Starlette(
        routes=[
            Route("/v1.0/users", users),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", login.discovery),
            Route("/{tenant}/oauth2/v2.0/token", login.token, methods=["POST"]),
        ]
    )


def _admit(request: Request, login: Login, options: GraphOptions) -> None:
    if not login.accepts(request.headers.get("authorization", "")):
        raise _Refused(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
    if options.forbidden:
        raise _Refused(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def _list_users(request: Request, world: World, options: GraphOptions) -> Mapping[str, Any]:
    asked = dict(request.query_params)
    at = _position(asked, asked.pop("$skiptoken", ""))
    query = _read(asked)
    rows = [row for row in world.entra if all(row[name] == value for name, value in query.keep.items())]
    size = min(query.top, options.page_size or query.top)
    page = cut_page(rows, at, size, empty_pages=options.empty_pages)
    base = f"{request.url.scheme}://{request.headers['host']}/v1.0"
    context = f"{base}/$metadata#users({','.join(query.select)})"
    managers = {row["id"]: row for row in world.entra}
    answer: dict[str, Any] = {"@odata.context": context}
    if page.following:
        following = {**asked, "$skiptoken": seal([asked, *page.following])}
        answer["@odata.nextLink"] = f"{base}/users?{urlencode(following, safe='$,()', quote_via=quote)}"
    return answer | {"value": [_shown(row, query, managers) for row in page.rows]}


def _position(asked: Mapping[str, str], token: str) -> Position:
    """Where the token says, provided the link came back with the options it was made for."""
    if not token:
        return Position()
    try:
        options, after, gap = unseal(token, lambda value: (dict(value[0]), str(value[1]), bool(value[2])))
    except ValueError:
        raise _Refused(400, "Request_BadRequest", "The $skiptoken is not valid.") from None
    if options != {name: value for name, value in asked.items() if name != "$skiptoken"}:
        raise _Refused(400, "Request_BadRequest", "A nextLink must be followed unchanged.")
    return Position(after, gap)


def _read(asked: Mapping[str, str]) -> _Query:
    for name in asked:
        if name in ("$search", "$orderby"):
            raise _Refused(400, "Request_UnsupportedQuery", f"{name} needs advanced query capabilities.")
        if name not in ("$select", "$filter", "$top", "$expand", "$count"):
            raise _Refused(400, "Request_BadRequest", f"Query option '{name}' is not supported.")
    return _Query(
        _select(asked.get("$select")),
        _filter(asked.get("$filter")),
        _top(asked.get("$top")),
        _expand(asked.get("$expand")),
    )


def _select(text: str | None) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else DEFAULT_PROPERTIES
    for name in names:
        if name in REFUSED:
            raise _Refused(501, "NotImplemented", f"'{name}' cannot be listed; it lives outside the directory.")
        if name not in SELECTABLE:
            raise _Refused(400, "Request_BadRequest", f"Could not find a property named '{name}' on type 'user'.")
    return names


def _filter(text: str | None) -> Mapping[str, Any]:
    if text is None:
        return {}
    if _ADVANCED.search(text):
        raise _Refused(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause.")
    if match := re.fullmatch(r"accountEnabled eq (true|false)", text):
        return {"accountEnabled": match[1] == "true"}
    if match := re.fullmatch(r"employeeId eq '([^']*)'", text):
        return {"employeeId": match[1]}
    raise _Refused(400, "Request_BadRequest", "Invalid filter clause.")


def _top(text: str | None) -> int:
    if text is None:
        return DEFAULT_TOP
    if not text.isdigit() or not 1 <= int(text) <= MOST_TOP:
        raise _Refused(400, "Request_BadRequest", f"Invalid page size specified: '{text}'. Must be 1 to {MOST_TOP}.")
    return int(text)


def _expand(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    match = re.fullmatch(r"manager(?:\(\$select=([\w,]+)\))?", text)
    if not match:
        raise _Refused(400, "Request_BadRequest", "Only manager can be expanded here.")
    return _select(match[1])


def _shown(row: Row, query: _Query, users: Mapping[str, Row]) -> Row:
    shown = {name: row[name] for name in query.select}
    manager = users.get(row["manager"]) if query.manager is not None else None
    if manager is not None and query.manager is not None:
        selected = {name: manager[name] for name in query.manager}
        shown["manager"] = {"@odata.type": "#microsoft.graph.user", **selected}
    return shown


def _error(request: Request, refused: _Refused) -> Response:
    inner = {"date": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()), "request-id": secrets.token_hex(16)}
    inner["client-request-id"] = request.headers.get("client-request-id", inner["request-id"])
    body = {"error": {"code": refused.code, "message": refused.message, "innerError": inner}}
    return JSONResponse(body, refused.status)
