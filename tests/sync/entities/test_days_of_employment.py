"""From when on a hire is synced and when access ends, by the calendar of the person's site."""

from __future__ import annotations

from typing import Any

import pytest
from small_worlds import (
    CIVIL,
    ROOT,
    SOUTH,
    Remembered,
    company,
    config,
    employee,
    plan_of,
    site,
    user,
    verdict,
    verdicts,
)

LINKS = {"1": Remembered("u1")}


def outcome(timezone: str | None = None, rules: dict[str, Any] | None = None, **dates: Any) -> str:
    """Of an employee in a snapshot read on 20 November 2026, 10:00 UTC."""
    yard = site(20, "Yard", 2, "YARD", timezone=timezone)
    world = company(
        site_clusters=[ROOT, SOUTH, CIVIL],
        sites=[yard],
        viewpoint__employees=[employee(1, **dates)],
        users=[user("u1", "1")],
    )
    return verdicts(plan_of("employees", world, rules=config(employees=rules or {}), links=LINKS))["1"]


@pytest.mark.parametrize(
    ("timezone", "ended", "last_day_worked", "is_off"),
    [
        (None, "2026-11-20", False, True),  # access ends as TermDate begins, in the company's time zone
        (None, "2026-11-21", False, False),
        (None, "2026-11-20", True, False),
        (None, "2026-11-19", True, True),
        ("Pacific/Kiritimati", "2026-11-21", False, True),  # it is the 21st there
        ("Pacific/Pago_Pago", "2026-11-20", False, False),  # and still the 19th there
        ("Pacific/Pago_Pago", "2026-11-19", True, False),
        ("Nowhere/Else", "2026-11-20", False, True),
    ],
)
def test_access_ends_by_the_calendar_of_the_site(
    timezone: str | None, ended: str, last_day_worked: bool, is_off: bool
) -> None:
    found = outcome(timezone, {"last_day_worked": last_day_worked}, TermDate=f"{ended} 00:00:00")
    assert (found == "deactivated") is is_off


@pytest.mark.parametrize(
    ("lead", "hired", "is_in"),
    [
        (None, "2027-06-01", True),
        (0, "2026-11-20", True),
        (0, "2026-11-21", False),
        (7, "2026-11-27", True),
        (7, "2026-11-28", False),
    ],
)
def test_a_hire_is_synced_so_many_days_ahead(lead: int | None, hired: str, is_in: bool) -> None:
    assert (outcome(None, {"hire_lead_days": lead}, HireDate=hired) != "out_of_scope") is is_in


def test_why_a_hire_waits_is_said_without_the_day() -> None:
    world = company(viewpoint__employees=[employee(1, HireDate="2026-12-01")])
    plan = plan_of("employees", world, rules=config(employees={"hire_lead_days": 3}))
    assert verdict(plan, "1").rule == (
        "hired for a later day (employees.hire_lead_days of sync.yaml); an account stays as it is"
    )
