"""The job `undo_session`: the launchpad's form does what `safetyamp undo` does, and its metadata says what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest
from commands import in_this_process

from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sandbox import Sandbox


@pytest.fixture
def box(synced_box: Sandbox) -> Sandbox:
    return synced_box


def launch(
    box: Sandbox, form: Mapping[str, Any], instance: dg.DagsterInstance | None = None
) -> dg.ExecuteInProcessResult:
    job = build_defs(resources_for(SettingsResource.of(box.environment))).resolve_job_def("undo_session")
    config = {"ops": {"undo": {"config": dict(form)}}, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(run_config=config, raise_on_error=False, instance=instance)


def told(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    assert result.success
    (output,) = [event.step_output_data for event in result.all_events if event.is_successful_output]
    return {key: value.value for key, value in output.metadata.items()}


def why(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    (data,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert data.user_failure_data is not None
    return str(data.user_failure_data.description)


def test_a_push_is_taken_back_from_the_launchpad(box: Sandbox) -> None:
    hired = str(box.sources.hire("Dee", "Fresh"))
    in_this_process(box, "sync", "employees")
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger, dg.DagsterInstance.ephemeral() as instance:
        session, run = ledger.sessions(1)[0].id, ledger.sessions(1)[0].run_id
        since = len(box.requests())

        dry = told(launch(box, {"session": session, "reason": "a look", "dry_run": True}))
        looked = [call for call in box.requests("safetyamp", since) if call.is_write]
        result = launch(box, {"session": session, "reason": "wrong file", "by": "Kim"}, instance)
        undone = told(result)

        assert (dry["writes"], looked, "nothing was written" in dry["summary"]) == (0, [], True)
        assert (undone["undoes"], undone["entity"], undone["writes"]) == (session, "employees", 1)
        assert "syncing is paused by Kim" in undone["summary"]
        newest, pause = ledger.sessions(1)[0], ledger.pause_state()
        assert (newest.undoes, newest.run_id) == (session, result.run_id)
        assert newest.run_id != run
        (tagged,) = instance.get_runs(dg.RunsFilter(tags={"safetyamp/sessions": f"employees {newest.id}"}))
        assert tagged.run_id == result.run_id
        assert pause is not None
        assert (pause.who, pause.reason) == ("Kim", f"undo of session {session}: wrong file")
    (user,) = [row for row in box.safetyamp.tables()["users"] if row["emp_id"] == hired]
    assert user["system_access"] == 0


def test_what_cannot_be_undone_is_told(box: Sandbox) -> None:
    assert "there is no session 999" in why(launch(box, {"session": 999, "reason": "x"}))
    assert "reason must not be empty" in why(launch(box, {"session": 1, "reason": " "}))
