"""The events of a run without a home: what its list answers is what Dagster's own database answers."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

from safetyamp_pipelines.resources.dagster_storage import instance_of_home

MADE, BROKEN, OTHER = KEYS = [dg.AssetKey(name) for name in ("made", "broken", "other")]
CHECKS = [dg.AssetCheckKey(MADE, name) for name in ("green", "red", "unknown")]
KINDS = (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.STEP_START, dg.DagsterEventType.ASSET_MATERIALIZATION)


@dg.asset(check_specs=[dg.AssetCheckSpec(key.name, asset=MADE) for key in CHECKS[:2]])
def made() -> Iterator[object]:
    yield dg.AssetObservation(MADE, metadata={"seen": 1})
    yield dg.MaterializeResult(metadata={"rows": 3})
    yield dg.AssetCheckResult(check_name="green", passed=True)
    yield dg.AssetCheckResult(check_name="red", passed=False, metadata={"why": "so"})


@dg.asset(deps=[made])
def broken() -> None:
    raise ValueError


@pytest.fixture
def instance(monkeypatch) -> Iterator[dg.DagsterInstance]:
    """What three runs left, of which each made an asset, had it checked, and failed at another."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with instance_of_home() as instance:
        for _ in range(3):
            assert not dg.materialize([made, broken], instance=instance, raise_on_error=False).success
        yield instance


def answers(instance: dg.DagsterInstance) -> dict[object, object]:
    """All that steps ask of what ran before and beside them."""
    log, run_ids = instance.event_log_storage, [run.run_id for run in instance.get_runs()]
    entries = [
        record.asset_entry for record in instance.get_asset_records(KEYS) if record.asset_entry.last_materialization
    ]
    found: dict[object, object] = {
        entry.asset_key: (entry.last_materialization_record, entry.last_run_id) for entry in entries
    }
    for limit in (1, 2, 5):
        found |= {("made", key, limit): instance.fetch_materializations(key, limit) for key in KEYS}
        found |= {("seen", key, limit): instance.fetch_observations(key, limit) for key in KEYS}
        for status in ({Status.SUCCEEDED}, {Status.FAILED}, {Status.SUCCEEDED, Status.FAILED}):
            for key in CHECKS:
                records = log.get_asset_check_execution_history(key, limit, status=status)
                shown = [(one.key, one.run_id, one.status, one.event, one.partition) for one in records]
                found[key, limit, *sorted(map(str, status))] = shown
    return found | {
        (run_id, kind): instance.get_records_for_run(run_id, of_type=kind) for run_id in run_ids for kind in KINDS
    }


def test_the_list_and_the_database_give_the_same_answers(instance):
    from_list = answers(instance)
    assert not instance.event_log_storage._has_database
    assert len(instance.fetch_materializations(MADE, limit=5).records) == 3
    events = instance.all_logs(instance.get_runs()[0].run_id)  # a question for the database
    assert instance.event_log_storage._has_database
    assert len(events) > 10
    assert answers(instance) == from_list


def test_pages_go_on_from_the_list_to_the_database(instance):
    first = instance.fetch_materializations(MADE, limit=2)
    rest = instance.fetch_materializations(MADE, limit=2, cursor=first.cursor)
    assert first.has_more
    assert not rest.has_more
    assert len({record.storage_id for record in (*first.records, *rest.records)}) == 3
    log, status = instance.event_log_storage, {Status.SUCCEEDED}
    newest = log.get_asset_check_execution_history(CHECKS[0], 2, status=status)
    oldest = log.get_asset_check_execution_history(CHECKS[0], 2, cursor=newest[-1].id, status=status)
    ran = [run.run_id for run in instance.get_runs()]
    assert [one.run_id for one in (*newest, *oldest)] == ran


def test_what_comes_after_the_database_was_asked_is_in_it(instance):
    before = instance.all_logs(instance.get_runs()[0].run_id)
    assert dg.materialize([made], instance=instance).success
    assert len(instance.fetch_materializations(MADE, limit=5).records) == 4
    assert instance.all_logs(instance.get_runs()[1].run_id) == before
