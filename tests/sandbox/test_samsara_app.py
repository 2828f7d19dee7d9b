"""Samsara as its contract has it: cursors, empty pages, drivers by status, limits and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from safetyamp_pipelines.sandbox.samsara import SamsaraOptions, samsara_app
from safetyamp_pipelines.sandbox.server import AppServer
from safetyamp_pipelines.sandbox.world import World, WorldSpec, build_world

Get = Callable[..., requests.Response]


@pytest.fixture
def world() -> World:
    return build_world(WorldSpec(vehicles=25))


@pytest.fixture
def serve(world: World) -> Iterator[Callable[..., Get]]:
    """`serve(**options)` starts a Samsara and returns a caller with a good token: `get(path, **params)`."""
    servers = []
    session = requests.Session()
    session.trust_env = False

    def start(**options: Any) -> Get:
        chosen = SamsaraOptions(**options)
        servers.append(AppServer(samsara_app(world, chosen)).start())
        url = servers[-1].url

        def get(path: str, token: str = chosen.token, **params: Any) -> requests.Response:
            return session.get(url + path, params=params, headers={"Authorization": f"Bearer {token}"}, timeout=60)

        return get

    yield start
    session.close()
    for server in servers:
        server.stop()


def pages(get: Get, path: str, **params: Any) -> list[dict[str, Any]]:
    """All pages, by the cursor and `hasNextPage` alone."""
    read = [get(path, **params).json()]
    while read[-1]["pagination"]["hasNextPage"]:
        read.append(get(path, **params, after=read[-1]["pagination"]["endCursor"]).json())
    return read


def ids(read: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for page in read for row in page["data"]]


def test_a_listing_without_limit_comes_in_one_page(serve, world):
    answer = serve()("/fleet/vehicles").json()
    assert answer["data"] == world.samsara_vehicles
    assert answer["pagination"] == {"endCursor": "", "hasNextPage": False}


@pytest.mark.parametrize(
    ("options", "limit"), [({}, 10), ({"page_size": 4}, 512), ({"page_size": 7, "empty_pages": True}, 9)]
)
def test_the_pages_together_are_the_listing_once(serve, world, options, limit):
    read = pages(serve(**options), "/fleet/vehicles", limit=limit)
    assert ids(read) == [row["id"] for row in world.samsara_vehicles]
    assert all(len(page["data"]) <= limit for page in read)


def test_empty_pages_come_with_a_next_page(serve):
    read = pages(serve(page_size=10, empty_pages=True), "/fleet/vehicles")
    assert [len(page["data"]) for page in read] == [10, 0, 10, 0, 5]
    assert [page["pagination"]["hasNextPage"] for page in read] == [True, True, True, True, False]


def test_a_cursor_can_be_made_to_repeat(serve):
    get = serve(page_size=5, repeating_cursor=True)
    first = get("/fleet/vehicles").json()["pagination"]["endCursor"]
    again = get("/fleet/vehicles", after=first).json()["pagination"]
    assert again == {"endCursor": first, "hasNextPage": True}


def test_a_vehicle_that_vanishes_between_two_pages_shifts_nothing(serve, world):
    get = serve(page_size=10)
    first = get("/fleet/vehicles").json()
    expected = [row["id"] for row in world.samsara_vehicles[10:20]]
    del world.samsara_vehicles[2]
    assert ids([get("/fleet/vehicles", after=first["pagination"]["endCursor"]).json()]) == expected


def test_drivers_are_the_active_ones_unless_asked(serve, world):
    get = serve()
    away = [row["id"] for row in world.samsara_drivers if row["driverActivationStatus"] == "deactivated"]
    assert away
    assert ids([get("/fleet/drivers", driverActivationStatus="deactivated").json()]) == away
    assert not set(ids([get("/fleet/drivers").json()])) & set(away)
    assert get("/fleet/drivers", driverActivationStatus="gone").status_code == 400


def test_a_record_is_found_by_id_or_by_external_id(serve, world):
    get, driver = serve(), next(row for row in world.samsara_drivers if "externalIds" in row)
    number = driver["externalIds"]["employeeId"]
    assert get(f"/fleet/drivers/{driver['id']}").json() == {"data": driver}
    assert get(f"/fleet/drivers/employeeId:{number}").json()["data"]["externalIds"]["employeeId"] == number
    assert get(f"/fleet/vehicles/{world.samsara_vehicles[0]['id']}").json()["data"] == world.samsara_vehicles[0]
    assert get("/fleet/drivers/1").status_code == 404


def test_the_organisation_answers_a_probe(serve):
    assert serve()("/me").json()["data"]["id"] == "1"


@pytest.mark.parametrize("path", ["/me", "/fleet/vehicles", "/fleet/drivers", "/fleet/drivers/1"])
def test_a_wrong_token_is_refused_everywhere(serve, path):
    answer = serve()(path, token="wrong")
    assert answer.status_code == 401
    assert answer.json().keys() == {"message", "requestId"}


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": 513}, {"limit": "many"}, {"after": "made-up"}, {"after": "é"}]
)
def test_wrong_parameters_are_a_400_with_a_message(serve, params):
    answer = serve()("/fleet/vehicles", **params)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_too_many_calls_are_told_to_wait_a_fraction_of_a_second(serve):
    get = serve(calls=2, period=0.4)
    statuses = [get("/me").status_code for _ in range(2)]
    refused = get("/me")
    assert statuses == [200, 200]
    assert refused.status_code == 429
    assert 0 < float(refused.headers["Retry-After"]) <= 0.4
    assert "." in refused.headers["Retry-After"]


def test_a_token_restricted_to_a_tag_sees_less_without_an_error(serve, world):
    tag = world.samsara_vehicles[0]["tags"][0]["name"]
    shown = serve(only_tag=tag)("/fleet/vehicles").json()["data"]
    assert 0 < len(shown) < len(world.samsara_vehicles)
    assert all(tag in [one["name"] for one in row["tags"]] for row in shown)
