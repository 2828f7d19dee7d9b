"""How often a sync begins: ticks on the same minutes of every day, counted from midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dagster._utils.schedules import cron_string_iterator

from safetyamp_pipelines.sync.rules.calendar import RHYTHMS, cron_of


def test_sixty_minutes_give_the_old_hourly_rhythm_and_fifteen_the_default() -> None:
    assert cron_of(60) == "0 * * * *"
    assert cron_of(15) == "*/15 * * * *"
    assert cron_of(1) == "* * * * *"
    assert cron_of(240) == "0 */4 * * *"
    assert cron_of(1440) == "0 0 * * *"


@pytest.mark.parametrize("minutes", RHYTHMS)
def test_every_rhythm_ticks_at_equal_distances_from_midnight_on(minutes: int) -> None:
    midnight = datetime(2026, 11, 20, tzinfo=UTC)

    ticks = cron_string_iterator(midnight.timestamp(), cron_of(minutes), "UTC")

    found = [next(ticks) for _ in range(2 * 1440 // minutes)]
    assert found == [midnight + timedelta(minutes=minutes * place) for place in range(len(found))]


@pytest.mark.parametrize("minutes", [0, -15, 7, 45, 90, 300, 2880])
def test_a_rhythm_that_would_drift_over_midnight_is_none(minutes: int) -> None:
    with pytest.raises(ValueError, match="divide"):
        cron_of(minutes)
