"""The instance configuration as Dagster itself reads it, on SQLite and on a real PostgreSQL."""

import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType

from safetyamp_pipelines.settings.loading import dagster_home

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def test_pools_hold_steps_and_the_slots_of_a_dead_run_come_back(home):
    with dg.DagsterInstance.get() as instance:
        pools = instance.get_concurrency_config().pool_config
        assert str(pools.pool_granularity.value) == "op"
        assert pools.default_pool_limit == 1
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] == 60
        tags = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits
        assert tags == [{"key": "safetyamp/sync", "limit": 1}]


def test_a_push_is_never_repeated_by_dagster(home):
    with dg.DagsterInstance.get() as instance:
        assert instance.run_retries_max_retries == 0
        assert instance.run_retries_retry_on_asset_or_op_failure is False


def test_the_daemon_looks_at_the_age_of_what_has_a_freshness_policy(home):
    with dg.DagsterInstance.get() as instance:
        assert instance.freshness_enabled


def test_runs_are_kept_in_sqlite_below_dagster_home(home):
    with dg.DagsterInstance.get() as instance:
        assert one_run(instance).success
    with dg.DagsterInstance.get() as instance:
        assert len(instance.get_runs()) == 1
    assert list(home.rglob("runs.db"))


def test_runs_are_kept_in_postgresql_when_the_environment_says_so(home, monkeypatch, postgres_url):
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_url)
    with dg.DagsterInstance.get() as instance:
        assert one_run(instance).success
    with dg.DagsterInstance.get() as instance:
        assert len(instance.get_runs()) == 1
        assert instance.get_latest_materialization_event(dg.AssetKey("probe")) is not None
    assert not list(home.rglob("runs.db"))


def one_run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    @dg.asset(pool="safetyamp_api")
    def probe() -> None:
        """Something to materialise."""

    return dg.materialize([probe], instance=instance)


def test_without_a_home_every_process_finds_the_same_folder(tmp_path):
    assert dagster_home({"DAGSTER_HOME": "/srv/dagster"}) == Path("/srv/dagster")
    assert dagster_home({"SAFETYAMP_DATA_DIR": str(tmp_path)}) == tmp_path / "dagster"
    assert dagster_home({}) == Path.cwd() / ".safetyamp" / "dagster"


def test_the_definitions_are_valid_with_no_variable_set(tmp_path):
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    shutil.copy(ROOT / "workspace.yaml", tmp_path)
    command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-w", "workspace.yaml"]
    answer = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_a_run_that_died_is_noticed_and_ticks_are_not_kept_for_ever(home):
    with dg.DagsterInstance.get() as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_settings["max_runtime_seconds"] == 5400
        looked_at = instance.run_monitoring_poll_interval_seconds
        assert instance.run_monitoring_start_timeout_seconds + looked_at <= 120, "one that never began"
        kept = {
            kind: {
                str(status.value).lower(): days for status, days in instance.get_tick_retention_settings(kind).items()
            }
            for kind in (InstigatorType.SCHEDULE, InstigatorType.SENSOR)
        }
        assert set(kept[InstigatorType.SCHEDULE].values()) == {90}
        assert kept[InstigatorType.SENSOR] == {"skipped": 2, "failure": 30, "success": 30, "started": -1}
