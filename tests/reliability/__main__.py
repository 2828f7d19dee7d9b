"""Tries every cell of the matrix, prints the table and writes it to docs/reliability.md; or a sample of the cells.

`make faults`, or: cd tests && python -m reliability [--processes 4] [--only FAULT] [--sample 100 [--seed 7]]
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from time import monotonic

from reliability.cells import Healing, cells_of, healthy_calls, tried
from reliability.report import HEADING, not_healed, page, table, write_part


def main(processes: int, only: str, sample: int, seed: int) -> int:
    """Exit code 1 when a cell did not heal. The page is written when all of the matrix was tried, not only the faults
    with `only` in their name, or a sample."""
    started = monotonic()
    calls, wanted = healthy_calls()
    cells = [cell for cell in cells_of(calls) if only in cell.fault]
    if 0 < sample < len(cells):
        print(f"{sample} of {len(cells)} cells, drawn with --seed {seed}", flush=True)
        cells = random.Random(seed).sample(cells, sample)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reliability.cells"])
    healings = list[Healing]()
    # Refusals are what these runs are full of: their log lines are not for whoever waits for the table.
    with ProcessPoolExecutor(processes, context, initializer=logging.disable) as pool:
        for healing in pool.map(partial(tried, wanted=wanted), cells):
            healings.append(healing)
            if healing.at_first:
                print(not_healed(healing), flush=True)
    print(table(healings))
    print(f"{len(healings)} cells in {monotonic() - started:.0f} seconds")
    if len(healings) == len(cells_of(calls)):
        write_part(HEADING, page(healings, calls))
    return int(any(healing.wrong for healing in healings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--only", default="", metavar="FAULT")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="try N cells, drawn at random")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000), help="of the draw")
    given = parser.parse_args()
    sys.exit(main(given.processes, given.only, given.sample, given.seed))
