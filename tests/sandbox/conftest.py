"""A small SafetyAmp behind its gate, and a caller who sends what SafetyAmp insists on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from safetyamp_pipelines.sandbox.faults import FaultBook
from safetyamp_pipelines.sandbox.gate import Gate
from safetyamp_pipelines.sandbox.requestlog import RequestLog
from safetyamp_pipelines.sandbox.safetyamp import safetyamp_app
from safetyamp_pipelines.sandbox.safetyamp_options import TargetOptions
from safetyamp_pipelines.sandbox.safetyamp_state import SafetyAmpState
from safetyamp_pipelines.sandbox.server import AppServer

PLENTY = 1_000_000


def small_tenant() -> dict[str, list[dict[str, Any]]]:
    """One root, two regions, two departments, two sites, three users of whom one is deleted, one asset type a site."""
    return {
        "site_clusters": [
            {
                "id": 1,
                "name": "Acme",
                "parent_cluster_id": None,
                "children": [
                    {
                        "id": 2,
                        "name": "South",
                        "parent_cluster_id": 1,
                        "external_code": "SOUTH",
                        "children": [{"id": 4, "name": "10 - Pipe", "parent_cluster_id": 2, "external_code": "10"}],
                    },
                    {"id": 3, "name": "North", "parent_cluster_id": 1, "external_code": "NORTH"},
                ],
            }
        ],
        "sites": [
            {"id": 101, "name": "Job 24113", "ext_id": "24113.", "cluster_id": 4, "zip_code": "00701"},
            {"id": 102, "name": "South yard", "ext_id": None, "cluster_id": 2},
        ],
        "user_titles": [{"id": 71, "name": "Fitter"}, {"id": 72, "name": "Welder"}],
        "roles": [{"id": 3, "name": "Field", "account_default": 1}, {"id": 4, "name": "Supervisor"}],
        "users": [
            {
                "id": "aB3dE",
                "emp_id": "100482",
                "first_name": "Nora",
                "last_name": "Núñez",
                "email": "nora@example.com",
                "mobile_phone": "+15045550123",
                "gender": 0,
                "home_site": {"id": 101, "name": "Job 24113"},
                "current_title": {"id": 71, "name": "Fitter"},
                "roles": [{"id": 3, "name": "Field"}],
                "system_access": True,
            },
            {"id": "Ab3De", "first_name": "Łukasz", "last_name": "O'Brien", "email": "lukasz@example.com"},
            {
                "id": "gONe1",
                "first_name": "Left",
                "last_name": "Long ago",
                "email": "left@example.com",
                "mobile_phone": "+15045550199",
                "deleted_at": "2025-01-01 00:00:00",
            },
        ],
        "asset_categories": [{"id": 1, "name": "Fleet"}],
        "asset_types": [
            {"id": 11, "name": "Vehicle", "site_id": 101, "asset_category_id": 1},
            {"id": 12, "name": "Vehicle", "site_id": 102, "asset_category_id": 1},
        ],
        "assets": [
            {"id": 901, "name": "Unit 900", "serial": "VIN1", "site_id": 101, "asset_type_id": 11, "status": 1},
        ],
    }


@dataclass
class Api:
    """A caller of one SafetyAmp; every method returns the whole response."""

    url: str
    state: SafetyAmpState
    log: RequestLog
    faults: FaultBook
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.headers.update(
            {
                "Authorization": f"Bearer {self.state.options.token}",
                "Fqdn": self.state.options.fqdn,
                "User-Agent": "Tests/1.0",
                "Accept": "application/json",
            }
        )

    def get(self, table: str, **params: Any) -> requests.Response:
        return self.session.get(f"{self.url}/api/{table}", params=params, timeout=60)

    def send(self, method: str, path: str, body: Any) -> requests.Response:
        return self.session.request(method, f"{self.url}/api/{path}", json=body, timeout=60)

    def post(self, table: str, **body: Any) -> requests.Response:
        return self.send("POST", table, body)

    def put(self, path: str, **body: Any) -> requests.Response:
        return self.send("PUT", path, body)

    def patch(self, path: str, **body: Any) -> requests.Response:
        return self.send("PATCH", path, body)


@pytest.fixture
def serve() -> Iterator[Callable[..., Api]]:
    """Start a SafetyAmp of its own: `serve(seed, calls=…, any other option)`; calls are plentiful unless given."""
    servers, apis = [], []

    def start(seed: dict[str, Any] | None = None, **options: Any) -> Api:
        state = SafetyAmpState(small_tenant() if seed is None else seed, TargetOptions(**{"calls": PLENTY, **options}))
        log, faults = RequestLog(), FaultBook()
        server = AppServer(Gate(safetyamp_app(state), log, faults, lambda path: "safetyamp")).start()
        servers.append(server)
        apis.append(Api(server.url, state, log, faults))
        return apis[-1]

    yield start
    for api in apis:
        api.session.close()
    for server in servers:
        server.stop()


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    """The small tenant with default options and a plentiful budget."""
    return serve()
