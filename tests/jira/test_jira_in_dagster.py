"""Dagster shows Jira where an instance is configured: assets by partition, checks, jobs and schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from jira_world import Jiras

from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.jira.assets import jira_definitions, keep_partitions
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.settings.loading import timing_settings

ASSETS = {"jira/fields", "jira/issues", "jira/history", "jira/presence", "reports/jira_daily"}
CHECKS = {
    *(("jira/issues", name) for name in ("mapping", "untyped", "empty_columns", "fresh")),
    *(("jira/presence", name) for name in ("count", "shrink")),
}
SCHEDULES = {
    "jira_sync_schedule": "*/5 * * * *",
    "jira_nightly_schedule": "10 2 * * *",
    "jira_report_schedule": "25 0 * * *",
}
QUIET: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
KEYS = [f"{instance}|{project}" for instance in ("cloud", "data_center") for project in ("OPS", "TO")]


def environ_of(jiras: Jiras) -> dict[str, str]:
    return {**jiras.box.environment, "JIRA_DATABASE_URL": jiras.settings.jira_database_url.get_secret_value()}


@pytest.fixture
def defs(jiras: Jiras) -> dg.Definitions:
    environ = environ_of(jiras)
    own = jira_definitions(timing_settings(environ, env_file=None))
    return dg.Definitions.merge(own, dg.Definitions(resources=resources_for(SettingsResource.of(environ))))


@pytest.fixture
def instance(kept_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return kept_instance


def run(defs: dg.Definitions, instance: dg.DagsterInstance, job: str, **how: Any) -> dg.ExecuteInProcessResult:
    resolved = defs.resolve_job_def(job)
    return resolved.execute_in_process(
        instance=instance, raise_on_error=False, run_config=how.pop("config", None), **how
    )


def materialised(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None]]:
    return {
        (event.asset_key.to_user_string(), event.partition)
        for event in result.all_events
        if event.is_step_materialization and event.asset_key is not None
    }


def tick(defs: dg.Definitions, instance: dg.DagsterInstance, jiras: Jiras, name: str) -> dg.RunRequest | str | None:
    repository = defs.get_repository_def()
    resources = {"sync_settings": SettingsResource.of(environ_of(jiras))}
    with dg.build_schedule_context(
        instance=instance, repository_def=repository, resources=resources, scheduled_execution_time=datetime.now(UTC)
    ) as context:
        found = repository.get_schedule_def(name).evaluate_tick(context)
    return found.run_requests[0] if found.run_requests else found.skip_message


def test_nothing_of_jira_is_shown_where_none_is_configured_and_all_of_it_where_one_is(defs: dg.Definitions) -> None:
    names = {key.to_user_string() for key in build_defs().resolve_asset_graph().get_all_asset_keys()}
    assert not names & ASSETS
    graph = defs.resolve_asset_graph()
    found = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    assert set(found) == ASSETS
    assert all("Red?" in (found[name].description or "") and found[name].owners for name in ASSETS)
    checks = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    assert {one for one in checks if one[0].startswith("jira")} == CHECKS
    repository = defs.get_repository_def()
    assert {one.name: one.cron_schedule for one in repository.schedule_defs} == SCHEDULES
    assert {one.default_status for one in repository.schedule_defs} == {dg.DefaultScheduleStatus.STOPPED}


def test_a_tick_reads_every_partition_in_one_run_and_one_that_fails_fails_alone(
    jiras: Jiras, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    asked = tick(defs, instance, jiras, "jira_sync_schedule")
    assert isinstance(asked, dg.RunRequest)
    assert instance.get_dynamic_partitions("jira_partitions") == KEYS
    jiras.cloud.hide_project("TO")

    result = run(defs, instance, "jira_sync", tags=dict(asked.tags))

    good = [key for key in KEYS if key != "cloud|TO"]
    assert not result.success
    assert materialised(result) == {(name, key) for name in ("jira/issues", "jira/history") for key in good}
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert "cloud|TO" in failure.user_failure_data.description  # type: ignore[union-attr]
    checks = [event for event in result.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"]
    assert {event.event_specific_data.check_name for event in checks} == {
        "mapping",
        "untyped",
        "empty_columns",
        "fresh",
    }

    jiras.cloud.show_project("TO")
    assert run(defs, instance, "jira_sync", tags=dict(asked.tags)).success
    assert len(jiras.rows()) == 48


def test_a_partition_alone_a_window_and_a_backfill(
    jiras: Jiras, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    keep_partitions(instance, KEYS)
    jiras.read()
    config = {"ops": {"jira_issues": {"config": {"since": "2020-01-01", "until": "2030-01-01"}}}}
    result = run(defs, instance, "jira_sync", partition_key="cloud|OPS", config=config)
    assert materialised(result) == {("jira/issues", "cloud|OPS"), ("jira/history", "cloud|OPS")}
    (made,) = [e for e in result.all_events if e.is_step_materialization and e.asset_key.path[-1] == "issues"]  # type: ignore[union-attr]
    assert made.materialization.metadata["read"].value == 12
    config["ops"]["jira_issues"]["config"]["until"] = "soon"
    assert not run(defs, instance, "jira_sync", partition_key="cloud|OPS", config=config).success
    result = run(defs, instance, "jira_sync", partition_key="cloud|OPS", tags={"dagster/backfill": "one"})
    (made,) = [e for e in result.all_events if e.is_step_materialization and e.asset_key.path[-1] == "issues"]  # type: ignore[union-attr]
    assert made.materialization.metadata["whole"].value is True
    assert "dagster/column_lineage" in made.materialization.metadata


def test_the_night_reads_catalogue_and_presence_and_the_report_counts_the_day(
    jiras: Jiras, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=5)  # the issues were read before
    asked = tick(defs, instance, jiras, "jira_nightly_schedule")
    assert isinstance(asked, dg.RunRequest)
    result = run(defs, instance, "jira_nightly", tags=dict(asked.tags))
    assert result.success
    assert materialised(result) == {("jira/fields", None), *(("jira/presence", key) for key in KEYS)}

    days = {moment.astimezone(ZoneInfo("America/Chicago")).date().isoformat() for moment in (begun, datetime.now(UTC))}
    found = 0
    for day in days:
        made = run(defs, instance, "jira_report", partition_key=day)
        (event,) = [event for event in made.all_events if event.is_step_materialization]
        found += event.materialization.metadata["created"].value  # type: ignore[operator]
    assert found >= 48


def test_a_tick_is_skipped_while_reading_is_paused_or_goes_on(
    jiras: Jiras, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    with jiras.session() as session:
        session.book.pause("Ada", "maintenance")
    assert "maintenance" in str(tick(defs, instance, jiras, "jira_sync_schedule"))
    with jiras.session() as session:
        session.book.resume("Ada")
        session.book.start_run("issues", "cloud", "OPS", run_id="x", cause="shell")
    assert "a read is running" in str(tick(defs, instance, jiras, "jira_sync_schedule"))
