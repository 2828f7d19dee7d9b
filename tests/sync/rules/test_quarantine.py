"""Quarantine: failures in a row slow the rhythm step by step, and one good sync restores it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetyamp_pipelines.sync.rules.calendar import WAITS, Ended, quarantine_after

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def ended(*healthy: bool) -> list[Ended]:
    """Syncs, newest first, the newest of which ended at noon and the others an hour apart."""
    return [Ended(good, NOON - timedelta(hours=place)) for place, good in enumerate(healthy)]


@pytest.mark.parametrize(
    ("failures", "hours"), [(0, None), (1, None), (2, None), (3, 1), (4, 6), (5, 24), (6, 24), (50, 24)]
)
def test_the_third_failure_in_a_row_waits_an_hour_the_next_six_then_a_day(failures: int, hours: int | None) -> None:
    found = quarantine_after(ended(*[False] * failures, True), 3)

    assert (None if found is None else found.wait) == (None if hours is None else timedelta(hours=hours))
    assert found is None or (found.failures, found.until) == (failures, NOON + found.wait)


def test_one_good_sync_ends_it_whatever_was_before() -> None:
    assert quarantine_after(ended(True, *[False] * 20), 3) is None


def test_without_any_sync_nothing_waits() -> None:
    assert quarantine_after([], 1) is None


def test_an_hourly_rhythm_stays_hourly_in_the_first_step_although_a_run_ends_after_its_tick() -> None:
    found = quarantine_after([Ended(False, NOON + timedelta(minutes=3))] * 3, 3)

    assert found is not None
    assert not found.holds(NOON + timedelta(hours=1), timedelta(hours=1))
    assert found.holds(NOON + 3 * QUARTER, QUARTER)
    assert not found.holds(NOON + 4 * QUARTER, QUARTER)


histories = st.lists(st.booleans(), max_size=40).map(lambda healthy: ended(*healthy))


@given(histories, st.integers(1, 6), st.integers(1, 1440))
def test_it_lets_a_tick_through_in_the_end_and_never_waits_longer_than_a_day(
    history: list[Ended], allowed: int, minutes: int
) -> None:
    found, interval = quarantine_after(history, allowed), timedelta(minutes=minutes)

    assert found is None or not found.holds(NOON + WAITS[-1], interval)
    assert found is None or found.failures >= allowed


@given(histories, st.integers(1, 6))
def test_a_further_failure_never_shortens_the_wait_and_a_good_sync_always_ends_it(
    history: list[Ended], allowed: int
) -> None:
    now = quarantine_after(history, allowed)
    worse = quarantine_after([Ended(False, NOON), *history], allowed)

    assert quarantine_after([Ended(True, NOON), *history], allowed) is None
    assert now is None or (worse is not None and worse.wait >= now.wait)
