"""Leavers first: whichever sources, tables, plans and guards are taken away, one or two at once, they are switched off,
and nothing is written that the whole plan would not write."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from reliability.taken_away import KINDS, PARTS, Company, company, parts_of, went_through

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def hit() -> Iterator[Company]:
    with company() as started:
        yield started


def test_with_any_two_parts_taken_away_leavers_go_and_nothing_rests_on_what_is_missing(hit: Company) -> None:
    whole = parts_of(hit.plan().changes)
    wrong = []
    for taken in (*((part,) for part in PARTS), *combinations(PARTS, 2)):
        plan = hit.plan(*taken)
        off = [change.source_key for change in plan.changes if str(change.action) == "deactivate"]
        if off != [hit.leaver] or not parts_of(plan.changes) <= whole:
            wrong.append((taken, off, sorted(parts_of(plan.changes) - whole)))
    assert wrong == []


def test_the_plan_without_everything_that_can_be_missing_is_pushed_in_the_same_run(hit: Company) -> None:
    assert hit.has_access()

    hit.push(hit.plan(*PARTS), *PARTS)

    assert not hit.has_access()


def test_the_page_says_what_still_goes_through(hit: Company) -> None:
    lines = [f"| {' | '.join(('taken away', *KINDS))} |", f"|{' --- |' * (1 + len(KINDS))}"]
    for part in ("nothing", *PARTS):
        cells = went_through(hit.plan(*([] if part == "nothing" else [part])))
        lines.append(f"| {' | '.join((part, *cells))} |")
    assert "\n".join(lines) in PAGE.read_text(encoding="utf-8"), "\n".join(lines)
