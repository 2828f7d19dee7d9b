"""The record of the call budget: what it holds is what was called, and a budget overrun shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import FakeTime

from safetyamp_pipelines.checks.push_judges import booked_calls, most_at_once
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.systems.http.budget import LONGEST_SETTLE, Budget, SqliteBucket, budget_key
from safetyamp_pipelines.systems.http.budget_postgres import PostgresBucket

PERIOD = 61.0


@pytest.mark.parametrize(
    ("moments", "most"),
    [
        ([], 0),
        ([5.0], 1),
        ([0.0, 60.0], 2),
        ([0.0, 61.0], 1),
        ([0.0, 61.0 - LONGEST_SETTLE], 1),  # the first was booked later than it was made
        ([0.0, 30.0, 60.0, 90.0], 3),
        ([90.0, 0.0, 60.0, 30.0], 3),
        ([1.0, 1.0, 1.0], 3),
    ],
)
def test_the_fullest_window_is_found(moments: list[float], most: int) -> None:
    assert most_at_once(moments, PERIOD) == most


@given(st.lists(st.floats(0, 1000)), st.floats(0.01, 100))
def test_it_is_what_counting_every_window_gives(moments: list[float], period: float) -> None:
    span = period - LONGEST_SETTLE
    counted = [sum(end - span < moment <= end for moment in moments) for end in moments]
    assert most_at_once(moments, period) == max(counted, default=0)


@pytest.mark.parametrize(("calls", "period"), [(3, 10.0), (60, 61.0)])
def test_a_budget_that_was_kept_shows_as_kept(calls: int, period: float, tmp_path: Path, time: FakeTime) -> None:
    bucket = SqliteBucket(tmp_path / "budget.db", "key", clock=time.clock)
    budget = Budget(calls, period, bucket, clock=time.clock)
    for number in range(5 * calls):
        with budget.call():
            time.at += 0.4 if number % 3 else 3.0

    assert 0 < most_at_once(bucket.booked(), period) <= calls


def test_two_budgets_for_one_key_show_as_overrun(tmp_path: Path, time: FakeTime) -> None:
    """Such as a process that believes in another limit."""
    bucket = SqliteBucket(tmp_path / "budget.db", "key", clock=time.clock)
    for calls in (3, 6):
        for _ in range(3):
            with Budget(calls, PERIOD, bucket, clock=time.clock).call():
                time.at += 1

    assert most_at_once(bucket.booked(), PERIOD) == 6


def test_another_token_has_a_record_of_its_own(tmp_path: Path, time: FakeTime) -> None:
    bucket = SqliteBucket(tmp_path / "budget.db", "key", clock=time.clock)
    bucket.claim(10, PERIOD)

    assert SqliteBucket(tmp_path / "budget.db", "other", clock=time.clock).booked() == []


def test_the_record_of_postgresql_is_read_in_order(postgres_url: str) -> None:
    bucket = PostgresBucket(postgres_url, "key")
    try:
        assert bucket.booked() == []
        for _ in range(3):
            bucket.claim(10, PERIOD)
        booked = bucket.booked()
        assert len(booked) == 3
        assert booked == sorted(booked)
    finally:
        bucket.close()


def test_the_settings_lead_to_the_record(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "SAFETYAMP_BASE_URL": "http://127.0.0.1:9",
            "SAFETYAMP_TOKEN": "t",
            "SAFETYAMP_FQDN": "x.safetyamp.com",
            "SAFETYAMP_DATA_DIR": str(tmp_path),
        },
        env_file=None,
    )
    bucket = SqliteBucket(settings.budget_path, budget_key("http://127.0.0.1:9", "t"))
    bucket.claim(10, PERIOD)
    bucket.close()

    assert len(booked_calls(settings)) == 1
