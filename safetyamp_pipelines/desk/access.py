"""Who may look and who may decide; every form is checked for its origin, and every answer carries strict headers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from ipaddress import ip_address, ip_network
from time import monotonic
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import FormData
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from safetyamp_pipelines.ledger.ledger import Ledger
from safetyamp_pipelines.settings.loading import login_name
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.settings.value_types import is_loopback
from safetyamp_pipelines.sync.model.errors import Refusal

log = get_logger(__name__)

EVERYBODY = "*"
LOOKUPS = frozenset({"/find"})
"""Forms that decide nothing: search terms must not appear in a URL."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LONGEST_FORM = 256 * 1024


@dataclass(frozen=True)
class User:
    """Who asks. `may_decide` is false for readers, and for everybody on a desk that only shows."""

    name: str
    may_decide: bool


class NoAccess(Exception):
    """The request is refused; the text says why and what to do."""


@dataclass(frozen=True)
class AccessRules:
    """Who a request is from, by the settings. Without `DESK_USER_HEADER` the desk is for the user who started it."""

    settings: Settings
    read_only: bool

    def refuse_binding(self, host: str) -> None:
        """Raises Refusal for an address that other machines reach, unless a proxy logs people in."""
        if is_loopback(host):
            return
        settings = self.settings
        needed = {
            "DESK_USER_HEADER": settings.desk_user_header,
            "DESK_TRUSTED_PROXIES": settings.desk_trusted_proxies,
            "DESK_READERS or DESK_APPROVERS": settings.desk_readers or settings.desk_approvers,
        }
        if missing := [name for name, value in needed.items() if not value]:
            raise Refusal(
                f"the desk binds to {host}, where other machines reach it, only behind a proxy that logs people in: "
                f"set {', '.join(missing)}, or leave --host at 127.0.0.1"
            )

    def user_of(self, request: Request) -> User:
        """Who asks; raises NoAccess."""
        client = request.client.host if request.client else ""
        header = self.settings.desk_user_header
        if header is None:
            if not (
                is_loopback(client) and is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or "")
            ):
                raise NoAccess("without DESK_USER_HEADER the desk answers to this machine alone")
            return User(login_name(), not self.read_only)
        if not self._is_proxy(client):
            raise NoAccess("the desk answers to the login proxy alone (DESK_TRUSTED_PROXIES)")
        name = (request.headers.get(header) or "").strip()
        if not name:
            raise NoAccess(f"the login proxy named no user in {header}")
        decides, reads = _names(self.settings.desk_approvers), _names(self.settings.desk_readers)
        may_decide = not decides.isdisjoint({name.casefold(), EVERYBODY})
        if not may_decide and reads.isdisjoint({name.casefold(), EVERYBODY}):
            raise NoAccess("you are neither in DESK_READERS nor in DESK_APPROVERS: ask the people who run the sync")
        return User(name, may_decide and not self.read_only)

    def _is_proxy(self, client: str) -> bool:
        try:
            address = ip_address(client)
        except ValueError:
            return False
        return any(address in ip_network(network) for network in self.settings.desk_trusted_proxies)


class Access(BaseHTTPMiddleware):
    """Lets a request through that may be made, with `request.state.user` and the checked `request.state.form`."""

    def __init__(self, app: ASGIApp, rules: AccessRules, ledger: Ledger) -> None:
        super().__init__(app)
        self._rules, self._ledger = rules, ledger

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Refuse, or answer with strict headers. The log has the route, never the URL."""
        started = monotonic()
        try:
            await self._admit(request)
            response = await call_next(request)
        except NoAccess as refused:
            response = PlainTextResponse(f"{refused}\n", 403)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        route = getattr(request.scope.get("route"), "path", "")
        log.info(
            "desk",
            method=request.method,
            route=route,
            status=response.status_code,
            seconds=round(monotonic() - started, 3),
        )
        return response

    async def _admit(self, request: Request) -> None:
        user = self._rules.user_of(request)
        request.state.user, request.state.form = user, FormData()
        request.state.form_token = form_token(self._ledger, user.name, datetime.now(UTC))
        if request.method in ("GET", "HEAD"):
            return
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise NoAccess("a form of another site may decide nothing here")
        body = await request.body()
        if len(body) > LONGEST_FORM:
            raise NoAccess("the form is too large")
        pairs = parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True)
        form = FormData([(name, value) for name, values in pairs.items() for value in values])
        if not self._is_ours(str(form.get("token", "")), user):
            raise NoAccess("the form is older than a day, or of another site: go back, load the page again")
        if request.url.path not in LOOKUPS and not user.may_decide:
            raise NoAccess("you may look, and not decide: DESK_APPROVERS names who may")
        request.state.form = form

    def _is_ours(self, token: str, user: User) -> bool:
        now = datetime.now(UTC)
        days = (now, now - timedelta(days=1))
        return any(compare_digest(token, form_token(self._ledger, user.name, day)) for day in days)


def form_token(ledger: Ledger, user: str, day: datetime) -> str:
    """The token of the desk's forms: for this user and day, the same on every replica, and impossible to guess."""
    return ledger.keyed_hash(["form of the desk", user, day.date().isoformat()])


def _names(names: tuple[str, ...]) -> set[str]:
    return {name.casefold() for name in names}
