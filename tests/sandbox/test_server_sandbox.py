"""The whole sandbox: one `with`, everything a program needs to run against it, and nothing left behind."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
import requests
import yaml

from safetyamp_pipelines.sandbox import FaultRule, Sandbox, TargetOptions, WorldSpec

SMALL = WorldSpec(seed=7, employees=12, jobs=6, vehicles=3)


@pytest.fixture
def session():
    with requests.Session() as session:
        session.trust_env = False
        yield session


def safetyamp(box: Sandbox, session: requests.Session, method: str, path: str, **kwargs) -> requests.Response:
    headers = {
        "Authorization": f"Bearer {box.environment['SAFETYAMP_TOKEN']}",
        "Fqdn": box.environment["SAFETYAMP_FQDN"],
        "User-Agent": "Tests/1.0",
        "Accept": "application/json",
    }
    url = f"{box.environment['SAFETYAMP_BASE_URL']}/api/{path}"
    return session.request(method, url, headers=headers, timeout=60, **kwargs)


def graph_token(box: Sandbox, session: requests.Session) -> str:
    env = box.environment
    response = session.post(
        f"{env['MS_GRAPH_AUTHORITY']}/{env['MS_GRAPH_TENANT_ID']}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": env["MS_GRAPH_CLIENT_ID"],
            "client_secret": env["MS_GRAPH_CLIENT_SECRET"],
            "scope": "https://graph.microsoft.com/.default",
        },
        verify=env["REQUESTS_CA_BUNDLE"],
        timeout=60,
    )
    return response.json()["access_token"]


def test_the_environment_leads_to_all_four_systems(session):
    with Sandbox(SMALL) as box:
        env = box.environment

        users = safetyamp(box, session, "GET", "users?page=0&limit=100")
        vehicles = session.get(
            f"{env['SAMSARA_BASE_URL']}/fleet/vehicles",
            headers={"Authorization": f"Bearer {env['SAMSARA_API_KEY']}"},
            timeout=60,
        )
        accounts = session.get(
            f"{env['MS_GRAPH_BASE_URL']}/users",
            headers={"Authorization": f"Bearer {graph_token(box, session)}"},
            verify=env["REQUESTS_CA_BUNDLE"],
            timeout=60,
        )
        with closing(sqlite3.connect(env["VIEWPOINT_URL"].removeprefix("sqlite:///"))) as viewpoint:
            (employees,) = viewpoint.execute("SELECT count(*) FROM bPREH WHERE PRCo = 1").fetchone()

    assert [response.status_code for response in (users, vehicles, accounts)] == [200, 200, 200]
    assert vehicles.json()["data"]
    assert accounts.json()["value"]
    assert employees == 12
    assert [record.system for record in box.requests()] == ["safetyamp", "samsara", "login", "graph"]
    assert [record.system for record in box.requests("graph")] == ["graph"]
    assert [record.system for record in box.requests(since=2)] == ["login", "graph"]


def test_the_files_named_in_the_environment_lie_in_the_sandboxes_folder_and_go_with_it():
    with Sandbox(SMALL) as box:
        env = box.environment
        home = Path(env["SAFETYAMP_DATA_DIR"]).parent
        files = [Path(env[name]) for name in ("REQUESTS_CA_BUNDLE", "SYNC_CONFIG", "SAFETYAMP_DATA_DIR")]
        ledger, snapshots = env["LEDGER_URL"].removeprefix("sqlite:///"), unquote(urlparse(env["SNAPSHOT_URL"]).path)

        assert all(path.exists() and path.is_relative_to(home) for path in files)
        assert Path(ledger).parent == Path(snapshots).parent == Path(env["SAFETYAMP_DATA_DIR"])
        assert isinstance(yaml.safe_load(Path(env["SYNC_CONFIG"]).read_text(encoding="utf-8")), dict)

    assert not home.exists()


def test_the_budget_in_the_environment_is_a_little_slower_than_the_servers():
    with Sandbox(SMALL, TargetOptions(calls=5, period=6.0)) as box:
        assert box.environment["API_RATE_LIMIT_CALLS"] == "5"
        assert float(box.environment["API_RATE_LIMIT_PERIOD"]) == pytest.approx(6.1)


def test_equal_specs_give_equal_tenants():
    with Sandbox(SMALL) as one, Sandbox(SMALL) as other:
        assert one.safetyamp.tables() == other.safetyamp.tables()
        assert one.environment["SAFETYAMP_BASE_URL"] != other.environment["SAFETYAMP_BASE_URL"]


def test_faults_and_options_work_on_a_running_sandbox(session):
    with Sandbox(SMALL) as box:
        box.faults.add(FaultRule("cut_after", system="safetyamp", method="POST"))
        with pytest.raises(requests.ConnectionError):
            safetyamp(box, session, "POST", "user_titles", json={"name": "Rigger by fault"})
        box.options.calls = 0

        assert safetyamp(box, session, "GET", "roles").status_code == 429
        assert "Rigger by fault" in [row["name"] for row in box.safetyamp.tables()["user_titles"]]
        assert [record.acted for record in box.requests("safetyamp")] == [True, True]


def test_a_change_of_the_sources_is_served_at_once(session):
    with Sandbox(SMALL) as box:
        number = box.sources.hire("Ada", "Late")
        token = graph_token(box, session)

        found = session.get(
            f"{box.environment['MS_GRAPH_BASE_URL']}/users",
            params={"$filter": f"employeeId eq '{number}'", "$select": "employeeId"},
            headers={"Authorization": f"Bearer {token}"},
            verify=box.environment["REQUESTS_CA_BUNDLE"],
            timeout=60,
        )

        assert [row["employeeId"] for row in found.json()["value"]] == [str(number)]


def test_a_given_home_keeps_safetyamp_ledger_and_rules_for_the_next_sandbox(tmp_path, session):
    home = tmp_path / "home"
    with Sandbox(SMALL, home=home) as box:
        safetyamp(box, session, "POST", "user_titles", json={"name": "Kept"})
        box.sources.hire("Ada", "Forgotten")
        left = box.safetyamp.tables(hidden=True)
        (home / "data" / "ledger.db").write_text("the ledger")
        (home / "sync.yaml").write_text("companies: [1]")

    with Sandbox(SMALL, home=home) as box:
        assert box.safetyamp.tables(hidden=True) == left
        assert Path(box.environment["SYNC_CONFIG"]).read_text(encoding="utf-8") == "companies: [1]"
        assert (home / "data" / "ledger.db").exists()
        with closing(sqlite3.connect(home / "viewpoint.db")) as viewpoint:
            query = "SELECT count(*) FROM bPREH WHERE LastName LIKE 'Forgotten%'"
            assert viewpoint.execute(query).fetchone() == (0,)


def test_a_home_of_another_world_is_refused_and_left_alone(tmp_path):
    with Sandbox(SMALL, home=tmp_path):
        pass
    before = json.loads((tmp_path / "safetyamp.json").read_text(encoding="utf-8"))

    with pytest.raises(ValueError, match="seed=7"):
        Sandbox(WorldSpec(seed=8, employees=12, jobs=6, vehicles=3), home=tmp_path).start()

    assert json.loads((tmp_path / "safetyamp.json").read_text(encoding="utf-8")) == before


def test_stopping_twice_is_harmless():
    box = Sandbox(SMALL).start()
    box.stop()
    box.stop()

    with pytest.raises(requests.ConnectionError):
        requests.get(box.environment["SAMSARA_BASE_URL"], timeout=60)
