"""How old a table may get: it follows the rhythm of the schedule, and never less than a first sync takes."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetyamp_pipelines.assets.freshness import policy_for, with_freshness
from safetyamp_pipelines.definitions import ASSETS
from safetyamp_pipelines.settings.loading import timing_settings


def windows(minutes: int) -> tuple[timedelta, timedelta]:
    policy = policy_for(minutes)
    return policy.warn_window.to_timedelta(), policy.fail_window.to_timedelta()


@pytest.mark.parametrize(
    ("minutes", "warn", "fail"), [(5, 1, 2), (15, 1, 2), (30, 1, 2), (60, 2, 4), (720, 24, 48), (1440, 48, 96)]
)
def test_a_table_is_late_after_some_intervals_of_the_schedule(minutes: int, warn: int, fail: int) -> None:
    assert windows(minutes) == (timedelta(hours=warn), timedelta(hours=fail))


@given(st.integers(1, 1440))
def test_nobody_is_told_of_a_single_skipped_tick_and_a_warning_comes_first(minutes: int) -> None:
    warn, fail = windows(minutes)
    assert timedelta(minutes=minutes) < warn < fail


def test_what_is_neither_read_nor_written_has_no_age() -> None:
    @dg.asset(group_name="entra")
    def read() -> None: ...

    @dg.asset(group_name="plan")
    def planned() -> None: ...

    timing = timing_settings({"SYNC_INTERVAL_MINUTES": "60"}, env_file=None)
    policies = [one.get_asset_spec().freshness_policy for one in with_freshness([read, planned], timing)]

    assert policies == [policy_for(60), None]


def test_what_takes_no_part_in_the_whole_sync_is_not_late_by_its_rhythm(tmp_path: Path) -> None:
    (tmp_path / "sync.yaml").write_text("vehicles: {in_sync_all: false}\n")
    timing = timing_settings({"SYNC_CONFIG": str(tmp_path / "sync.yaml")}, env_file=None)

    policies = {
        spec.key.to_user_string(): spec.freshness_policy
        for one in with_freshness(ASSETS, timing)
        for spec in one.specs
        if spec.key.path[0] in ("safetyamp", "samsara")
    }

    assert {name for name, policy in policies.items() if policy is None} == {"safetyamp/assets"}
