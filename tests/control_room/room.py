"""The real thing on free ports: `dagster dev` over the sandbox, asked and told through GraphQL as the UI does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests
from commands import Answer, in_this_process
from ports import free_port

from safetyamp_pipelines.sandbox import Sandbox
from safetyamp_pipelines.settings.loading import child_environment

ROOT = Path(__file__).parents[2]
PATIENCE = 900.0
"""Seconds until something must have happened: a busy machine takes a minute to start Dagster."""
POLL = 1.0
"""Seconds between two looks: each costs the web server 20 ms."""
LOCATION = {"repositoryLocationName": "safetyamp_pipelines.definitions", "repositoryName": "__repository__"}
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

Found = TypeVar("Found")


@dataclass
class ControlRoom:
    """Dagster with web server, daemon and code location, in this home and environment, on this port."""

    home: Path
    environment: Mapping[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] = field(init=False)
    """`dagster dev`, which leads the session of all of them."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start all of it, and wait until it is ready."""
        command = [Path(sys.executable).with_name("dagster"), "dev", "-w", ROOT / "workspace.yaml"]
        command += ["-p", str(self.port), "-h", "127.0.0.1"]
        with (self.home / "dagster.log").open("ab") as log, obeyed_interrupts():
            self.process = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(lambda: ready(self), "Dagster to start")

    def kill(self) -> None:
        """Kill it with all its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """SIGINT lets Dagster stop its children; whoever is left in its session is killed."""
        self.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(60)
        self.kill()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of one GraphQL request; AssertionError with Dagster's own words when it reports errors."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=120)
        document = answer.json()
        assert "errors" not in document, document["errors"]
        data = document["data"]
        assert isinstance(data, dict)
        return data

    def launch(self, job: str, config: Mapping[str, Any] | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Start a run as the launchpad does; the id of the run."""
        parameters = {
            "selector": {**LOCATION, "jobName": job},
            "runConfigData": dict(config or {}),
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
        }
        told = self.ask(LAUNCH, parameters=parameters)["launchRun"]
        assert told["__typename"] == "LaunchRunSuccess", told
        return str(told["run"]["runId"])

    def status(self, run_id: str) -> str:
        return str(self.ask(STATUS, run=run_id)["runOrError"]["status"])

    def ended(self, run_id: str) -> str:
        """The final status of a run, once it has one."""
        return wait_for(lambda: status if (status := self.status(run_id)) in ENDED else None, f"run {run_id}")

    def run(self, job: str, config: Mapping[str, Any] | None = None) -> str:
        """The final status of a run started now."""
        return self.ended(self.launch(job, config))

    def succeed(self, job: str, config: Mapping[str, Any] | None = None) -> str:
        """The id of a run started now, which must end well."""
        run_id = self.launch(job, config)
        assert self.ended(run_id) == "SUCCESS", self.errors(run_id)
        return run_id

    def errors(self, run_id: str) -> list[str]:
        """What went wrong in a run, step by step."""
        events = self.ask(ERRORS, run=run_id)["logsForRun"]["events"]
        return [text for event in events for text in _messages(event.get("error"))]

    def runs(self, job: str | None = None) -> list[dict[str, Any]]:
        """The newest runs first, with status and tags as a dictionary."""
        found = self.ask(RUNS, filter={} if job is None else {"pipelineName": job})["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def rest(self) -> None:
        """Wait until no run goes on or waits in the queue."""
        wait_for(lambda: {run["status"] for run in self.runs()} <= {*ENDED} or None, "all runs to end")

    def checks(self, asset: str) -> dict[str, dict[str, Any]]:
        """The last execution of each check of an asset, by name."""
        found = self.ask(CHECKS, asset={"path": asset.split("/")})["assetNodeOrError"]["assetChecksOrError"]["checks"]
        return {check["name"]: check["executionForLatestMaterialization"] for check in found}

    def metadata(self, asset: str) -> dict[str, Any]:
        """The metadata of an asset's latest materialisation, by label."""
        (latest,) = self.ask(METADATA, asset={"path": asset.split("/")})["assetOrError"]["assetMaterializations"]
        return {entry["label"]: entry for entry in latest["metadataEntries"]}

    def partitions(self, asset: str) -> list[str]:
        """The partitions of an asset that are materialised."""
        found = self.ask(PARTITIONS, asset={"path": asset.split("/")})["assetNodeOrError"]
        done: list[str] = []
        for span in found["assetPartitionStatuses"].get("ranges", []):
            keys = found["partitionKeys"]
            if span["status"] == "MATERIALIZED":
                done += keys[keys.index(span["startKey"]) : keys.index(span["endKey"]) + 1]
        return done

    def backfill(self, asset: str, keys: list[str]) -> str:
        """Start a backfill of these partitions, as the dialogue in the UI does; its id."""
        parameters = {"partitionNames": keys, "assetSelection": [{"path": asset.split("/")}]}
        told = self.ask(BACKFILL, parameters=parameters)["launchPartitionBackfill"]
        assert told["__typename"] == "LaunchBackfillSuccess", told
        return str(told["backfillId"])

    def ticks(self, name: str) -> list[dict[str, Any]]:
        """The ticks of a schedule or sensor, newest first."""
        selector = {**LOCATION, "name": name}
        found = self.ask(TICKS, selector=selector)["instigationStateOrError"]
        assert found["__typename"] == "InstigationState", found
        ticks: list[dict[str, Any]] = found["ticks"]
        return ticks

    def switch(self, kind: str, name: str, on: bool) -> None:
        """Turn a schedule or a sensor on or off, as the toggle in the UI does. `kind` is Schedule or Sensor."""
        selector = {**LOCATION, f"{kind.lower()}Name": name}
        if on:
            document = START[kind]
            told = self.ask(document, selector=selector)
        else:
            state = self.ask(STATE[kind], selector=selector)[f"{kind.lower()}OrError"][f"{kind.lower()}State"]
            told = self.ask(STOP[kind], id=state["id"])
        (answer,) = told.values()
        assert not answer["__typename"].endswith("Error"), answer


def _messages(error: dict[str, Any] | None) -> list[str]:
    return [] if error is None else [error["message"], *_messages(error.get("cause"))]


def wait_for(look: Callable[[], Found | None], what: str, patience: float = PATIENCE) -> Found:
    """What `look` finds as soon as it finds something."""
    end = time.monotonic() + patience
    while (found := look()) is None:
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(POLL)
    return found


def in_the_shell(room: ControlRoom, box: Sandbox, *arguments: str) -> Answer:
    """A command beside the servers, on their ledger and their Dagster on PostgreSQL."""
    names = ("LEDGER_URL", "DAGSTER_HOME", "DAGSTER_POSTGRES_URL", "API_RATE_LIMIT_PERIOD")
    return in_this_process(box, *arguments, **{name: room.environment[name] for name in names})


@contextmanager
def control_room(box: Sandbox, home: Path, changes: Mapping[str, str] | None = None) -> Iterator[ControlRoom]:
    """`dagster dev` on a free port with the instance's own dagster.yaml; stopped, with all its children, at the end."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "dagster.yaml", home)
    room = ControlRoom(home, child_environment({**box.environment, "DAGSTER_HOME": str(home), **(changes or {})}))
    try:
        room.start()
        yield room
    finally:
        room.stop()


@contextmanager
def obeyed_interrupts() -> Iterator[None]:
    """A process started here obeys SIGINT, also where a shell in the background made us ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def ready(room: ControlRoom) -> bool | None:
    """Whether the location is loaded and the daemon beats; AssertionError with the log's end when Dagster died."""
    assert room.process.poll() is None, (room.home / "dagster.log").read_text(errors="replace")[-3000:]
    try:
        data = room.ask(READY)
    except requests.ConnectionError:
        return None
    entries = data["workspaceOrError"]["locationEntries"]
    if [entry["loadStatus"] for entry in entries] != ["LOADED"]:
        return None
    loaded = entries[0]["locationOrLoadError"]
    assert loaded["__typename"] == "RepositoryLocation", loaded
    beats = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    return True if all(beat["healthy"] for beat in beats if beat["required"]) else None


READY = """{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError {
  __typename ... on PythonError { message } } } } }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"""
LAUNCH = """mutation ($parameters: ExecutionParams!) { launchRun(executionParams: $parameters) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } ... on PipelineNotFoundError { message } } }"""
STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
ERRORS = """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  ... on ExecutionStepFailureEvent { error { message cause { message cause { message } } } }
  ... on RunFailureEvent { error { message } } } } } }"""
RUNS = """query ($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 50) { ... on Runs {
  results { runId status pipelineName tags { key value } } } } }"""
CHECKS = """query ($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode {
  assetChecksOrError { ... on AssetChecks { checks { name blocking executionForLatestMaterialization {
    status runId evaluation { severity success } } } } } } } }"""
METADATA = """query ($asset: AssetKeyInput!) { assetOrError(assetKey: $asset) { ... on Asset {
  assetMaterializations(limit: 1) { runId metadataEntries { label ... on IntMetadataEntry { intValue }
    ... on MarkdownMetadataEntry { mdStr } ... on TextMetadataEntry { text } } } } } }"""
PARTITIONS = """query ($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode { partitionKeys
  assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } } } } }"""
BACKFILL = """mutation ($parameters: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $parameters) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
TICKS = """query ($selector: InstigationSelector!) { instigationStateOrError(instigationSelector: $selector) {
  __typename ... on InstigationState { ticks(limit: 20) { status skipReason runIds error { message } } } } }"""
START = {
    "Schedule": """mutation ($selector: ScheduleSelector!) {
      startSchedule(scheduleSelector: $selector) { __typename } }""",
    "Sensor": """mutation ($selector: SensorSelector!) { startSensor(sensorSelector: $selector) { __typename } }""",
}
STATE = {
    "Schedule": """query ($selector: ScheduleSelector!) { scheduleOrError(scheduleSelector: $selector) {
      ... on Schedule { scheduleState { id } } } }""",
    "Sensor": """query ($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) {
      ... on Sensor { sensorState { id } } } }""",
}
STOP = {
    "Schedule": """mutation ($id: String!) { stopRunningSchedule(id: $id) { __typename } }""",
    "Sensor": """mutation ($id: String!) { stopSensor(id: $id) { __typename } }""",
}
