"""Microsoft Graph: the users of Entra ID, read whole. The login is in entra_token.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import ReadError, RecordRefused
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot
from safetyamp_pipelines.systems.entra_token import GraphToken
from safetyamp_pipelines.systems.http.budget_postgres import pace_of
from safetyamp_pipelines.systems.http.client import HttpClient
from safetyamp_pipelines.systems.http.listing import Bounds, reading, records_of

SYSTEM = "Microsoft Graph"
TABLE = "entra/users"
USERS = "/users"

# Exactly what rules read: nothing else about a person is asked for, and a change of it is not a change. Without $select
# a list leaves out employeeId and accountEnabled.
FIELDS = ("id", "employeeId", "accountEnabled", "mail", "mobilePhone", "businessPhones", "userType")
_QUERY = {"$select": ",".join(FIELDS), "$filter": "accountEnabled eq true", "$top": "999"}
_MANAGER = {"$expand": "manager($select=id,employeeId,mail)"}
_OPTION_REFUSED = (400, 501)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class GraphClient:
    """Microsoft Graph. `http.calls` counts its requests, without those of the login."""

    def __init__(self, http: HttpClient, close_login: Callable[[], None]) -> None:
        self.http = http
        self._close_login = close_login

    def list_users(self, *, expand_manager: bool, read_at: str) -> Snapshot:
        """All enabled users as `entra/users`, each with its `manager` if asked for and Graph gives it.

        A directory of nobody is a whole read; the guards judge it. Raises ReadError, FatalCall.
        """
        with reading(TABLE):
            first, notices = self._first_page(expand_manager)
            rows, pages = self._from(first)
        return Snapshot.certified(TABLE, rows, key=lambda row: row["id"], pages=pages, read_at=read_at, notices=notices)

    def _first_page(self, expand_manager: bool) -> tuple[Any, tuple[str, ...]]:
        if not expand_manager:
            return self.http.get(USERS, _QUERY), ()
        try:
            return self.http.get(USERS, _QUERY | _MANAGER), ()
        except RecordRefused as refused:
            if refused.status not in _OPTION_REFUSED:
                raise
            notice = f"supervisors are not read from Entra, the option was refused: {refused}"
        return self.http.get(USERS, _QUERY), (notice,)

    def _from(self, page: Any) -> tuple[list[Record], int]:
        """All rows from this page on, and how many pages held them. An empty page with a link is not the end."""
        rows: dict[str | int, Record] = {}
        links: set[str] = set()
        bounds = Bounds(TABLE)
        while True:
            listed = records_of(page, "value", TABLE)
            bounds.page(len(listed))
            for row in listed:
                # A user who moves while the pages are read may come twice; two versions of one user must not.
                if rows.setdefault(row["id"], row) != row:
                    raise ReadError(TABLE, "a user came twice, changed in between")
            link = page.get("@odata.nextLink")
            if link is None:
                return list(rows.values()), len(links) + 1
            if not isinstance(link, str) or link in links:
                raise ReadError(TABLE, "the link to the next page came twice or is not a link")
            links.add(link)
            page = self.http.get(link, endpoint=USERS)

    def check(self) -> str:
        """One cheap call that needs a token and User.Read.All; a sentence for `doctor`. Raises SyncError."""
        with reading(TABLE):
            records_of(self.http.get(USERS, {"$select": "id", "$top": "1"}), "value", TABLE)
        return f"Microsoft Graph answers at {urlsplit(self.http.base_url).netloc} and lets the app read users"

    def close(self) -> None:
        """Close the connections to Graph and to the login."""
        self.http.close()
        self._close_login()


def graph_client(settings: Settings) -> GraphClient:
    """The client these settings describe; raises SettingsError when some are missing. Makes no call."""
    settings.require("entra")
    assert settings.ms_graph_tenant_id is not None
    assert settings.ms_graph_client_id is not None
    assert settings.ms_graph_client_secret is not None
    token = GraphToken(
        authority=settings.ms_graph_authority,
        tenant=settings.ms_graph_tenant_id,
        client_id=settings.ms_graph_client_id,
        client_secret=settings.ms_graph_client_secret.get_secret_value(),
        scope=_scope(settings.ms_graph_base_url),
        timeout=settings.http_request_timeout,
        ca_bundle=settings.requests_ca_bundle,
    )
    http = HttpClient(
        SYSTEM,
        settings.ms_graph_base_url,
        headers=token.headers,
        renew=token.renew,
        timeout=settings.http_request_timeout,
        ca_bundle=settings.requests_ca_bundle,
        budget=pace_of(
            settings, settings.ms_graph_base_url, f"{settings.ms_graph_tenant_id}\n{settings.ms_graph_client_id}"
        ),
    )
    return GraphClient(http, token.close)


def _scope(base_url: str) -> str:
    """The scope of the cloud Graph is in: national clouds have their own, a Graph on loopback plays the public one."""
    url = urlsplit(base_url)
    host = "https://graph.microsoft.com" if url.hostname in _LOOPBACK else f"https://{url.netloc}"
    return f"{host}/.default"
