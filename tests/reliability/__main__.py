"""Tries every cell of the matrix, prints the table and writes it to docs/reliability.md.

`make faults`, or: cd tests && python -m reliability [--processes 4] [--only FAULT] [--minutes 60]
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic

from reliability.cells import Healing, cells_of, healthy_calls, tried
from reliability.report import not_healed, page, table

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main(processes: int, only: str, minutes: float) -> int:
    """Exit code 1 when a cell did not heal. The page is written when all of the matrix was tried, not only the faults
    with `only` in their name or as far as the time reached."""
    started = monotonic()
    calls, wanted = healthy_calls()
    cells = [cell for cell in cells_of(calls) if only in cell.fault]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reliability.cells"])
    healings = list[Healing]()
    # Refusals are what these runs are full of: their log lines are not for whoever waits for the table.
    with ProcessPoolExecutor(processes, context, initializer=logging.disable) as pool:
        for healing in pool.map(partial(tried, wanted=wanted, until=started + 60 * minutes), cells):
            if healing is None:
                continue
            healings.append(healing)
            if healing.at_first:
                print(not_healed(healing), flush=True)
    print(table(healings))
    print(f"{len(healings)} of {len(cells)} cells in {monotonic() - started:.0f} seconds")
    if len(healings) == len(cells_of(calls)):
        PAGE.write_text(page(healings, calls), encoding="utf-8")
    return int(any(healing.wrong for healing in healings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--only", default="", metavar="FAULT")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no cell after so long")
    given = parser.parse_args()
    sys.exit(main(given.processes, given.only, given.minutes))
