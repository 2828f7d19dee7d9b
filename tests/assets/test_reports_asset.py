"""The daily report as an asset: single-run backfills with each day's own figures, made without asking anybody."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from commands import in_this_process, small_world

from safetyamp_pipelines.assets.reports import DAILY_CHANGES, EACH_DAY, daily_changes
from safetyamp_pipelines.automation.starting.schedules import report_schedule
from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.operations.reports.daily import day_of
from safetyamp_pipelines.resources.run_memory import instance_in_memory
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sandbox import Sandbox
from safetyamp_pipelines.settings.loading import load_settings, timing_settings
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore, snapshot_store

pytestmark = pytest.mark.xdist_group("reports")

KEY = dg.AssetKey(DAILY_CHANGES.split("/"))


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A world of which titles were synced today."""
    with small_world() as started:
        assert in_this_process(started, "sync", "titles").exit_code == 0
        yield started


def day(days_ago: int) -> str:
    today = day_of(datetime.now(UTC), EACH_DAY.timezone)
    return (today - timedelta(days=days_ago)).isoformat()


def backfilled(box: Sandbox, first: str, last: str) -> dict[str, dict[str, Any]]:
    """The metadata of each day that one run over this range made."""
    job = build_defs(resources_for(SettingsResource.of(box.environment))).resolve_job_def("report_daily")
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    days = {"partition_key": first} if first == last else {"tags": tags}  # the schedule's way, and a backfill's
    with instance_in_memory() as instance:
        run = job.execute_in_process(instance=instance, **days)
    made = [event.materialization for event in run.all_events if event.is_step_materialization]
    assert {one.asset_key for one in made} == {KEY}
    return {str(one.partition): {name: value.value for name, value in one.metadata.items()} for one in made}


def store_of(box: Sandbox) -> SnapshotStore:
    return snapshot_store(load_settings(box.environment, env_file=None))


def stored(box: Sandbox, day: str) -> list[dict[str, str]]:
    ref = store_of(box).newest(f"{DAILY_CHANGES}/{day}")
    assert ref is not None
    return list(csv.DictReader(io.StringIO(store_of(box).read(ref).decode(), newline="")))


def test_one_run_reports_every_day_of_a_range_and_asks_no_outside_system(box: Sandbox) -> None:
    # given a world synced today
    asked = len(box.requests())
    titles = len(box.safetyamp.tables()["user_titles"])

    # when three days are backfilled, twice
    first = backfilled(box, day(2), day(0))
    again = backfilled(box, day(2), day(0))

    # then each day has figures of its own, and nobody was asked anything
    assert list(first) == [day(2), day(1), day(0)]
    assert [found["changes"] for found in first.values()] == [0, 0, first[day(0)]["done"]]
    assert 0 < first[day(0)]["done"] <= titles
    assert first[day(0)]["calls"] == len(box.requests("safetyamp"))
    assert first[day(0)]["calls_reading"] == first[day(0)]["calls"] - first[day(0)]["done"]
    assert again[day(0)]["changes"] == first[day(0)]["changes"]
    assert len(box.requests()) == asked

    # and the rows are kept for each day apart
    assert stored(box, day(1)) == []
    assert [row["status"] for row in stored(box, day(0))] == ["done"] * first[day(0)]["changes"]


def test_a_report_shows_numbers_to_plot_tables_and_a_picture(box: Sandbox) -> None:
    (found,) = backfilled(box, day(0), day(0)).values()

    assert found["chart"].startswith("![Changes a day")
    assert len(found["chart"]) < 1000
    assert found["dagster/row_count"] == found["changes"]
    assert found["not_done"] == 0
    assert [record.data["entity"] for record in found["by_entity"].records] == ["titles"]
    assert found["top_causes"].records == []
    assert found["waits"].startswith(("half within ", "not known"))
    assert found["path"].startswith(f"{DAILY_CHANGES}/{day(0)}/")


def test_a_sync_that_never_ran_has_empty_reports() -> None:
    with small_world() as empty:
        (found,) = backfilled(empty, day(1), day(1)).values()

    assert (found["changes"], found["pushes"], found["calls"]) == (0, 0, 0)
    assert "wait_minutes_p50" not in found


def test_nothing_is_asked_for_through_which_safetyamp_could_be_reached() -> None:
    assert daily_changes.required_resource_keys == {"sync_settings", "ledger", "io_manager"}


def test_today_can_be_reported_and_tomorrow_not() -> None:
    assert EACH_DAY.get_last_partition_key() == day(0)


@pytest.mark.parametrize(
    ("ticked_at", "timezone", "reported"),
    [
        ("2026-11-21T06:20:00+00:00", "America/Chicago", "2026-11-20"),
        ("2026-11-21T06:20:00+00:00", "Pacific/Honolulu", "2026-11-19"),  # there it is still the 20th
        ("2026-11-21T06:20:00+00:00", "Europe/Berlin", "2026-11-20"),
    ],
)
def test_the_schedule_reports_the_companys_last_whole_day(ticked_at, timezone, reported, tmp_path) -> None:
    rules = tmp_path / "sync.yaml"
    rules.write_text(f"employees:\n  timezone: {timezone}\n", encoding="utf-8")
    settings = SettingsResource.of({"SYNC_CONFIG": str(rules)})
    moment = datetime.fromisoformat(ticked_at)

    schedule = report_schedule(timing_settings({}, env_file=None))
    with dg.build_schedule_context(scheduled_execution_time=moment, resources={"sync_settings": settings}) as context:
        asked = schedule(context)

    assert (asked.partition_key, asked.run_key) == (reported, reported)
