"""No value in any field of any system breaks a plan, and none that no rule reads changes one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date

import pytest

from hostile.values import NOTHING, POISONS, UNUSED, Cell, Ground

pytestmark = pytest.mark.xdist_group("hostile")
EACH = 31
"""The suite runs one cell of so many, others each day: all of them in a month."""


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with ExitStack() as stack:
        yield Ground(stack)


def test_every_entity_is_planned_whatever_a_field_holds(ground: Ground) -> None:
    wrong = {}
    for cell in [*ground.cells()][date.today().toordinal() % EACH :: EACH]:
        try:
            ground.verdict(cell)
        except Exception as error:  # noqa: BLE001 (every failure of the table is shown at once)
            wrong[str(cell)] = f"{type(error).__name__}: {error}"[:200]
    assert wrong == {}


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("table", ["entra/users", "samsara/vehicles", "samsara/drivers", "safetyamp_observed/users"])
def test_a_field_that_no_rule_reads_does_nothing_at_all(table: str, poison: str, ground: Ground) -> None:
    assert ground.verdict(Cell(table, UNUSED, poison)) in (NOTHING, "notice")
