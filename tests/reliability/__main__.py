"""Tries every cell of the matrix, prints the table and writes it to docs/reliability.md.

cd tests && python -m reliability [PROCESSES [FAULT]]
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic

from reliability.cells import Healing, cells_of, healthy_calls, tried
from reliability.report import not_healed, page, table

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main(processes: int = 4, only: str = "") -> int:
    """Exit code 1 when a cell did not heal. With `only`, a part of the faults, nothing is written."""
    started = monotonic()
    calls, wanted = healthy_calls()
    cells = [cell for cell in cells_of(calls) if only in cell.fault]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reliability.cells"])
    healings = list[Healing]()
    with ProcessPoolExecutor(processes, context) as pool:
        for healing in pool.map(partial(tried, wanted=wanted), cells):
            healings.append(healing)
            if healing.wrong:
                print(not_healed(healing), flush=True)
    print(table(healings))
    print(f"{len(cells)} cells in {monotonic() - started:.0f} seconds")
    if not only:
        PAGE.write_text(page(healings, calls), encoding="utf-8")
    return int(any(healing.wrong for healing in healings))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2]), *sys.argv[2:3]))
