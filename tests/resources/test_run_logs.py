"""The log of a real run: the same lines in Dagster's event log and on the console, with their run, nobody's values."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from commands import small_world

from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.lease import LEASE
from safetyamp_pipelines.resources.run_console import CONSOLE
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sandbox import FaultRule, Sandbox
from safetyamp_pipelines.settings.logs import configure_logging

pytestmark = pytest.mark.xdist_group("run logs")

ROOT = Path(__file__).parents[2]
PUSH_LINES = {"push_begins", "push", "refused", "call_retried", "push_ended", "waits_for_budget"}


@dataclass(frozen=True)
class Logged:
    """What a run left: our lines of the console as JSON, and the messages of Dagster's event log."""

    run_id: str
    console: list[dict[str, Any]]
    events: list[str]

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.console if line["event"] == event]


def python_logs() -> dict[str, Any]:
    """What our dagster.yaml says of logs."""
    return {"python_logs": yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))["python_logs"]}


def logged_run(box: Sandbox, job: str) -> Logged:
    """Run a job as Dagster does, with the log settings of our dagster.yaml, and capture both logs."""
    console = io.StringIO()
    configure_logging("json", "INFO", console)
    defs = build_defs(resources_for(SettingsResource.of(box.environment)))
    with dg.DagsterInstance.ephemeral(settings=python_logs()) as instance:
        run = defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
        events = [entry.user_message for entry in instance.all_logs(run.run_id) if not entry.is_dagster_event]
    return Logged(run.run_id, [json.loads(line) for line in console.getvalue().splitlines()], events)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("safetyamp_pipelines")
    handlers, level = list(root.handlers), ours.level
    yield
    root.handlers = handlers
    ours.setLevel(level)


@pytest.fixture(scope="module")
def troubled() -> Iterator[tuple[Sandbox, Logged]]:
    """A sync whose lease was left by a dead push, with one record refused and one call answered 429."""
    with small_world() as box:
        with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
            ledger.acquire_lease(LEASE, "run of yesterday", ttl_seconds=0)
            ledger.start_session("run of yesterday", "employees", "plan", {})
        box.faults.add(FaultRule("status", "safetyamp", "POST", "/api/users", status=429, retry_after=0.05))
        box.faults.add(FaultRule("status", "safetyamp", "POST", "/api/users", nth=3, status=422))
        yield box, logged_run(box, "sync_all")


def test_every_line_tells_its_run_and_those_of_a_push_their_entity_and_session(troubled) -> None:
    box, logged = troubled

    assert {line["run_id"] for line in logged.console} == {logged.run_id}
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        sessions = {(session.entity, session.id) for session in ledger.sessions(run_id=logged.run_id)}
    of_pushes = [line for line in logged.console if line["event"] in PUSH_LINES - {"call_retried"}]
    assert {(line["entity"], line["session"]) for line in of_pushes} == sessions
    # also what is logged by the threads that make the calls
    assert {line["entity"] for line in logged.lines("call_retried")} == {"employees"}
    assert all("session" in line for line in logged.lines("call_retried"))


def test_dagsters_event_log_has_the_same_lines_as_the_console(troubled) -> None:
    _, logged = troubled

    told = [message for message in logged.events if f"run_id={logged.run_id}" in message]

    assert [message.partition(" ")[0] for message in told] == [line["event"] for line in logged.console]
    refused = next(message for message in told if message.startswith("refused"))
    assert "entity=employees" in refused
    assert re.search(r"\bsession=\d+", refused)


def of_employees(logged: Logged, event: str) -> dict[str, Any]:
    """The last such line of the push of employees."""
    return [line for line in logged.lines(event) if line["entity"] == "employees"][-1]


def test_what_matters_is_logged_with_counts_and_names(troubled) -> None:
    _, logged = troubled

    assert len(logged.lines("read")) == 7
    assert {line["entity"] for line in logged.lines("planned")} == {
        "departments",
        "jobs",
        "titles",
        "employees",
        "vehicles",
    }
    begun, ended = (of_employees(logged, event) for event in ("push_begins", "push_ended"))
    assert sum(begun["planned"].values()) == of_employees(logged, "push")["planned"]
    assert (ended["level"], ended["verdicts"]["failed"]) == ("WARNING", len(logged.lines("refused")))
    (taken,) = logged.lines("lease_taken_over")
    assert taken["dead_holder"] == "run of yesterday"
    (abandoned,) = logged.lines("session_abandoned")
    assert abandoned["of_run"] == "run of yesterday"
    for refused in logged.lines("refused"):
        assert refused["level"] == "WARNING"
        assert refused["source_key"]
    (again,) = logged.lines("call_retried")
    assert (again["status"], again["system"]) == (429, "SafetyAmp")


def test_nobodys_values_and_no_secret_is_in_either_log(troubled) -> None:
    box, logged = troubled
    everything = json.dumps(logged.console, ensure_ascii=False) + "\n".join(logged.events)

    for name in ("SAFETYAMP_TOKEN", "SAMSARA_API_KEY", "MS_GRAPH_CLIENT_SECRET"):
        assert box.environment[name] not in everything
    for row in box.world.viewpoint["bPREH"]:
        for column in ("LastName", "FirstName", "Email", "CellPhone", "Phone"):
            value = str(row[column] or "").strip()
            assert not value or not re.search(rf"\b{re.escape(value)}\b", everything), column


def console_of(box: Sandbox, job: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, list[str], list[str]]:
    """A run as schedules and sensors ask for it: its id, the lines on its console, our lines in the event log."""
    defs = build_defs(resources_for(SettingsResource.of(box.environment)))
    with dg.DagsterInstance.ephemeral(settings=python_logs()) as instance:
        made = defs.resolve_job_def(job)
        run = made.execute_in_process(run_config=CONSOLE, instance=instance, raise_on_error=False)
        events = [entry.user_message for entry in instance.all_logs(run.run_id) if not entry.is_dagster_event]
    told = [message for message in events if f"run_id={run.run_id}" in message]
    return run.run_id, capsys.readouterr().err.splitlines(), told


def test_the_console_of_a_run_that_starts_by_itself_is_json_where_log_format_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    with small_world() as box:
        box.faults.add(FaultRule("status", "samsara", status=401, times=None))
        run_id, console, events = console_of(box, "sync_vehicles", capsys)

    lines = [json.loads(line) for line in console]
    assert {line["run_id"] for line in lines} == {run_id}
    assert [line["event"] for line in lines if line["level"] != "ERROR"] == [told.partition(" ")[0] for told in events]
    failed = [line for line in lines if line.get("step") == "samsara__drivers"]
    assert [(line["level"], "answered 401" in line["event"]) for line in failed] == [("ERROR", True)]


def test_else_it_is_the_text_of_the_event_log(capsys: pytest.CaptureFixture[str]) -> None:
    with small_world() as box:
        _, console, events = console_of(box, "sync_titles", capsys)

    assert [line.partition(" INFO    ")[2] for line in console] == events
