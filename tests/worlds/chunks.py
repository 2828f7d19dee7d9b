"""A hundred worlds of one seed, as one process of many plays them, and a count of what happened in them."""

from __future__ import annotations

import logging
import zlib
from collections import Counter
from collections.abc import Iterator

from worlds.draw import stories
from worlds.many import PromiseBroken, try_worlds
from worlds.play import Stage, World
from worlds.promises import broken_promises, same_again
from worlds.story import Story

CHUNK = 100
"""Worlds of one seed."""
EVERY_NTH_TWICE = 10
"""Of so many worlds one is played twice more, to compare the ledgers."""
EVERY_NTH_GUARDED = 3
"""Of so many seeds one has guarded worlds."""


def play_chunk(number: int) -> tuple[int, Counter[str], str]:
    """The worlds of one seed: what happened in them, and the broken promise if there was one."""
    logging.disable()  # refusals are what these worlds are full of
    counts, stage = Counter[str](), Stage()

    def promises(story: Story) -> Iterator[str]:
        yield from broken_promises(story, stage, lambda world: count(world, counts))
        if zlib.crc32(repr(story).encode()) % EVERY_NTH_TWICE == 0:
            yield from same_again(story, stage)

    try:
        try_worlds(stories(is_guarded=number % EVERY_NTH_GUARDED == EVERY_NTH_GUARDED - 1), promises, CHUNK, number)
    except PromiseBroken as broken:
        return number, counts, str(broken)
    return number, counts, ""


def count(world: World, counts: Counter[str]) -> None:
    """Add up what happened in a world."""
    counts["worlds"] += 1
    for log in world.runs:
        counts.update(log.met)
        counts["runs"] += 1
        counts["calls"] += log.calls
        counts["writes"] += len(log.writes)
        counts[f"runs ended: {log.ended.partition(':')[0] or 'in order'}"] += 1
        for plan in log.plans.values():
            counts["changes held"] += len(plan.held)
            counts["changes approved"] += len(plan.approved)
            counts["rings"] += len({verdict.rule for verdict in plan.verdicts if "a ring: " in verdict.rule})
        for verdicts in log.verdicts.values():
            counts.update(f"verdict {verdict.outcome}" for verdict in verdicts)
