"""Plays many worlds by one seed, and makes a world that breaks a promise as small as it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from worlds.story import Story

Promises = Callable[[Story], Iterable[str]]
"""Gives in words which promises a story breaks."""


class PromiseBroken(AssertionError):
    """The promises that a world broke, and the world."""


def try_worlds(stories: SearchStrategy[Story], promises: Promises, worlds: int, number: int) -> None:
    """Play so many worlds, the same for the same number. Raises PromiseBroken with a world that breaks a promise, as
    small as it could be made in some minutes."""

    @seed(number)
    @settings(
        max_examples=worlds,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(stories)
    def play(story: Story) -> None:
        if broken := list(promises(story)):
            raise PromiseBroken("\n".join([*broken, "in this world:", repr(story)]))

    play()
