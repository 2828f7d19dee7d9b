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

from reliability.cells import Cell, Healing, cells_of, healthy_calls, try_cell
from reliability.report import not_healed, page, table
from reliability.small import Tables

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


def tried(cell: Cell, wanted: Tables) -> Healing:
    """The cell as it healed. One that breaks what tries it is wrong, too, and does not end the others."""
    try:
        return try_cell(cell, wanted)
    except Exception as error:  # noqa: BLE001 - whatever it is, it stands in the table
        return Healing(cell, 0, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2]), *sys.argv[2:3]))
