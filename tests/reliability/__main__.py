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

from reliability.cells import cells_of, healthy_calls, try_cell
from reliability.report import page, table

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main(processes: int = 4, only: str = "") -> int:
    """Exit code 1 when a cell did not heal. With `only`, a part of the faults, nothing is written."""
    started = monotonic()
    calls, wanted = healthy_calls()
    cells = [cell for cell in cells_of(calls) if only in cell.fault]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reliability.cells"])
    with ProcessPoolExecutor(processes, context) as pool:
        healings = list(pool.map(partial(try_cell, wanted=wanted), cells))
    print(table(healings))
    for healing in healings:
        if healing.wrong:
            print(f"call {healing.cell.call} {healing.cell.what}, {healing.cell.fault}: {healing.wrong}")
    print(f"{len(cells)} cells in {monotonic() - started:.0f} seconds")
    if not only:
        PAGE.write_text(page(healings, calls), encoding="utf-8")
    return int(any(healing.wrong for healing in healings))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2]), *sys.argv[2:3]))
