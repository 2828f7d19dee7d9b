"""Plays many random worlds and prints what happened in them, and the smallest world that broke a promise.

cd tests && python -m worlds [WORLDS [SEED]]
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from time import monotonic

from worlds.chunks import CHUNK, play_chunk


def main(worlds: int = 10_000, first_seed: int = 0) -> int:
    """Exit code 1 when a promise was broken."""
    started, counts, failures = monotonic(), Counter[str](), list[tuple[int, str]]()
    seeds = range(first_seed, first_seed + -(-worlds // CHUNK))
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("forkserver")) as pool:
        for number, found, failure in pool.map(play_chunk, seeds):
            counts += found
            if failure:
                failures.append((number, failure))
                print(f"seed {number}: {failure}\n", flush=True)
    print(table(counts))
    print(
        f"{len(seeds)} seeds in {monotonic() - started:.0f} seconds; broken: {[seed for seed, _ in failures] or 'none'}"
    )
    return int(bool(failures))


def table(counts: Counter[str]) -> str:
    """The counts in columns."""
    return "\n".join(f"{number:>9}  {name}" for name, number in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
