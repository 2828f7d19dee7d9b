"""The control door: everything a test does to a sandbox in its own process can be done over HTTP."""

from __future__ import annotations

import pytest
import requests
from typer.testing import CliRunner

from safetyamp_pipelines.sandbox import Sandbox, WorldSpec
from safetyamp_pipelines.sandbox.experiments import app


@pytest.fixture(scope="module")
def box():
    with Sandbox(WorldSpec(seed=3, employees=12, jobs=6, vehicles=3)) as box:
        yield box


@pytest.fixture
def door(box):
    with requests.Session() as session:
        session.trust_env = False

        def ask(method: str, path: str, body=None) -> requests.Response:
            return session.request(method, f"{box.control_url}/{path}", json=body, timeout=60)

        yield ask
    box.faults.clear()


def test_the_environment_can_be_asked_for(box, door):
    assert door("GET", "environment").json() == box.environment


def test_the_state_is_safetyamps_tables(box, door):
    box.safetyamp.hide(
        "users", box.safetyamp.insert("users", first_name="A", last_name="B", email="gone@example.com")["id"]
    )

    assert door("GET", "state").json() == {"safetyamp": box.safetyamp.tables()}
    assert door("GET", "state?hidden=1").json() == {"safetyamp": box.safetyamp.tables(hidden=True)}


def test_the_requests_of_one_system_since_a_point(box, door):
    for url in (box.environment["SAFETYAMP_BASE_URL"], box.environment["SAMSARA_BASE_URL"]):
        with requests.Session() as session:
            session.trust_env = False
            session.get(f"{url}/api/users", timeout=60)
    whole = door("GET", "requests").json()

    assert whole[-2]["path"] == "/api/users"
    assert whole[-2]["status"] == 401
    since = whole[-2]["seq"]
    assert [record["system"] for record in door("GET", f"requests?since={since}").json()] == ["samsara"]
    assert {record["system"] for record in door("GET", "requests?system=safetyamp").json()} == {"safetyamp"}
    assert door("GET", "requests?since=yesterday").status_code == 400


def test_the_door_itself_is_not_in_the_request_log(box, door):
    before = len(box.requests())

    door("GET", "state")

    assert len(box.requests()) == before


def test_a_fault_is_added_counted_and_lifted(box, door):
    added = door("POST", "faults", {"kind": "status", "status": 418, "system": "samsara", "nth": 2})
    with requests.Session() as session:
        session.trust_env = False
        answers = [session.get(f"{box.environment['SAMSARA_BASE_URL']}/me", timeout=60).status_code for _ in range(3)]

    assert added.json()["path_regex"] == ""
    assert answers[1] == 418
    assert [(rule["kind"], rule["seen"]) for rule in door("GET", "faults").json()] == [("status", 3)]
    assert door("DELETE", "faults").json() == []


@pytest.mark.parametrize(
    "rule", [{"kind": "explode"}, {"knid": "html"}, {"kind": "html", "path_regex": "("}, [], "html"]
)
def test_a_wrong_fault_is_400_and_not_in_force(box, door, rule):
    response = door("POST", "faults", rule)

    assert response.status_code == 400
    assert response.json()["message"]
    assert box.faults.seen() == []


def test_options_are_set_on_the_running_server(box, door):
    assert door("PATCH", "options", {"latency": 0.01, "create_status": 200}).json()["create_status"] == 200
    assert box.options.create_status == 200

    assert door("PATCH", "options", {"latency": 0, "no_such": 1}).status_code == 400
    assert box.options.latency == 0.01


def test_a_person_edits_adds_and_deletes_in_safetyamp(box, door):
    def change(**what) -> dict:
        return door("POST", "change", {"system": "safetyamp", **what}).json()

    title = change(do="insert", table="user_titles", fields={"name": "Rigger"})
    change(do="edit", table="user_titles", id=title["id"], fields={"name": "Rigger II"})
    assert [row["name"] for row in box.safetyamp.tables()["user_titles"] if row["id"] == title["id"]] == ["Rigger II"]
    change(do="hide", table="user_titles", id=title["id"])
    assert title["id"] not in [row["id"] for row in box.safetyamp.tables()["user_titles"]]


def test_the_sources_are_changed_by_name(box, door):
    number = door(
        "POST", "change", {"system": "sources", "do": "hire", "args": {"first": "Ada", "last": "Door"}}
    ).json()
    gone = door(
        "POST", "change", {"system": "sources", "do": "terminate", "args": {"employee": number, "date": "2026-11-01"}}
    )

    assert gone.status_code == 200
    (employee,) = [row for row in box.world.viewpoint["bPREH"] if row["Employee"] == number and row["PRCo"] == 1]
    assert employee["TermDate"] == "2026-11-01 00:00:00"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"system": "safetyamp", "do": "drop", "table": "users"},
        {"system": "safetyamp", "do": "edit", "table": "users", "id": "nobody", "fields": {}},
        {"system": "safetyamp", "do": "edit", "table": "nothing", "id": 1, "fields": {}},
        {"system": "safetyamp", "do": "insert", "table": "users", "fields": {"no_such": 1}},
        {"system": "sources", "do": "_execute", "args": {"statement": "DROP TABLE bPREH", "values": []}},
        {"system": "sources", "do": "hire", "args": {"no_such_column": 1}},
        {"system": "sources", "do": "terminate", "args": {"employee": -1}},
        {"system": "payroll", "do": "hire"},
    ],
)
def test_a_change_that_cannot_be_made_is_400_with_a_reason(door, body):
    response = door("POST", "change", body)

    assert response.status_code == 400
    assert response.json()["message"]


def test_an_experiment_is_one_line_in_a_shell_and_says_what_to_look_at(tmp_path):
    def do(*words: str) -> tuple[int, str]:
        answer = CliRunner().invoke(app, ["do", *words, "--home", str(tmp_path)])
        return answer.exit_code, answer.output

    with Sandbox(WorldSpec(seed=3, employees=60, jobs=20, present=1.0, mess=False), home=tmp_path) as box:
        working = sum(row["TermDate"] is None for row in box.sources.world.viewpoint["bPREH"])
        said = {name: do(*name.split()) for name in ("leaver", "mass-leave", "break samsara", "refuse", "hand-edit")}
        left = working + 1 - sum(row["TermDate"] is None for row in box.sources.world.viewpoint["bPREH"])
        broken = [rule.system for rule, _ in box.faults.seen()]
        names = [row["first_name"] for row in box.safetyamp.tables()["users"]]
        unknown, mended = do("nothing"), do("mend")

        assert {code for code, _ in said.values()} == {0}
        assert "`safetyamp plan employees`" in said["leaver"][1]
        assert left == 14
        assert (broken, box.faults.seen()) == (["samsara"], [])
        assert "Edited by hand" in names
        assert (unknown[0], mended[0]) == (2, 0)
    assert do("leaver")[0] == 2
