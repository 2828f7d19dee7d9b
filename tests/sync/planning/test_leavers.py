"""Who left and can still log in: by Viewpoint's dates and SafetyAmp's rows, whatever plans and verdicts say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from small_worlds import Remembered, employee, user

from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.planning.proofs import leavers_still_on

NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)  # in Chicago
DAY = timedelta(hours=24)


def found(employees: list[Record], users: list[Record], links: dict[str, Remembered] | None = None) -> dict[str, Any]:
    table = references({"users": users})["users"]
    return leavers_still_on(employees, table, links or {}, at=NOON, promised=DAY, timezone="America/Chicago")


@pytest.mark.parametrize(
    ("ended", "overdue"),
    [
        (None, False),
        ("2026-11-20 00:00:00", False),  # since twelve hours
        ("2026-11-19 00:00:00", True),  # since thirty-six: employment ends as the day begins
        ("2026-11-19", True),
        ("2026-12-31 00:00:00", False),  # still to come
        ("soon", False),  # no date ends nothing, in the plan neither
    ],
)
def test_employment_ends_as_its_last_day_begins(ended: str | None, overdue: bool) -> None:
    people = found([employee(101, TermDate=ended)], [user("aB3dE", "101")])
    assert bool(people) is overdue


def test_who_works_on_the_last_day_is_overdue_a_day_later() -> None:
    table = references({"users": [user("aB3dE", "101")]})["users"]
    ended = {
        worked: leavers_still_on(
            [employee(101, TermDate="2026-11-19")],
            table,
            {},
            at=NOON,
            promised=DAY,
            timezone="America/Chicago",
            last_day_worked=worked,
        )
        for worked in (False, True)
    }
    assert [bool(found) for found in ended.values()] == [True, False]


def test_the_moment_is_told_in_the_time_zone_of_the_employees() -> None:
    people = found([employee(101, TermDate="2026-11-18")], [user("aB3dE", "101")])
    assert people["101"].astimezone(UTC) == datetime(2026, 11, 18, 6, tzinfo=UTC)


LEFT = employee(101, TermDate="2026-11-01")


@pytest.mark.parametrize("access", [False, 0, None])
def test_who_is_switched_off_is_fine(access: object) -> None:
    assert found([LEFT], [user("aB3dE", "101", system_access=access)]) == {}


def test_who_has_no_account_is_fine() -> None:
    assert found([LEFT], [user("aB3dE", "102")]) == {}


def test_leading_zeros_hide_nobody() -> None:
    assert set(found([LEFT], [user("aB3dE", "00101")])) == {"101"}


def test_the_account_is_found_by_its_link_whatever_number_it_says() -> None:
    assert set(found([LEFT], [user("aB3dE", None)], {"101": Remembered("aB3dE")})) == {"101"}


def test_who_works_in_another_company_has_not_left() -> None:
    assert found([LEFT, employee(101, PRCo=2)], [user("aB3dE", "101")]) == {}


def test_who_left_both_companies_left_with_the_later() -> None:
    people = found([LEFT, employee(101, PRCo=2, TermDate="2026-11-20")], [user("aB3dE", "101")])
    assert people == {}


def test_a_row_without_a_hire_date_neither_keeps_nor_ends_an_employment() -> None:
    users = [user("aB3dE", "101")]
    assert set(found([LEFT, employee(101, PRCo=2, HireDate=None)], users)) == {"101"}
    assert found([employee(101, HireDate=None, TermDate="2026-11-01")], users) == {}
