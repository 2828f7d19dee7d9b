"""The size of a snapshot: what is usual, what is odd, and that one sick read does not make the next one usual."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetyamp_pipelines.checks.judged import Level
from safetyamp_pipelines.checks.snapshot_checks import judge_rows
from safetyamp_pipelines.sync.rules.limits import RowCountLimits

LIMITS = RowCountLimits(history=10, records=10, fall=0.1, rise=0.5)
SIZES = st.lists(st.integers(0, 3000), max_size=10)


@pytest.mark.parametrize(
    ("rows", "before", "level"),
    [
        (1600, [], Level.FINE),
        (0, [], Level.FINE),
        (0, [0, 0], Level.FINE),
        (1600, [1600, 1598], Level.FINE),
        (1440, [1600], Level.FINE),
        (1439, [1600], Level.WARNING),
        (2400, [1600], Level.FINE),
        (2401, [1600], Level.WARNING),
        (0, [1600], Level.ERROR),
        (0, [0, 0, 5], Level.ERROR),
        (1, [11], Level.FINE),  # ten records more or fewer are ordinary in any table
        (1, [12], Level.WARNING),
    ],
)
def test_a_size_is_judged_by_those_before_it(rows: int, before: list[int], level: Level) -> None:
    assert judge_rows(rows, before, LIMITS).level is level


def test_safetyamp_grows_by_what_we_push() -> None:
    assert judge_rows(5000, [100], LIMITS, may_rise=True).level is Level.FINE
    assert judge_rows(50, [100], LIMITS, may_rise=True).level is Level.WARNING


def test_a_sick_read_is_odd_until_most_of_what_is_remembered_is_like_it() -> None:
    before, levels = [1600] * 10, []
    for _ in range(8):
        levels.append(judge_rows(800, before, LIMITS).level)
        before = [800, *before][: LIMITS.history]
    assert levels[:5] == [Level.WARNING] * 5
    assert levels[-1] is Level.FINE


def test_the_figures_are_told() -> None:
    found = judge_rows(0, [1600, 0, 1598], LIMITS)
    assert found.measured == "0 rows, usually 1598"
    assert "1439 to 2397 rows" in found.limit
    assert found.more == {"rows_before": "1600, 0, 1598"}


@given(st.integers(0, 3000), SIZES)
def test_only_an_emptied_table_stops(rows: int, before: list[int]) -> None:
    assert (judge_rows(rows, before, LIMITS).level is Level.ERROR) == (rows == 0 and any(before))


@given(st.integers(1, 3000), st.integers(1, 10))
def test_the_same_size_again_is_always_fine(rows: int, runs: int) -> None:
    assert judge_rows(rows, [rows] * runs, LIMITS).level is Level.FINE
