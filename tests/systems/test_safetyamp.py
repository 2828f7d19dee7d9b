"""The SafetyAmp client, against a scripted server and against the sandbox's SafetyAmp."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from scripted_server import ScriptedServer, answer, html, paged, raw

from safetyamp_pipelines.resources.systems import SafetyAmp, SettingsResource
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import Settings, SettingsError
from safetyamp_pipelines.sync.model.errors import AnswerLost, AuthRefused, NotSent, ReadError
from safetyamp_pipelines.systems.http.budget import SqliteBucket
from safetyamp_pipelines.systems.safetyamp import SafetyAmpClient, safetyamp_client

READ_AT = "2026-11-20T10:00:00Z"


def settings_of(url: str, folder: Path, **more: str) -> Settings:
    environ = {
        "SAFETYAMP_BASE_URL": url,
        "SAFETYAMP_FQDN": "acme.safetyamp.com",
        "SAFETYAMP_TOKEN": "secret-token-value",
        "SAFETYAMP_DATA_DIR": str(folder),
        "API_RATE_LIMIT_CALLS": "1000",
        "API_RATE_LIMIT_PERIOD": "1",
    }
    return load_settings(environ | more, env_file=None)


@pytest.fixture
def client(server: ScriptedServer, tmp_path: Path) -> Iterator[SafetyAmpClient]:
    client = safetyamp_client(settings_of(server.url, tmp_path, SAFETYAMP_PAGE_SIZE="2"))
    yield client
    client.close()


def list_of(client: SafetyAmpClient, table: str, previous_rows: int | None = None) -> list[Any]:
    return [row["id"] for row in client.list_table(table, read_at=READ_AT, previous_rows=previous_rows).records]


def test_every_call_carries_what_safetyamp_insists_on(server: ScriptedServer, client: SafetyAmpClient) -> None:
    server.script(answer({"data": []}), answer({"data": {"id": "aB3dE"}}))

    list_of(client, "users", previous_rows=0)
    client.create("users", {"first_name": "Łukasz"})

    for asked in server.asked:
        assert asked.headers["Authorization"] == "Bearer secret-token-value"
        assert asked.headers["Fqdn"] == "acme.safetyamp.com"
        assert asked.headers["User-Agent"] == "SafetyAmpPipelines/1.0"
        assert asked.headers["Accept"] == "application/json"
    assert server.asked[1].headers["Content-Type"] == "application/json"
    assert server.asked[1].json == {"first_name": "Łukasz"}


def test_tables_are_asked_page_by_page_but_the_tree_is_not(server: ScriptedServer, client: SafetyAmpClient) -> None:
    server.script(answer({"data": []}))

    list_of(client, "sites", previous_rows=0)
    list_of(client, "site_clusters", previous_rows=0)

    assert [(asked.path, asked.query) for asked in server.asked] == [
        ("/api/sites", {"page": "0", "limit": "2"}),
        ("/api/site_clusters", {}),
    ]


def test_a_listing_becomes_a_certified_snapshot(server: ScriptedServer, client: SafetyAmpClient) -> None:
    server.respond(paged({"id": number, "odd": [None, 1.5, "ł "]} for number in (3, 1, 2)))

    snapshot = client.list_table("sites", read_at=READ_AT, previous_rows=None).verified()

    assert snapshot.table == "safetyamp_observed/sites"
    assert [row["id"] for row in snapshot.records] == [1, 2, 3]
    assert snapshot.records[0]["odd"] == [None, 1.5, "ł "]
    assert snapshot.certificate is not None
    assert (snapshot.certificate.pages, snapshot.certificate.unique_keys) == (3, 3)
    assert snapshot.certificate.read_at == READ_AT


def test_a_listing_that_shifts_is_begun_anew_once(server: ScriptedServer, client: SafetyAmpClient) -> None:
    first, again = answer({"data": [{"id": 1}, {"id": 2}]}), answer({"data": [{"id": 3}]})
    server.script(first, first, first, again, answer({"data": []}))

    assert list_of(client, "users") == [1, 2, 3]

    assert [asked.query["page"] for asked in server.asked] == ["0", "1", "0", "1", "2"]


def test_a_listing_that_shifts_twice_is_an_error(server: ScriptedServer, client: SafetyAmpClient) -> None:
    server.script(answer({"data": [{"id": 1}, {"id": 2}]}))

    with pytest.raises(ReadError, match="safetyamp_observed/users was not read whole: the listing shifted"):
        list_of(client, "users")

    assert len(server.asked) == 4


@pytest.mark.parametrize("previous_rows", [2, None])
def test_an_empty_tree_is_asked_again_unless_it_is_known_to_be_empty(
    previous_rows: int | None, server: ScriptedServer, client: SafetyAmpClient
) -> None:
    tree = answer({"data": [{"id": 1, "children": [{"id": 2, "children": []}]}]})
    server.script(answer({"data": []}), tree)

    assert list_of(client, "site_clusters", previous_rows=previous_rows) == [1, 2]

    server.script(answer({"data": []}))
    assert list_of(client, "site_clusters", previous_rows=0) == []
    assert len(server.asked) == 3


def test_a_failed_page_is_an_error_that_names_the_table(server: ScriptedServer, client: SafetyAmpClient) -> None:
    server.script(answer({"data": [{"id": 1}, {"id": 2}]}), answer({"message": "Bad Request"}, 400))

    with pytest.raises(ReadError, match=r"^safetyamp_observed/users .* SafetyAmp GET /api/users answered 400"):
        list_of(client, "users")


def test_a_refused_key_stops_more_than_one_table(server: ScriptedServer, client: SafetyAmpClient) -> None:
    server.script(answer({"message": "Unauthenticated."}, 401))

    with pytest.raises(AuthRefused):
        list_of(client, "users")


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (answer({"data": {"id": 6001, "name": "Job"}}, 201), {"id": 6001, "name": "Job"}),
        (answer({"id": 6001, "name": "Job"}), {"id": 6001, "name": "Job"}),
        (answer({"data": None}), {}),
        (raw(204), {}),
    ],
    ids=["wrapped", "bare", "nothing", "204"],
)
def test_the_answer_of_a_write_is_taken_as_it_comes(
    given: Any, taken: dict[str, Any], server: ScriptedServer, client: SafetyAmpClient
) -> None:
    server.script(given)

    assert client.create("sites", {"name": "Job"}) == taken
    assert client.update("sites", 6001, {"name": "Job"}, "PUT") == taken


@pytest.mark.parametrize("given", [answer([]), answer("ok"), answer({"data": [1]}), raw(200), html()])
def test_a_write_without_a_readable_record_is_an_answer_lost(
    given: Any, server: ScriptedServer, client: SafetyAmpClient
) -> None:
    server.script(given)

    with pytest.raises(AnswerLost, match=r"SafetyAmp PATCH /api/users/{id}"):
        client.update("users", "aB3dE", {}, "PATCH")

    assert len(server.asked) == 1


def test_an_id_cannot_lead_elsewhere(server: ScriptedServer, client: SafetyAmpClient) -> None:
    server.script(answer({}))

    client.update("users", "../sites/1?x", {}, "PATCH")

    assert server.asked[0].path == "/api/users/..%2Fsites%2F1%3Fx"


def test_two_clients_of_one_token_share_the_budget(server: ScriptedServer, tmp_path: Path) -> None:
    server.script(answer({"data": []}))
    settings = settings_of(server.url, tmp_path, API_RATE_LIMIT_CALLS="1", API_RATE_LIMIT_PERIOD="0.2")
    clients = [safetyamp_client(settings) for _ in range(2)]

    for client in clients:
        list_of(client, "users")

    assert clients[1].http.waited > 0.1


def test_the_place_of_the_budget_can_be_given(server: ScriptedServer, tmp_path: Path) -> None:
    keys: list[str] = []

    def elsewhere(key: str) -> SqliteBucket:
        keys.append(key)
        return SqliteBucket(tmp_path / "elsewhere.db", key)

    server.script(answer({"data": []}))
    list_of(safetyamp_client(settings_of(server.url, tmp_path), bucket=elsewhere), "users")

    assert [file.name for file in tmp_path.glob("*.db")] == ["elsewhere.db"]
    assert "secret-token-value" not in keys[0]


def test_missing_settings_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        safetyamp_client(load_settings({}, env_file=None))

    assert {problem.variable for problem in caught.value.problems} == {"SAFETYAMP_FQDN", "SAFETYAMP_TOKEN"}


def test_check_says_where_safetyamp_answers(server: ScriptedServer, client: SafetyAmpClient) -> None:
    server.script(answer({"data": [{"id": 3, "name": "Field"}]}))

    assert client.check() == f"SafetyAmp answers at {server.url.removeprefix('http://')} and takes the key"
    assert client.http.calls == 1


def test_check_fails_where_something_else_answers(server: ScriptedServer, client: SafetyAmpClient) -> None:
    server.script(answer({"message": "Hello"}))

    with pytest.raises(ReadError, match="no list"):
        client.check()


def test_the_resource_gives_one_client_a_run_and_closes_it(server: ScriptedServer, tmp_path: Path) -> None:
    server.script(answer({"data": []}))
    environ = {
        "SAFETYAMP_BASE_URL": server.url,
        "SAFETYAMP_FQDN": "acme.safetyamp.com",
        "SAFETYAMP_TOKEN": "secret-token-value",
        "SAFETYAMP_DATA_DIR": str(tmp_path),
    }
    seen: list[SafetyAmpClient] = []

    @dg.asset
    def reads(safetyamp: SafetyAmp) -> None:
        seen.append(safetyamp.client())
        list_of(safetyamp.client(), "users")

    @dg.asset(deps=[reads])
    def reads_again(safetyamp: SafetyAmp) -> None:
        seen.append(safetyamp.client())

    resource = SafetyAmp(settings=SettingsResource.of(environ))
    result = dg.materialize([reads, reads_again], resources={"safetyamp": resource})

    assert result.success
    assert seen[0] is seen[1]
    assert "secret-token-value" not in repr(resource)


@pytest.mark.parametrize("record_id", [".", ".."])
def test_an_id_that_would_be_a_step_of_the_path_is_not_called(
    record_id: str, server: ScriptedServer, client: SafetyAmpClient
) -> None:
    with pytest.raises(NotSent, match="the record's id cannot be part of an address"):
        client.update("users", record_id, {"system_access": 0}, "PATCH")

    assert server.asked == []


def test_an_id_is_one_part_of_the_path_whatever_it_holds(server: ScriptedServer, client: SafetyAmpClient) -> None:
    server.script(answer({"data": {"id": "a"}}))

    client.update("users", "../roles/1?x=#%2e", {"system_access": 0}, "PATCH")

    assert server.asked[0].path == "/api/users/..%2Froles%2F1%3Fx%3D%23%252e"
