"""The form of a run: a dry run sends nothing, an approval lets one plan through, and no plan is pushed unchecked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from commands import small_world
from ledger_entries import stored

from safetyamp_pipelines.automation.alerting.event_log import Reader
from safetyamp_pipelines.automation.starting.timing import is_whole_sync
from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.figures import figures_of
from safetyamp_pipelines.operations.progress import LogProgress
from safetyamp_pipelines.resources.keys import asset_key
from safetyamp_pipelines.resources.run_memory import instance_in_memory
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sandbox import Sandbox
from safetyamp_pipelines.sync.entities.registry import ENTITIES
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore

pytestmark = pytest.mark.xdist_group("push config")

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
STRICT = "guards: {creates: {records: 1, share: 0.0001}}\n"


class Runs:
    """Runs of the real definitions over one sandbox, all known to one instance."""

    def __init__(self, box: Sandbox, home: Path, instance: dg.DagsterInstance) -> None:
        self.box, self.home, self.instance = box, home, instance
        self.environment = {
            **box.environment,
            "LEDGER_URL": f"sqlite:///{home}/ledger.db",
            "SNAPSHOT_URL": str(home / "snapshots"),
        }

    def run(
        self, job: str, form: Mapping[str, Any] | None = None, only: list[str] | None = None, **resources: Any
    ) -> dg.ExecuteInProcessResult:
        """One run with what its launchpad said; `only` names the assets that were selected."""
        defs = build_defs({**resources_for(SettingsResource.of(self.environment)), **resources})
        return defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            asset_selection=None if only is None else [asset_key(name) for name in only],
            run_config={**QUIET, "resources": {"push_config": {"config": dict(form or {})}}},
        )

    def held_hash(self, asset: str) -> str:
        """What the check `guards` says is to be approved."""
        log = self.instance.event_log_storage
        key = dg.AssetCheckKey(asset_key(asset), "guards")
        (record,) = log.get_asset_check_execution_history(key, limit=1)
        assert record.evaluation is not None
        return str(record.evaluation.metadata["overrule"].value).split()[2]

    def writes(self, since: int) -> int:
        return sum(call.method != "GET" for call in self.box.requests("safetyamp", since))

    def ledger(self) -> Ledger:
        return Ledger.open(self.environment["LEDGER_URL"])


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with small_world() as started:
        yield started


@pytest.fixture
def runs(box: Sandbox, tmp_path: Path) -> Iterator[Runs]:
    with instance_in_memory() as instance:
        yield Runs(box, tmp_path, instance)


def why(result: dg.ExecuteInProcessResult) -> str:
    """What the failed steps said."""
    assert not result.success
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return "\n".join(f"{error} {error.cause}" for error in errors)


def test_a_dry_run_sends_nothing_materialises_no_table_and_says_what_it_would_have_done(runs: Runs) -> None:
    since = len(runs.box.requests())

    result = runs.run("sync_all", {"dry_run": True})

    assert result.success
    assert runs.writes(since) == 0
    tables = [asset_key(f"safetyamp/{spec.table}") for spec in ENTITIES]
    assert [key for key in tables if runs.instance.get_latest_materialization_event(key) is not None] == []
    events = [event for event in result.all_events if event.is_asset_observation]
    told = [event.asset_observation_data.asset_observation for event in events]
    assert [one.asset_key for one in told] == tables
    assert told[0].metadata["would_create"].value > 0
    store = SnapshotStore(runs.environment["SNAPSHOT_URL"])
    assert [store.newest(f"plan/{spec.name}") for spec in ENTITIES] == [None] * len(ENTITIES)
    assert all(store.newest(f"trial/{spec.name}") for spec in ENTITIES)
    with runs.ledger() as ledger:
        assert ledger.sessions(10) == []


class Pausing(LogProgress):
    """Somebody pauses syncing as soon as the first change is made."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def of(self, entity: str, calls: Callable[[], int]) -> Callable[[int, int], None]:
        return lambda *_: self.ledger.pause("Kim", "an audit") and None


def test_a_pause_in_mid_push_is_no_failure_nor_health_and_alerts_nobody(runs: Runs) -> None:
    since = len(runs.box.requests())
    with runs.ledger() as ledger:
        progress = dg.ResourceDefinition.hardcoded_resource(Pausing(ledger))

        result = runs.run("sync_all", progress=progress)

        (session,) = ledger.sessions()
    rested = [
        event.asset_observation_data.asset_observation for event in result.all_events if event.is_asset_observation
    ]
    record = runs.instance.get_run_record_by_id(result.run_id)
    log = runs.instance.all_logs(result.run_id)
    watched = [entry for entry in log if entry.dagster_event_type is dg.DagsterEventType.RUN_SUCCESS]
    assert result.success
    assert runs.writes(since) >= 1
    assert (session.status, session.counts["not_attempted"] > 0) == ("paused", True)
    assert [one.asset_key for one in rested] == [asset_key(f"safetyamp/{spec.table}") for spec in ENTITIES]
    assert {one.metadata["stopped"].value for one in rested} == {record.dagster_run.tags["safetyamp/stopped"]}
    assert "paused by Kim: an audit" in record.dagster_run.tags["safetyamp/stopped"]
    assert runs.instance.get_latest_materialization_event(asset_key("safetyamp/site_clusters")) is None
    assert not is_whole_sync(record.dagster_run)
    assert list(Reader(runs.instance).signals(watched)) == []


