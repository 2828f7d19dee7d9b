"""The Graph client against the sandbox's login and Graph: real tokens over TLS, sound and at fault."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from safetyamp_pipelines.operations.diagnosis import diagnose
from safetyamp_pipelines.resources.systems import Graph, SettingsResource
from safetyamp_pipelines.sandbox import FaultRule, GraphOptions, Sandbox, WorldSpec
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.sync.model.errors import AnswerLost, AuthRefused, FatalCall, ReadError
from safetyamp_pipelines.systems.entra import GraphClient, graph_client
from safetyamp_pipelines.systems.entra_token import GraphToken

READ_AT = "2026-11-20T10:00:00Z"


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    with Sandbox(WorldSpec(seed=7, employees=40, jobs=10, vehicles=4)) as box:
        yield box


@pytest.fixture
def box(world: Sandbox) -> Sandbox:
    """The sandbox as it is by default, without faults."""
    world.faults.clear()
    world.graph.__dict__.update(GraphOptions().__dict__)
    return world


def client_of(box: Sandbox, **more: str) -> GraphClient:
    return graph_client(load_settings(box.environment | more, env_file=None))


def users(client: GraphClient, *, expand_manager: bool = False) -> list[Any]:
    return [row["id"] for row in client.list_users(expand_manager=expand_manager, read_at=READ_AT).verified().records]


def enabled(box: Sandbox) -> set[str]:
    return {row["id"] for row in box.world.entra if row["accountEnabled"]}


def test_the_sandbox_is_read_whole_with_managers(box: Sandbox) -> None:
    client = client_of(box)

    snapshot = client.list_users(expand_manager=True, read_at=READ_AT)

    assert {row["id"] for row in snapshot.records} == enabled(box)
    assert snapshot.notices == ()
    assert any("manager" in row for row in snapshot.records)
    assert client.http.calls == 1


def test_one_login_serves_all_reads_and_none_is_made_before(box: Sandbox) -> None:
    box.graph.page_size = 7
    since = box.requests()[-1].seq if box.requests() else 0
    client = client_of(box)
    assert box.requests(since=since) == []

    users(client)
    users(client)

    assert [record.path.rsplit("/", 1)[1] for record in box.requests("login", since)] == [
        "openid-configuration",
        "token",
    ]


def test_tokens_that_are_used_up_in_the_middle_are_renewed(box: Sandbox) -> None:
    box.graph.page_size, box.graph.token_uses, box.graph.empty_pages = 7, 2, True

    assert set(users(client_of(box))) == enabled(box)


@pytest.mark.parametrize("system", ["login", "graph"])
@pytest.mark.parametrize("kind", ["status", "cut_before", "cut_after", "truncate", "html"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_fault_leaves_the_listing_whole(system: str, kind: str, nth: int, box: Sandbox) -> None:
    box.graph.page_size = 20
    box.faults.add(FaultRule(system=system, kind=kind, nth=nth))

    assert set(users(client_of(box))) == enabled(box)


def test_a_login_that_stays_broken_is_an_error_of_the_login(box: Sandbox) -> None:
    box.faults.add(FaultRule(system="login", kind="status", status=503, times=None, retry_after=0.01))

    with pytest.raises(ReadError, match=r"Microsoft login GET /\.well-known/openid-configuration answered 503"):
        users(client_of(box))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"MS_GRAPH_CLIENT_SECRET": "wrong-secret-value"}, "AADSTS7000215. Check MS_GRAPH_CLIENT_ID"),
        ({"MS_GRAPH_CLIENT_ID": "00000000-0000-4000-8000-00000000dead"}, "AADSTS700016"),
        ({"MS_GRAPH_TENANT_ID": "00000000-0000-4000-8000-00000000dead"}, "Check MS_GRAPH_TENANT_ID"),
    ],
    ids=["secret", "client", "tenant"],
)
def test_a_refused_login_is_fatal_and_tells_its_code_only(wrong: dict[str, str], told: str, box: Sandbox) -> None:
    with pytest.raises(AuthRefused) as caught:
        users(client_of(box, **wrong))

    found = str(diagnose(caught.value))
    assert told in found
    assert not [value for value in (*wrong.values(), "Invalid client", "not found") if value in found]


def test_a_login_nobody_certified_is_refused_before_any_secret_is_sent(box: Sandbox) -> None:
    environ = {name: value for name, value in box.environment.items() if name != "REQUESTS_CA_BUNDLE"}
    since = box.requests()[-1].seq if box.requests() else 0

    with pytest.raises(FatalCall, match="certificate is not trusted; check REQUESTS_CA_BUNDLE"):
        users(graph_client(load_settings(environ, env_file=None)))

    assert box.requests(since=since) == []


def test_check_says_where_graph_answers_or_what_is_wrong(box: Sandbox) -> None:
    assert client_of(box).check().startswith("Microsoft Graph answers at localhost:")

    box.graph.forbidden = True
    with pytest.raises(AuthRefused):
        client_of(box).check()


def test_the_resource_shows_no_secret(box: Sandbox) -> None:
    resource = Graph(settings=SettingsResource.of(box.environment))

    @dg.asset
    def reads(graph: Graph) -> None:
        assert graph.client() is graph.client()
        assert set(users(graph.client())) == enabled(box)

    assert dg.materialize([reads], resources={"graph": resource}).success
    assert box.graph.client_secret not in repr(resource)


def test_a_login_that_does_not_answer_is_a_call_that_failed(box: Sandbox) -> None:
    box.faults.add(FaultRule(system="login", kind="cut_before", times=None))
    token = GraphToken(
        authority=box.environment["MS_GRAPH_AUTHORITY"],
        tenant=box.graph.tenant,
        client_id=box.graph.client_id,
        client_secret=box.graph.client_secret,
        scope="https://graph.microsoft.com/.default",
        timeout=5.0,
        ca_bundle=Path(box.environment["REQUESTS_CA_BUNDLE"]),
    )

    with pytest.raises(AnswerLost, match="Microsoft login GET"):
        token.headers()


PAGE = "<html>client_secret=S3CRET</html>"
HTML = {"content-type": "text/html"}
LOGIN_PAGES = {
    "a proxy's page": {"body": PAGE, "headers": HTML},
    "a proxy's page as an error": {"body": PAGE, "headers": HTML, "status": 403},
    "no object": {"body": '["access_token"]'},
    "nothing": {"body": ""},
    "no token": {"body": '{"token_type": "Bearer", "expires_in": 3599}'},
    "a token that is none": {"body": '{"access_token": null, "expires_in": 3599}'},
    "a token of two lines": {"body": '{"access_token": "a\\nb", "expires_in": 3599}'},
    "more than a login has to say": {"body": " " * 2_000_000},
}


@pytest.mark.parametrize("page", LOGIN_PAGES.values(), ids=LOGIN_PAGES)
@pytest.mark.parametrize("path", ["openid-configuration", "token"])
def test_an_answer_that_is_not_the_logins_is_an_error_of_the_login_and_leaves_no_secret_behind(
    path: str, page: dict[str, Any], box: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    box.faults.add(FaultRule("answer", "login", path_regex=path, times=None, **{"status": 200, **page}))
    token = GraphToken(
        authority=box.environment["MS_GRAPH_AUTHORITY"],
        tenant=box.environment["MS_GRAPH_TENANT_ID"],
        client_id=box.environment["MS_GRAPH_CLIENT_ID"],
        client_secret="S3CRET",
        scope="https://graph.microsoft.com/.default",
        timeout=5.0,
        ca_bundle=Path(box.environment["REQUESTS_CA_BUNDLE"]),
    )

    with pytest.raises(AnswerLost, match=r"Microsoft login (GET|POST)") as error:
        token.headers()

    assert "S3CRET" not in caplog.text + str(error.value)
    token.close()
