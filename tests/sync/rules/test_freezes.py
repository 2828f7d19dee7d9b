"""Freezes: once, each week or each day, by the clocks on the wall, also on the days on which those are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetyamp_pipelines.sync.rules.calendar import Freeze, freeze_at
from safetyamp_pipelines.sync.rules.yaml_file import SyncConfigError, parse_sync_config

CHICAGO = "America/Chicago"


def freeze(starts: str, ends: str, reason: str = "stock-taking") -> Freeze:
    return Freeze(starts=starts, ends=ends, reason=reason)


def at(text: str, timezone: str = CHICAGO) -> datetime:
    """A moment as the clocks on the wall show it, in UTC as Dagster gives it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def is_frozen(one: Freeze, text: str) -> bool:
    return freeze_at([one], at(text), CHICAGO) is not None


@pytest.mark.parametrize(
    ("starts", "ends", "inside", "outside"),
    [
        (
            "2026-12-24 18:00",
            "2026-12-28 05:00",
            ["2026-12-24 18:00", "2026-12-28 04:59"],
            ["2026-12-24 17:59", "2026-12-28 05:00"],
        ),
        (
            "2026-12-24",
            "2026-12-27",
            ["2026-12-24 00:00", "2026-12-26 23:59"],
            ["2026-12-23 23:59", "2026-12-27 00:00"],
        ),
        (
            "Fri 18:00",
            "Mon 05:00",
            ["2026-11-20 18:00", "2026-11-22 12:00", "2026-11-23 04:59"],
            ["2026-11-20 17:59", "2026-11-23 05:00"],
        ),
        (
            "tuesday 8:00",
            "Tue 9:30",
            ["2026-11-24 08:00", "2026-11-24 09:29"],
            ["2026-11-24 09:30", "2026-11-25 08:30"],
        ),
        ("22:00", "04:30", ["2026-11-20 22:00", "2026-11-21 04:29"], ["2026-11-20 21:59", "2026-11-21 04:30"]),
        ("01:30", "03:00", ["2026-11-20 01:30", "2026-11-20 02:59"], ["2026-11-20 01:29", "2026-11-20 03:00"]),
    ],
)
def test_a_freeze_holds_from_its_start_to_just_before_its_end(
    starts: str, ends: str, inside: list[str], outside: list[str]
) -> None:
    one = freeze(starts, ends)

    assert [text for text in inside if not is_frozen(one, text)] == []
    assert [text for text in outside if is_frozen(one, text)] == []


def test_a_nightly_freeze_follows_the_wall_clock_when_it_is_put_forward_and_back() -> None:
    night = freeze("01:30", "03:00")
    before_spring, before_autumn = datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 5, tzinfo=UTC)

    def frozen_minutes(start: datetime) -> int:
        moments = [start + timedelta(minutes=minute) for minute in range(360)]
        return sum(freeze_at([night], moment, CHICAGO) is not None for moment in moments)

    assert frozen_minutes(before_spring) == 30, "01:30 to 02:00, and then it is 03:00"
    assert frozen_minutes(before_autumn) == 120, "01:30 to 02:00, and then once more from 01:30 to 03:00"


def test_a_moment_may_carry_its_own_offset() -> None:
    one = freeze("2026-12-24T18:00+01:00", "2026-12-25 00:00")

    assert freeze_at([one], datetime(2026, 12, 24, 17, tzinfo=UTC), CHICAGO) is one
    assert freeze_at([one], datetime(2026, 12, 24, 16, 59, tzinfo=UTC), CHICAGO) is None


def test_the_first_freeze_that_holds_is_told() -> None:
    both = [freeze("01:00", "05:00", "backup"), freeze("00:00", "23:00", "stock-taking")]

    assert [found.reason for hour in (2, 6) if (found := freeze_at(both, at(f"2026-11-20 0{hour}:00"), CHICAGO))] == [
        "backup",
        "stock-taking",
    ]
    assert freeze_at(both, at("2026-11-20 23:30"), CHICAGO) is None


@given(st.integers(0, 10079), st.integers(0, 10079), st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
def test_a_week_is_frozen_either_by_a_span_or_by_its_complement(first: int, second: int, moment: datetime) -> None:
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    starts, ends = (f"{days[m // 1440]} {m % 1440 // 60:02}:{m % 60:02}" for m in (first, second))
    if first == second:
        return
    now = moment.replace(tzinfo=UTC)

    inside, outside = freeze_at([freeze(starts, ends)], now, CHICAGO), freeze_at([freeze(ends, starts)], now, CHICAGO)

    assert (inside is None) != (outside is None)


def test_sync_yaml_takes_dates_as_people_write_them() -> None:
    text = "schedule: {freezes: [{starts: 2026-12-24, ends: 2026-12-27 06:00:00, reason: holidays}]}"

    (one,) = parse_sync_config(text).schedule.freezes

    assert (one.starts, one.ends, one.reason) == ("2026-12-24", "2026-12-27 06:00:00", "holidays")


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("{starts: 18:00, ends: '19:00', reason: x}", "in quotes"),
        ("{starts: '25:00', ends: '19:00', reason: x}", "in quotes"),
        ("{starts: 'Someday 10:00', ends: '19:00', reason: x}", "in quotes"),
        ("{starts: soon, ends: later, reason: x}", "in quotes"),
        ("{starts: 'Fri 18:00', ends: '19:00', reason: x}", "write both in the same way"),
        ("{starts: '18:00', ends: '18:00', reason: x}", "same moment"),
        ("{starts: 2026-12-27, ends: 2026-12-24, reason: x}", "ends before it starts"),
        ("{starts: '18:00', ends: '19:00', reason: ' '}", "must not be empty"),
        ("{from: '18:00', ends: '19:00', reason: x}", "known are starts, ends, reason"),
    ],
)
def test_a_freeze_that_means_nothing_is_refused_with_its_place(written: str, word: str) -> None:
    with pytest.raises(SyncConfigError) as caught:
        parse_sync_config(f"schedule:\n  freezes:\n    - {written}\n")

    assert "schedule.freezes.0" in str(caught.value)
    assert word in str(caught.value)