def test_a_push_alone_takes_the_checks_of_its_plans_own_run_and_refuses_a_plan_of_no_known_run(runs: Runs) -> None:
    viewpoint = [f"viewpoint/{table}" for table in ("departments", "employees", "jobs", "recent_jobs")]
    planned = [*viewpoint, "safetyamp_observed/user_titles", "plan/titles"]
    assert runs.run("sync_titles", only=planned).success
    since = len(runs.box.requests())

    with instance_in_memory() as elsewhere:
        stranger = Runs(runs.box, runs.home, elsewhere).run("sync_titles", only=["safetyamp/user_titles"])

    assert "no run is known that made the plan for titles" in why(stranger)
    assert runs.writes(since) == 0
    assert runs.run("sync_titles", only=["safetyamp/user_titles"]).success
    assert runs.writes(since) > 0
    pushed = runs.instance.get_latest_materialization_event(asset_key("safetyamp/user_titles"))
    with runs.ledger() as ledger:
        assert pushed.asset_materialization.metadata["session"].value == str(ledger.sessions(1)[0].id)


def test_an_approval_in_the_form_lets_exactly_those_changes_through_and_is_used_up(runs: Runs, tmp_path: Path) -> None:
    assert runs.run("sync_titles").success
    rules = tmp_path / "sync.yaml"
    packaged = Path(runs.box.environment["SYNC_CONFIG"]).read_text() if "SYNC_CONFIG" in runs.box.environment else ""
    rules.write_text(packaged + STRICT, encoding="utf-8")
    runs.environment["SYNC_CONFIG"] = str(rules)
    for number, row in enumerate(still_employed(runs.box)[:2]):
        runs.box.sources.update("bPREH", {"Employee": row["Employee"]}, udEmpTitle=f"New title {number}")
    since = len(runs.box.requests())
    form = {"approve_reason": "a new trade", "approved_by": "Kim"}

    held = runs.run("sync_titles")
    reviewed = runs.held_hash("plan/titles")
    other = runs.run("sync_titles", {**form, "approve_plan": "0123456789"})
    nameless = runs.run("sync_titles", {"approve_plan": reviewed})
    before = runs.writes(since)
    approved = runs.run("sync_titles", {**form, "approve_plan": reviewed})
    written = runs.writes(since)
    late = runs.run("sync_titles", {**form, "approve_plan": reviewed})

    assert held.success, "a guard holds its changes, and nothing else"
    assert "no guard holds exactly these changes" in why(other)
    assert "approve_reason" in why(nameless)
    assert before == 0
    assert approved.success
    assert written == runs.writes(since) == 2
    assert "no guard holds exactly these changes" in why(late), "they were pushed"
    with runs.ledger() as ledger:
        given = stored(ledger, "change_approvals")
        assert {(one["guard"], one["who"], one["reason"]) for one in given} == {("creates", "Kim", "a new trade")}
        assert (len(given), ledger.approved("titles")) == (2, frozenset()), "they are used up"

    # and where two people must, the form of a run is one of them, whoever fills it in
    rules.write_text(rules.read_text().replace("guards: {", "guards: {second_person_above: 1, "), encoding="utf-8")
    for number, row in enumerate(still_employed(runs.box)[:2]):
        runs.box.sources.update("bPREH", {"Employee": row["Employee"]}, udEmpTitle=f"Another title {number}")
    runs.run("sync_titles")
    form["approve_plan"] = reviewed = runs.held_hash("plan/titles")
    for name in ("Kim", "Lee"):
        refused = why(runs.run("sync_titles", {**form, "approved_by": name}))
        assert "a second one must, logged in as themselves" in refused
        assert f"`safetyamp approve {reviewed[:12]} --reason …`" in refused
    assert written == runs.writes(since)
    with runs.ledger() as ledger:
        assert {one.who for one in ledger.standing_approvals()[1]} == {"Kim"}


def still_employed(box: Sandbox) -> list[dict[str, Any]]:
    return [row for row in box.world.viewpoint["bPREH"] if row["HireDate"] is not None and row["TermDate"] is None]


def test_a_run_is_found_by_the_session_of_the_ledger(runs: Runs) -> None:
    result = runs.run("sync_titles", {})

    with runs.ledger() as ledger:
        (session,) = ledger.sessions(1, entity="titles")
    (found,) = runs.instance.get_runs(dg.RunsFilter(tags={"safetyamp/sessions": f"titles {session.id}"}))
    assert found.run_id == result.run_id == session.run_id
    assert session.counts is not None
    assert found.tags["safetyamp/figures"] == figures_of({"titles": session.counts})
