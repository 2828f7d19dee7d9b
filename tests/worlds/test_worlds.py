"""A hundred random worlds, the same in every run; `make worlds` has ten thousand others. A world that breaks
a promise belongs into test_worlds_found.py, as it was printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st

from worlds.draw import stories
from worlds.ledgers import Ledgers
from worlds.many import try_worlds
from worlds.play import Stage, World
from worlds.promises import broken_promises, healed, same_again
from worlds.story import Story


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[Ledgers]:
    """Real ledgers."""
    found = Ledgers(tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize("number", range(3))
def test_faults_people_and_changing_sources_break_no_promise(number: int) -> None:
    stage = Stage()

    try_worlds(stories(), lambda story: broken_promises(story, stage), worlds=25, number=number)


def test_guards_that_refuse_let_nothing_through() -> None:
    stage = Stage()

    try_worlds(stories(is_guarded=True), lambda story: broken_promises(story, stage), worlds=8, number=1)


def test_the_same_story_gives_the_same_ledger() -> None:
    try_worlds(stories(), lambda story: same_again(story, Stage()), worlds=10, number=2)


def test_the_real_ledger_keeps_the_promises_and_tells_the_same_story(ledgers: Ledgers) -> None:
    real, quick = Stage(ledgers), Stage()

    def differences(story: Story) -> Iterator[str]:
        yield from broken_promises(story, real)
        if tale(story, real) != tale(story, quick):
            yield "the ledger and the notebook tell two stories"

    try_worlds(st.booleans().flatmap(stories), differences, worlds=2, number=3)


def tale(story: Story, stage: Stage) -> object:
    """SafetyAmp in the end, what every run did, and what is remembered of each entity."""
    world = World(story, stage)
    world.play(story.steps)
    healed(world)
    ledger = world.ledger()
    memory = [(ledger.links(name), len(ledger.failures(name)), ledger.open_intents(name)) for name in world.specs]
    runs = [(log.ended, log.calls, log.verdicts, log.plans) for log in world.runs]
    return world.safetyamp.dump(), memory, runs


def test_the_same_story_gives_the_same_rows_in_the_real_ledger(ledgers: Ledgers) -> None:
    try_worlds(stories(), lambda story: same_again(story, Stage(ledgers)), worlds=2, number=4)
