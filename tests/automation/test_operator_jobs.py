"""What operators decide in the Dagster UI does what the shell does, and says in its metadata what was done."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from ledger_entries import change_of, refuse

from safetyamp_pipelines.automation.operator_jobs import OPERATOR_JOBS
from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sync.model.plan import Held, Plan, Refused
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore


class Operator:
    """Someone who fills in launchpads; a ledger and a snapshot store of one test's own."""

    def __init__(self, home: Path, ledger: Ledger, **environ: str) -> None:
        self.ledger, self.store = ledger, SnapshotStore(str(home / "snapshots"))
        environ |= {"LEDGER_URL": f"sqlite:///{home}/ledger.db", "SNAPSHOT_URL": str(home / "snapshots")}
        self._defs = build_defs(resources_for(SettingsResource.of(environ)))

    def launch(self, name: str, form: Mapping[str, Any] | None = None) -> dg.ExecuteInProcessResult:
        job = self._defs.resolve_job_def(name)
        (step,) = (node.name for node in job.nodes)
        config = {} if form is None else {"ops": {step: {"config": dict(form)}}}
        return job.execute_in_process(run_config=config, raise_on_error=False)

    def told(self, name: str, form: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The metadata of a launch that went well."""
        result = self.launch(name, form)
        assert result.success
        (output,) = [event.step_output_data for event in result.all_events if event.is_successful_output]
        return {key: value.value for key, value in output.metadata.items()}

    def refused(self, name: str, form: Mapping[str, Any]) -> str:
        """What a launch said that was refused."""
        result = self.launch(name, form)
        assert not result.success
        (data,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
        assert data.user_failure_data is not None
        return str(data.user_failure_data.description)

    def fail(self, entity: str, *keys: str) -> None:
        """SafetyAmp has refused these records."""
        refuse(self.ledger, entity, *keys)

    def states(self) -> dict[str, str]:
        return {failure.source_key: failure.state for _, failure in self.ledger.all_failures()}


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        yield Operator(tmp_path, ledger)


def test_each_form_opens_with_every_field() -> None:
    for job in OPERATOR_JOBS:
        (step,) = job.nodes
        assert job.run_config is not None
        asked = set(job.run_config["ops"][step.name]["config"])
        assert asked == set(step.definition.config_schema.config_type.fields), job.name


def test_syncing_is_paused_and_resumed_with_who_and_why(operator: Operator) -> None:
    told = operator.told("pause_syncing", {"reason": "stock-taking", "by": "Kim"})
    pause = operator.ledger.pause_state()
    again = operator.told("pause_syncing", {"reason": "another", "by": "Lee"})
    ended = operator.told("resume_syncing")

    assert (told["paused_by"], told["reason"], told["was_paused_before"]) == ("Kim", "stock-taking", False)
    assert pause is not None
    assert (pause.who, pause.reason) == ("Kim", "stock-taking")
    assert (again["paused_by"], again["was_paused_before"]) == ("Kim", True)
    assert ended["ended"] == "the pause of Kim: stock-taking"
    assert operator.ledger.pause_state() is None
    assert operator.told("resume_syncing")["ended"] == "there was no pause"


def test_a_pause_without_a_reason_is_refused(operator: Operator) -> None:
    assert "reason" in operator.refused("pause_syncing", {"reason": " "})
    assert operator.ledger.pause_state() is None


def test_one_failure_those_of_an_entity_or_all_are_tried_again(operator: Operator) -> None:
    operator.fail("titles", "welder", "rigger")
    operator.fail("jobs", "24113.")

    one = operator.told("retry_failures", {"entity": "titles", "key": "welder"})
    after_one = operator.states()
    every = operator.told("retry_failures")

    assert (one["marked"], one["records"]) == (1, "titles welder")
    assert after_one == {"welder": "retry", "rigger": "open", "24113.": "open"}
    assert every["marked"] == 3
    assert set(operator.states().values()) == {"retry"}


def test_a_retry_of_what_is_not_there_is_refused_with_what_there_is(operator: Operator) -> None:
    assert "trucks" in operator.refused("retry_failures", {"entity": "trucks"})
    assert "welder" in operator.refused("retry_failures", {"entity": "titles", "key": "welder"})
    assert "entity" in operator.refused("retry_failures", {"key": "welder"})


def refused_plan(operator: Operator) -> Plan:
    guard = Refused("deactivations", "40 of 90 records, at most 10 are allowed", ("100482",), "guards.deactivations")
    plan = Plan("employees", "users", "2026-11-20T12:00:00Z", {}, "rules", refused=(guard,))
    operator.store.publish("plan/employees", "a run", plan.to_bytes(), plan.manifest(), kind="Plan")
    return plan


def test_a_refused_plan_is_approved_by_name_and_reason_for_a_time(operator: Operator) -> None:
    plan = refused_plan(operator)

    form = {"plan": plan.hash[:12], "reason": "the yard closed", "by": "Kim", "hours": 2}
    told = operator.told("approve_plan", form)

    ((given,), _) = operator.ledger.standing_approvals()
    assert (given.plan_hash, given.who, given.reason) == (plan.hash, "Kim", "the yard closed")
    assert given.expires_at - given.at == timedelta(hours=2)
    assert (told["approved_by"], told["entity"], told["plan_hash"]) == ("Kim", "employees", plan.hash)
    assert "40 of 90 records" in told["refused_by"]


def test_an_approval_of_nothing_or_by_nobody_is_refused(operator: Operator) -> None:
    plan = refused_plan(operator)

    assert "no newest plan" in operator.refused("approve_plan", {"plan": "0123456789", "reason": "x", "by": "Kim"})
    assert "by" in operator.refused("approve_plan", {"plan": plan.hash[:12], "reason": "x", "by": ""})
    assert operator.ledger.standing_approvals() == ([], [])


def held_plan(operator: Operator, by_two: tuple[str, ...] = ()) -> Plan:
    """Two leavers whom a guard holds, until two people approve some of them."""
    changes = [change_of(key, {"system_access": 0}, {"system_access": 1}, action="deactivate") for key in ("7", "8")]
    held = tuple(Held(change, "deactivations", "2 of 9", "guards.deactivations") for change in changes)
    guard = Refused("deactivations", "2 of 9", ("7", "8"), "guards.deactivations")
    at = "2026-11-20T12:00:00Z"
    plan = Plan("employees", "users", at, {}, "rules", refused=(guard,), held=held, by_two=by_two)
    operator.store.publish("plan/employees", "a run", plan.to_bytes(), plan.manifest(), kind="Plan")
    return plan


def test_a_second_approval_by_the_same_ui_names_the_ways_of_a_second_person(operator: Operator) -> None:
    plan = held_plan(operator, by_two=("7", "8"))
    reviewed = plan.held_hash("deactivations")
    form = {"plan": reviewed[:12], "reason": "they left"}

    first = operator.told("approve_plan", {**form, "by": "Kim"})
    again = operator.refused("approve_plan", {**form, "by": "Lee"})
    changes = [(one.change.source_key, one.change.hash) for one in plan.held]
    operator.ledger.approve_changes(
        "employees", changes, guard="deactivations", who="Lee", login="lee", reason="so it is", lasts=timedelta(hours=1)
    )
    last = operator.told("approve_plan", {**form, "by": "Kim"})

    assert "a second one must" in first["second_person"]
    assert f"`safetyamp approve {reviewed[:12]} --reason …`" in again
    assert "on the desk" in again
    assert "second_person" not in last


def test_held_changes_are_refused_and_a_decision_is_taken_back(operator: Operator) -> None:
    plan = held_plan(operator)
    form = {"changes": plan.held_hash("deactivations")[:12], "reason": "they stay", "by": "Kim"}

    told = operator.told("refuse_changes", {**form, "keys": ["7"]})
    past = operator.refused("refuse_changes", {**form, "until": "2020-01-01"})
    (standing,) = operator.ledger.decided("employees").values()
    about = {"entity": "employees", "key": "7", "reason": "she left", "by": "Kim"}
    operator.told("decide_record", {**about, "choice": "undo"})

    assert (told["choice"], told["keys"]) == ("refuse", "7")
    assert "has passed" in past
    assert (standing.source_key, standing.about, standing.who) == ("7", plan.held[0].change.hash, "Kim")
    assert standing.login == "the Dagster UI"
    assert operator.ledger.decided("employees") == {}
    assert "nothing was decided" in operator.refused("decide_record", {**about, "choice": "undo"})
    assert "trucks" in operator.refused("link_record", {**about, "entity": "trucks", "safetyamp_id": "aB3dE"})
