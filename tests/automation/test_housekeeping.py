"""Old runs of syncs and plans are forgotten; what says how things are, and reports, stay."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from safetyamp_pipelines.automation.housekeeping import forget_before, old_runs
from safetyamp_pipelines.definitions import build_defs

Status = dg.DagsterRunStatus
LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def instance(kept_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return kept_instance


def add_run(instance: dg.DagsterInstance, job: str, status: Status = Status.SUCCESS) -> str:
    run = dg.DagsterRun(job_name=job, status=status)
    instance.add_run(run)
    return run.run_id


def test_ended_syncs_and_plans_are_old_but_the_newest_of_each_job_and_reports_are_kept(instance):
    oldest, failed, newest = (
        add_run(instance, "sync_all", status) for status in (Status.SUCCESS, Status.FAILURE, Status.SUCCESS)
    )
    plan, _ = add_run(instance, "plan_all"), add_run(instance, "plan_all")
    add_run(instance, "report_daily")
    add_run(instance, "sync_titles", Status.STARTED)

    found = old_runs(instance, LATER)

    assert sorted(found) == sorted([oldest, failed, plan])
    assert newest not in found


def test_what_is_younger_than_asked_for_is_kept(instance):
    add_run(instance, "sync_all")
    add_run(instance, "sync_all")

    assert old_runs(instance, datetime.now(UTC) - timedelta(days=7)) == []


def test_what_is_forgotten_is_gone_with_its_events(instance):
    old, newest = add_run(instance, "sync_all"), add_run(instance, "sync_all")
    instance.report_engine_event("something happened", job_name="sync_all", run_id=old)

    assert forget_before(instance, LATER) == 1

    assert not instance.has_run(old)
    assert instance.all_logs(old) == []
    assert instance.has_run(newest)


def test_the_job_tells_how_many_it_forgot_and_refuses_to_forget_this_week(instance):
    def run(days: int) -> dg.ExecuteInProcessResult:
        config = {"ops": {"forget": {"config": {"keep_days": days}}}}
        job = build_defs().resolve_job_def("forget_old_runs")
        return job.execute_in_process(run_config=config, instance=instance, raise_on_error=False)

    kept = [add_run(instance, "sync_all") for _ in range(2)]

    result = run(90)

    (output,) = [event.step_output_data for event in result.all_events if event.is_successful_output]
    assert output.metadata["forgotten"].value == 0
    assert not run(1).success
    assert all(instance.has_run(run_id) for run_id in kept)
