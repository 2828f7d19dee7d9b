"""The event log is read page by page, whole, in order and once, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from safetyamp_pipelines.automation.alerting.events import SETTLED_SECONDS, newest, page_after

LATER = 60.0
"""Seconds after which everything written by a test has settled."""


@pytest.fixture(params=["sqlite", "postgresql"])
def instance(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    shutil.copy(Path(__file__).parents[3] / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    if request.param == "postgresql":
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", request.getfixturevalue("postgres_url"))
    with dg.DagsterInstance.get() as opened:
        yield opened


def checked(instance: dg.DagsterInstance, name: str) -> None:
    instance.report_runless_asset_event(dg.AssetCheckEvaluation(dg.AssetKey("plan"), name, passed=True))


def made(instance: dg.DagsterInstance, name: str) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey(name)))


def test_pages_follow_each_other_without_a_gap_whatever_type_fills_one(instance: dg.DagsterInstance):
    # given an old event, and seven checks between three materialisations
    made(instance, "before")
    after, told, looks = newest(instance), [], 0
    for number in range(7):
        checked(instance, f"check{number}")
        if number % 3 == 0:
            made(instance, f"asset{number}")

    # when pages hold two of a type
    while after < newest(instance):
        page = page_after(instance, after, time.time() + LATER, most=2)
        told += [named(entry) for entry in page.events]
        assert page.after > after
        after, looks = page.after, looks + 1

    # then each is told once, in the order in which they came
    assert told == ["check0", "asset0", "check1", "check2", "check3", "asset3", "check4", "check5", "check6", "asset6"]
    assert after == newest(instance)
    assert looks > 3


def named(entry: dg.EventLogEntry) -> str:
    event = entry.get_dagster_event()
    if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return event.asset_check_evaluation_data.check_name
    return event.step_materialization_data.materialization.asset_key.to_user_string()


def test_what_is_young_waits_and_is_not_passed_over(instance: dg.DagsterInstance):
    after = newest(instance)
    checked(instance, "young")

    early = page_after(instance, after, time.time())
    late = page_after(instance, early.after, time.time() + SETTLED_SECONDS + 1)

    assert (early.after, early.events) == (after, ())
    assert [named(entry) for entry in late.events] == ["young"]


def test_a_failed_run_is_one_event_and_its_steps_are_in_its_own_log(instance: dg.DagsterInstance):
    @dg.asset
    def broken() -> None:
        raise RuntimeError("no")

    after = newest(instance)
    run = dg.materialize([broken], instance=instance, raise_on_error=False)

    page = page_after(instance, after, time.time() + LATER)
    steps = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)

    assert [entry.dagster_event_type for entry in page.events] == [dg.DagsterEventType.RUN_FAILURE]
    assert [step.step_key for step in steps] == ["broken"]


def test_when_the_newest_runs_were_deleted_the_next_events_are_still_found(instance: dg.DagsterInstance):
    # given a look up to the end of a run, which is then deleted
    made(instance, "kept")

    @dg.asset
    def probe() -> None:
        """Something to materialise."""

    run = dg.materialize([probe], instance=instance)
    after = page_after(instance, 0, time.time() + LATER).after
    instance.delete_run(run.run_id)

    # when the sensor looks, and something new happens
    after = page_after(instance, after, time.time() + LATER).after
    checked(instance, "new")

    assert [named(entry) for entry in page_after(instance, after, time.time() + LATER).events] == ["new"]
