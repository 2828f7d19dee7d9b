"""A part of the matrix: each kind of fault once, on a read and on a write, and every kind of kill."""

from __future__ import annotations

import pytest

from reliability.cells import (
    CURSORS_ONLY,
    KILLS,
    LISTINGS_ONLY,
    WRITES_ONLY,
    Cell,
    cells_of,
    healthy_calls,
    try_cell,
)
from reliability.cells import FAULTS as ALL_FAULTS
from reliability.second_day import healthy_day, second_day, writes_of
from reliability.small import Tables
from safetyamp_pipelines.sandbox import RequestRecord

ALIKE = ("502", "504")
"""Statuses that no code tells from 500: `make faults` has them."""
FAULTS = {name: rule for name, rule in ALL_FAULTS.items() if name not in ALIKE}
Healthy = tuple[list[RequestRecord], Tables]


@pytest.fixture(scope="module")
def healthy() -> Healthy:
    """A run without faults: its calls, and SafetyAmp after it."""
    return healthy_calls()


def cell_at(healthy: Healthy, what: str, fault: str) -> Cell:
    """The first call of that kind, with that fault."""
    return next(cell for cell in cells_of(healthy[0]) if (cell.what, cell.fault) == (what, fault))


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in (*WRITES_ONLY, *CURSORS_ONLY)])
def test_a_read_that_goes_wrong_leaves_no_trace(healthy: Healthy, fault: str) -> None:
    healing = try_cell(cell_at(healthy, "GET /api/assets", fault), healthy[1])

    assert healing.outcome == "healed in the same run"


@pytest.mark.parametrize("fault", [*(name for name in FAULTS if name not in LISTINGS_ONLY), *KILLS])
def test_a_write_that_goes_wrong_is_made_good_by_the_next_run(healthy: Healthy, fault: str) -> None:
    healing = try_cell(cell_at(healthy, "POST /api/user_titles", fault), healthy[1])

    assert healing.wrong == ""
    assert healing.runs <= 1


@pytest.mark.parametrize("what", ["GET /v1.0/users", "GET /fleet/vehicles"])
def test_a_list_that_does_not_end_is_given_up_and_read_by_the_next_run(healthy: Healthy, what: str) -> None:
    healing = try_cell(cell_at(healthy, what, "endless list"), healthy[1])

    assert healing.outcome == "healed after 1 more"


def test_what_a_source_brings_that_was_empty_in_the_first_load_waits_for_people_once(healthy: Healthy) -> None:
    healing = try_cell(cell_at(healthy, "GET /v1.0/users", "empty page"), healthy[1])

    assert healing.outcome == "healed when people approved"


@pytest.mark.parametrize("fault", ["disk full", "clock set back"])
def test_a_part_that_falls_ill_in_mid_push_loses_nothing(healthy: Healthy, fault: str) -> None:
    """Of the ledger's server, `cli/test_ways_out.py` has it through the commands."""
    (cell, *_) = [cell for cell in cells_of(healthy[0]) if cell.fault == fault and cell.write > 1]

    healing = try_cell(cell, healthy[1])

    assert healing.wrong == ""
    assert healing.runs <= 1


@pytest.fixture(scope="module")
def the_day_after() -> Healthy:
    return healthy_day()


@pytest.mark.parametrize(
    ("write", "fault"), [(1, "killed, not acted"), (2, "cut after acting"), (4, "killed, not acted")]
)
def test_what_was_approved_and_what_is_exchanged_comes_to_its_end(
    the_day_after: Healthy, write: int, fault: str
) -> None:
    """Three people whose change was approved, then two vehicles that exchange their VINs in three calls."""
    calls, wanted = the_day_after
    (cell,) = [one for one in writes_of(calls) if (one.write, one.fault) == (write, fault)]

    healing = try_cell(cell, wanted, opened=second_day)

    assert healing.wrong == ""
    assert healing.runs <= 1
