"""The Graph client, against a scripted Graph and against the sandbox's login and Graph over TLS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from scripted_server import Answer, ScriptedServer, answer

from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import SettingsError
from safetyamp_pipelines.sync.model.errors import AuthRefused, ReadError
from safetyamp_pipelines.systems.entra import GraphClient, graph_client
from safetyamp_pipelines.systems.http.client import HttpClient

READ_AT = "2026-11-20T10:00:00Z"
SELECTED = "id,employeeId,accountEnabled,mail,mobilePhone,businessPhones,userType"


class FixedToken:
    """A login that always succeeds and counts its renewals."""

    def __init__(self) -> None:
        self.renewals = 0
        self.closed = False

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer token-{self.renewals}"}

    def renew(self) -> None:
        self.renewals += 1

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def token() -> FixedToken:
    return FixedToken()


@pytest.fixture
def client(server: ScriptedServer, token: FixedToken) -> Iterator[GraphClient]:
    http = HttpClient("Microsoft Graph", f"{server.url}/v1.0", headers=token.headers, renew=token.renew)
    client = GraphClient(http, token.close)
    yield client
    client.close()
    assert token.closed


def page(*rows: Any, link: str | None = None) -> Answer:
    users = [row if isinstance(row, dict) else {"id": row} for row in rows]
    return answer({"value": users} | ({"@odata.nextLink": link} if link else {}))


def users(client: GraphClient, *, expand_manager: bool = False) -> list[Any]:
    return [row["id"] for row in client.list_users(expand_manager=expand_manager, read_at=READ_AT).verified().records]


def test_exactly_what_is_needed_is_asked_for(server: ScriptedServer, client: GraphClient) -> None:
    server.script(page("1"))

    users(client)
    users(client, expand_manager=True)

    plain = {"$select": SELECTED, "$filter": "accountEnabled eq true", "$top": "999"}
    assert [(asked.path, asked.query) for asked in server.asked] == [
        ("/v1.0/users", plain),
        ("/v1.0/users", plain | {"$expand": "manager($select=id,employeeId,mail)"}),
    ]


def test_pages_follow_the_link_unchanged_and_an_empty_page_is_not_the_end(
    server: ScriptedServer, client: GraphClient
) -> None:
    first = f"{server.url}/v1.0/users?$top=999&$skiptoken=RFN%2F1"
    server.script(page("2", link=first), page(link=f"{first}x"), page("1"))

    snapshot = client.list_users(expand_manager=False, read_at=READ_AT)

    assert [row["id"] for row in snapshot.records] == ["1", "2"]
    assert (snapshot.table, snapshot.notices) == ("entra/users", ())
    assert snapshot.certificate is not None
    assert snapshot.certificate.pages == client.http.calls == 3
    assert server.asked[1].query == {"$top": "999", "$skiptoken": "RFN/1"}


def test_a_directory_of_nobody_is_a_whole_read(server: ScriptedServer, client: GraphClient) -> None:
    server.script(page())

    assert users(client) == []


def test_a_user_who_comes_twice_unchanged_is_one_user(server: ScriptedServer, client: GraphClient) -> None:
    server.script(page("1", "2", link=f"{server.url}/v1.0/users?a"), page("2", "3"))

    assert users(client) == ["1", "2", "3"]


@pytest.mark.parametrize("link", ["http://127.0.0.1:1/v1.0/users?x", "https://evil.example/users", "/v1.0/users", 7])
def test_a_link_elsewhere_gets_no_token(link: Any, server: ScriptedServer, client: GraphClient) -> None:
    server.script(page("1", link=link))

    with pytest.raises(ReadError, match="entra/users was not read whole"):
        users(client)

    assert len(server.asked) == 1 or server.asked[1].path == "/v1.0/v1.0/users"


def test_a_link_that_comes_twice_is_an_error(server: ScriptedServer, client: GraphClient) -> None:
    link = f"{server.url}/v1.0/users?$skiptoken=a"
    server.script(page("1", link=link), page("2", link=link))

    with pytest.raises(ReadError, match="came twice"):
        users(client)

    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "second",
    [
        page({"id": "1", "mail": "changed@example.com"}),
        answer({"value": None}),
        answer({"value": [{"mail": "x"}]}),
        answer({"error": {"code": "Request_BadRequest"}}, 400),
        answer({}),
    ],
    ids=["changed in between", "no list", "no id", "refused", "nothing"],
)
def test_a_listing_that_cannot_be_whole_is_an_error(
    second: Answer, server: ScriptedServer, client: GraphClient
) -> None:
    server.script(page("1", link=f"{server.url}/v1.0/users?a"), second)

    with pytest.raises(ReadError, match="entra/users"):
        users(client, expand_manager=True)

    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [400, 501])
def test_managers_that_are_refused_are_left_out_with_a_notice(
    status: int, server: ScriptedServer, client: GraphClient
) -> None:
    server.script(answer({"error": {"code": "Request_UnsupportedQuery", "message": "?"}}, status), page("1"))

    snapshot = client.list_users(expand_manager=True, read_at=READ_AT)

    assert [row["id"] for row in snapshot.records] == ["1"]
    assert len(snapshot.notices) == 1
    assert f"answered {status}: Request_UnsupportedQuery" in snapshot.notices[0]
    assert "$expand" not in server.asked[1].query


def test_a_token_that_expires_in_the_middle_is_renewed_once_and_the_page_repeated(
    server: ScriptedServer, client: GraphClient, token: FixedToken
) -> None:
    link = f"{server.url}/v1.0/users?$skiptoken=a"
    server.script(page("1", link=link), answer({"error": {"code": "InvalidAuthenticationToken"}}, 401), page("2"))

    assert users(client) == ["1", "2"]

    assert token.renewals == 1
    assert [asked.headers["Authorization"] for asked in server.asked[1:]] == ["Bearer token-0", "Bearer token-1"]
    assert server.asked[1].query == server.asked[2].query


def test_a_missing_consent_is_fatal_and_tells_graphs_code(server: ScriptedServer, client: GraphClient) -> None:
    server.script(answer({"error": {"code": "Authorization_RequestDenied", "message": "?"}}, 403))

    with pytest.raises(AuthRefused, match="answered 403: Authorization_RequestDenied"):
        users(client)


def test_missing_settings_are_all_named() -> None:
    with pytest.raises(SettingsError) as caught:
        graph_client(load_settings({}, env_file=None))

    assert {problem.variable for problem in caught.value.problems} == {
        "MS_GRAPH_TENANT_ID",
        "MS_GRAPH_CLIENT_ID",
        "MS_GRAPH_CLIENT_SECRET",
    }
