"""Microsoft login and Graph as their contract has them, spoken to over TLS by msal and requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msal
import pytest
import requests

from safetyamp_pipelines.sandbox.graph import login_graph_app
from safetyamp_pipelines.sandbox.graph_login import SCOPE, GraphOptions
from safetyamp_pipelines.sandbox.server import AppServer, LocalAuthority
from safetyamp_pipelines.sandbox.world import World, WorldSpec, build_world


@dataclass
class Microsoft:
    """A caller of one login and Graph; it trusts the sandbox's authority and nothing else."""

    url: str
    options: GraphOptions
    world: World
    ca: str
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.verify = self.ca

    def ask_token(self, tenant: str | None = None, **changes: str) -> requests.Response:
        form = {"client_id": self.options.client_id, "client_secret": self.options.client_secret, "scope": SCOPE}
        path = f"{self.url}/{tenant or self.options.tenant}/oauth2/v2.0/token"
        return self.session.post(path, data={**form, "grant_type": "client_credentials", **changes}, timeout=60)

    def sign_in(self) -> Microsoft:
        self.session.headers["Authorization"] = f"Bearer {self.ask_token().json()['access_token']}"
        return self

    def users(self, **params: Any) -> requests.Response:
        asked = {f"${name}": value for name, value in params.items()}
        return self.session.get(f"{self.url}/v1.0/users", params=asked, timeout=60)

    def pages(self, **params: Any) -> list[dict[str, Any]]:
        read = [self.users(**params).json()]
        while link := read[-1].get("@odata.nextLink"):
            read.append(self.session.get(link, timeout=60).json())
        return read


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalAuthority, Path]:
    made, path = LocalAuthority(), tmp_path_factory.mktemp("tls") / "ca.pem"
    path.write_bytes(made.bundle())
    return made, path


@pytest.fixture
def serve(authority: tuple[LocalAuthority, Path]) -> Iterator[Callable[..., Microsoft]]:
    servers, callers = [], []

    def start(**options: Any) -> Microsoft:
        world, chosen = build_world(WorldSpec(employees=40)), GraphOptions(**options)
        server = AppServer(login_graph_app(world, chosen), authority[0].server_context()).start()
        servers.append(server)
        callers.append(Microsoft(server.url, chosen, world, str(authority[1])))
        return callers[-1]

    yield start
    for caller in callers:
        caller.session.close()
    for server in servers:
        server.stop()


# --- login ---


def test_msal_signs_in_without_instance_discovery(serve):
    microsoft = serve()
    app = msal.ConfidentialClientApplication(
        microsoft.options.client_id,
        client_credential=microsoft.options.client_secret,
        authority=f"{microsoft.url}/{microsoft.options.tenant}",
        instance_discovery=False,
        http_client=microsoft.session,
    )
    result = app.acquire_token_for_client([SCOPE])
    assert result["token_source"] == "identity_provider"
    microsoft.session.headers["Authorization"] = f"Bearer {result['access_token']}"
    assert microsoft.users().status_code == 200


def test_the_discovery_document_names_endpoints_on_the_same_host(serve):
    microsoft = serve()
    path = f"{microsoft.url}/{microsoft.options.tenant}/v2.0/.well-known/openid-configuration"
    document = microsoft.session.get(path, timeout=60).json()
    assert {"authorization_endpoint", "token_endpoint", "issuer"} <= document.keys()
    assert document["token_endpoint"].startswith(microsoft.url)
    assert microsoft.session.get(path.replace(microsoft.options.tenant, "other"), timeout=60).status_code == 400


@pytest.mark.parametrize(
    ("changes", "status", "number"),
    [
        ({"client_secret": "wrong"}, 401, 7000215),
        ({"client_id": "wrong"}, 400, 700016),
        ({"scope": "https://graph.microsoft.com/User.Read"}, 400, 1002012),
        ({"grant_type": "password"}, 400, 70003),
        ({"tenant": "other"}, 400, 90002),
    ],
)
def test_a_wrong_login_is_told_what_is_wrong(serve, changes, status, number):
    answer = serve().ask_token(**changes)
    assert answer.status_code == status
    assert answer.json()["error_codes"] == [number]
    assert answer.json()["error_description"].startswith(f"AADSTS{number}")
    assert "access_token" not in answer.json()


def test_a_token_expires_when_its_time_is_up(serve):
    microsoft = serve(token_seconds=0).sign_in()
    refused = microsoft.users()
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "InvalidAuthenticationToken"


