"""The Samsara client: whatever its pages look like, a listing is whole or an error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from scripted_server import Answer, ScriptedServer, answer

from safetyamp_pipelines.resources.systems import Samsara, SettingsResource
from safetyamp_pipelines.sandbox import FaultRule, SamsaraOptions, Sandbox, WorldSpec
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import SettingsError
from safetyamp_pipelines.sync.model.errors import AuthRefused, ReadError
from safetyamp_pipelines.systems.samsara import SamsaraClient, samsara_client

READ_AT = "2026-11-20T10:00:00Z"


def environ_of(url: str, folder: Path) -> dict[str, str]:
    return {"SAMSARA_BASE_URL": url, "SAMSARA_API_KEY": "secret-key-value", "SAFETYAMP_DATA_DIR": str(folder)}


@pytest.fixture
def client(server: ScriptedServer, tmp_path: Path) -> Iterator[SamsaraClient]:
    client = samsara_client(load_settings(environ_of(server.url, tmp_path), env_file=None))
    yield client
    client.close()


def page(*ids: str, cursor: str = "", more: bool = False) -> Answer:
    return answer({"data": [{"id": i} for i in ids], "pagination": {"endCursor": cursor, "hasNextPage": more}})


def vehicles(client: SamsaraClient) -> list[Any]:
    return [row["id"] for row in client.list_vehicles(read_at=READ_AT).verified().records]


def test_pages_follow_the_cursor_as_long_as_more_follow(server: ScriptedServer, client: SamsaraClient) -> None:
    server.script(page("1", cursor="a b", more=True), page(cursor="c", more=True), page("2", "3"))

    snapshot = client.list_vehicles(read_at=READ_AT)

    assert snapshot.table == "samsara/vehicles"
    assert [row["id"] for row in snapshot.records] == ["1", "2", "3"]
    assert snapshot.certificate is not None
    assert snapshot.certificate.pages == client.http.calls == 3
    assert [(asked.path, asked.query) for asked in server.asked] == [
        ("/fleet/vehicles", {"limit": "512"}),
        ("/fleet/vehicles", {"limit": "512", "after": "a b"}),
        ("/fleet/vehicles", {"limit": "512", "after": "c"}),
    ]
    assert server.asked[0].headers["Authorization"] == "Bearer secret-key-value"


def test_drivers_are_listed_once_and_only_the_active_ones(server: ScriptedServer, client: SamsaraClient) -> None:
    server.script(page("52"))

    assert client.list_drivers(read_at=READ_AT).table == "samsara/drivers"

    assert [(asked.path, asked.query) for asked in server.asked] == [("/fleet/drivers", {"limit": "512"})]


def test_everything_of_a_driver_is_kept_but_the_licence(server: ScriptedServer, client: SamsaraClient) -> None:
    shown = {"id": "52", "name": "Nora Test", "anythingNew": {"kept": 1}}
    licence = {"licenseNumber": "X1234567", "licenseState": "LA"}
    server.script(answer({"data": [shown | licence], "pagination": {"endCursor": "", "hasNextPage": False}}))

    assert client.list_drivers(read_at=READ_AT).verified().records == (shown,)


def test_an_empty_fleet_is_a_whole_read(server: ScriptedServer, client: SamsaraClient) -> None:
    server.script(page())

    assert vehicles(client) == []


def test_an_empty_cursor_on_the_last_page_is_right(server: ScriptedServer, client: SamsaraClient) -> None:
    server.script(answer({"data": [{"id": "1"}], "pagination": {"hasNextPage": False}}))

    assert vehicles(client) == ["1"]


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([page("1", cursor="a", more=True), page("2", cursor="a", more=True)], "cursor of the next page came twice"),
        (
            [page("1", cursor="a", more=True), page("2", cursor="b", more=True), page("3", cursor="a", more=True)],
            "twice",
        ),
        ([page("1", cursor="", more=True)], "no cursor"),
        ([page("1", cursor="a", more=True), page("1")], "a record came twice"),
        ([page("1", "1")], "a record came twice"),
        ([answer({"data": [{"id": "1"}]})], "no pagination.hasNextPage"),
        ([answer({"data": [], "pagination": None})], "no pagination.hasNextPage"),
        ([answer({"data": [], "pagination": {"hasNextPage": "no"}})], "no pagination.hasNextPage"),
        ([answer({"pagination": {"endCursor": "", "hasNextPage": False}})], "no list 'data'"),
        ([answer({"data": [{"name": "Unit 900"}], "pagination": {"hasNextPage": False}})], "no id"),
        ([answer([])], "no list 'data'"),
        ([answer({"message": "bad limit", "requestId": "abc-1"}, 400)], "request abc-1"),
    ],
)
def test_a_listing_that_cannot_be_whole_is_an_error(
    pages: list[Answer], reason: str, server: ScriptedServer, client: SamsaraClient
) -> None:
    server.script(*pages)

    with pytest.raises(ReadError, match=f"^samsara/vehicles was not read whole: .*{reason}"):
        vehicles(client)


def test_a_revoked_key_is_fatal(server: ScriptedServer, client: SamsaraClient) -> None:
    server.script(answer({"message": "Unauthorized"}, 401))

    with pytest.raises(AuthRefused):
        vehicles(client)


def test_check_says_where_samsara_answers(server: ScriptedServer, client: SamsaraClient) -> None:
    server.script(page("1"))

    assert client.check() == f"Samsara answers at {server.url.removeprefix('http://')} and takes the key"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(SettingsError, match="SAMSARA_API_KEY"):
        samsara_client(load_settings({}, env_file=None))


def test_the_resource_shows_no_key(server: ScriptedServer, tmp_path: Path) -> None:
    server.script(page("1"))
    resource = Samsara(settings=SettingsResource.of(environ_of(server.url, tmp_path)))

    @dg.asset
    def reads(samsara: Samsara) -> None:
        assert vehicles(samsara.client()) == ["1"]

    assert dg.materialize([reads], resources={"samsara": resource}).success
    assert "secret-key-value" not in repr(resource)


@pytest.mark.parametrize("kind", [None, "status", "cut_after", "truncate", "html"])
def test_the_sandbox_is_read_whole_through_empty_pages_limits_and_faults(kind: str | None) -> None:
    options = SamsaraOptions(page_size=5, empty_pages=True, calls=3, period=0.2)
    with Sandbox(WorldSpec(seed=7, employees=20, jobs=10, vehicles=12), samsara=options) as box:
        if kind:
            box.faults.add(FaultRule(system="samsara", path_regex="/fleet/vehicles", nth=2, kind=kind))
        client = samsara_client(load_settings(box.environment, env_file=None))

        assert set(vehicles(client)) == {row["id"] for row in box.world.samsara_vehicles}
        drivers = client.list_drivers(read_at=READ_AT).records
        assert {row["driverActivationStatus"] for row in drivers} == {"active"}
        assert client.http.waited > 0, "the limit was met and waited for"


def test_a_server_that_never_gets_on_is_an_error() -> None:
    options = SamsaraOptions(page_size=2, repeating_cursor=True)
    with Sandbox(WorldSpec(seed=7, employees=20, jobs=10, vehicles=12), samsara=options) as box:
        client = samsara_client(load_settings(box.environment, env_file=None))

        with pytest.raises(ReadError):
            vehicles(client)
