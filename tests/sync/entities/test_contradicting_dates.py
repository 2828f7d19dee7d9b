"""A termination date that cannot be one proves nothing: the account stays as it is, and a person is told."""

from __future__ import annotations

import pytest
from small_worlds import Remembered, company, employee, plan_of, user, verdict, verdicts

LINKS = {"1": Remembered("u1")}


@pytest.mark.parametrize(
    ("hired", "ended", "outcome"),
    [
        ("2020-01-06 00:00:00", "1900-01-01 00:00:00", "out_of_scope"),
        ("2020-01-06 00:00:00", "2019-12-31 00:00:00", "out_of_scope"),
        (None, "1900-01-01 00:00:00", "out_of_scope"),
        ("2020-01-06 00:00:00", "2020-01-06 00:00:00", "deactivated"),
        ("2020-01-06 00:00:00", "2026-11-20 00:00:00", "deactivated"),
        (None, "2026-11-20 00:00:00", "deactivated"),
    ],
)
def test_only_a_possible_date_takes_access_away(hired: str | None, ended: str, outcome: str) -> None:
    world = company(viewpoint__employees=[employee(1, HireDate=hired, TermDate=ended)], users=[user("u1", "1")])

    plan = plan_of("employees", world, links=LINKS)

    assert verdicts(plan) == {"1": outcome}
    reported = [(found.kind, found.key) for found in plan.findings]
    assert (("out_of_scope_in_safetyamp", "1") in reported) is (outcome == "out_of_scope")


def test_what_is_to_be_corrected_is_said() -> None:
    world = company(viewpoint__employees=[employee(1, TermDate="1900-01-01 00:00:00")], users=[user("u1", "1")])

    rule = verdict(plan_of("employees", world, links=LINKS), "1").rule

    assert rule == "TermDate in Viewpoint is in 1900 or before HireDate: correct it; the account stays as it is"