def test_a_token_can_be_good_for_a_number_of_calls(serve):
    microsoft = serve(token_uses=2).sign_in()
    assert [microsoft.users().status_code for _ in range(3)] == [200, 200, 401]
    assert microsoft.sign_in().users().status_code == 200


def test_without_a_token_or_consent_nothing_is_listed(serve):
    microsoft = serve(forbidden=True)
    assert microsoft.users().status_code == 401
    refused = microsoft.sign_in().users()
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "Authorization_RequestDenied")


# --- users ---


def test_without_select_only_the_default_properties_come(serve):
    row = serve().sign_in().users().json()["value"][0]
    assert "employeeId" not in row
    assert {"id", "mail", "mobilePhone", "userPrincipalName"} <= row.keys()


def test_select_gives_exactly_what_it_names(serve):
    microsoft = serve().sign_in()
    rows = microsoft.users(select="id,employeeId,accountEnabled", top=999).json()["value"]
    assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in microsoft.world.entra)
    assert all(row.keys() == {"id", "employeeId", "accountEnabled"} for row in rows)


def test_the_filter_leaves_out_disabled_accounts(serve):
    microsoft = serve().sign_in()
    rows = microsoft.users(select="accountEnabled", filter="accountEnabled eq true", top=999).json()["value"]
    enabled = [row for row in microsoft.world.entra if row["accountEnabled"]]
    assert len(rows) == len(enabled) < len(microsoft.world.entra)


def test_the_manager_comes_only_when_expanded_and_is_absent_when_there_is_none(serve):
    microsoft = serve().sign_in()
    rows = microsoft.users(select="id", expand="manager($select=id,employeeId)", top=999).json()["value"]
    led = {row["id"]: row["manager"] for row in microsoft.world.entra}
    assert any(led.values())
    for row in rows:
        assert row.get("manager", {"id": None})["id"] == led[row["id"]]
    assert all("manager" not in row for row in microsoft.users(select="id").json()["value"])


@pytest.mark.parametrize(
    ("options", "top"), [({}, 10), ({"page_size": 7}, 999), ({"page_size": 9, "empty_pages": True}, 20)]
)
def test_following_the_next_link_gives_every_user_once(serve, options, top):
    microsoft = serve(**options).sign_in()
    read = microsoft.pages(select="id", filter="accountEnabled eq true", top=top)
    found = [row["id"] for page in read for row in page["value"]]
    assert len(read) > 1
    assert sorted(found) == sorted(row["id"] for row in microsoft.world.entra if row["accountEnabled"])
    assert any(page["value"] == [] for page in read) == bool(options.get("empty_pages"))


def test_the_last_page_has_no_next_link_and_the_default_page_is_a_hundred(serve):
    microsoft = serve().sign_in()
    assert len(microsoft.world.entra) < 100
    assert "@odata.nextLink" not in microsoft.users().json()


def test_a_next_link_that_was_tampered_with_is_refused(serve):
    microsoft = serve().sign_in()
    link = microsoft.users(select="id", top=5).json()["@odata.nextLink"]
    assert microsoft.session.get(link.replace("$top=5", "$top=6"), timeout=60).status_code == 400
    assert microsoft.session.get(link[:-8], timeout=60).status_code == 400


def test_a_change_shows_from_the_next_request_on(serve):
    microsoft = serve().sign_in()
    microsoft.world.entra[0]["mail"] = "changed@example.com"
    rows = microsoft.users(select="mail", top=999).json()["value"]
    assert {"mail": "changed@example.com"} in rows


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"top": 0}, 400),
        ({"top": 1000}, 400),
        ({"skip": 5}, 400),
        ({"select": "id,nonsense"}, 400),
        ({"select": "id,mailboxSettings"}, 501),
        ({"filter": "accountEnabled ne true"}, 400),
        ({"filter": "nonsense"}, 400),
        ({"orderby": "displayName"}, 400),
        ({"search": '"displayName:a"'}, 400),
        ({"expand": "memberOf"}, 400),
        ({"skiptoken": "made-up"}, 400),
    ],
)
def test_what_graph_does_not_take_is_an_error_in_its_own_words(serve, params, status):
    answer = serve().sign_in().users(**params)
    assert answer.status_code == status
    assert answer.json()["error"].keys() == {"code", "message", "innerError"}


def test_a_stranger_does_not_trust_the_sandbox(serve):
    microsoft = serve()
    with requests.Session() as stranger:
        stranger.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            stranger.get(f"{microsoft.url}/v1.0/users", timeout=60)
