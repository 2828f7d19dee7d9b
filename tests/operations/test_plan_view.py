"""The plan as people review it: what a guard holds is one line with the figure, what would happen, and the limit."""

from __future__ import annotations

import pytest
from small_worlds import Remembered, account, company, config, employee, plan_of, user

from safetyamp_pipelines.operations.plan_view import CONSEQUENCES, headline_of
from safetyamp_pipelines.sync.entities.registry import BY_NAME


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"TermDate": "2026-01-31"}, "12 people would lose access (limit 10)"),
        ({"LastName": "Null"}, "12 people would get one and the same value (limit 10)"),
    ],
)
def test_what_a_guard_holds_is_one_line_with_figure_consequence_and_limit(columns: dict[str, str], line: str) -> None:
    numbers = range(1, 13)
    world = company(
        viewpoint__employees=[employee(n, **columns) for n in numbers],
        users=[user(f"u{n}", str(n), first_name=f"Nora {n}", email=f"p{n}@example.com") for n in numbers],
        entra__users=[account("nobody")],
    )
    rules = config(guards={"concentration": {"share": 1.0}})

    plan = plan_of("employees", world, links={str(n): Remembered(f"u{n}") for n in numbers}, rules=rules)

    assert line in headline_of(BY_NAME["employees"], plan).split("; ")
    assert {refused.guard for refused in plan.refused} <= set(CONSEQUENCES)
