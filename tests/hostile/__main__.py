"""The whole table of hostile values, then fuzzing for as long as is asked: `python -m hostile [CPU minutes]`."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from hostile.fuzz import PARSERS, fuzz
from hostile.values import Ground


def main(minutes: float) -> int:
    """The number of failures, each printed."""
    failures = 0
    with ExitStack() as stack:
        ground = Ground(stack)
        for cell in ground.cells():
            try:
                ground.verdict(cell)
            except Exception as error:  # noqa: BLE001 (the point is to see all of them)
                failures += 1
                print(f"{cell}: {type(error).__name__}: {error}"[:200])
    seed, end = time.time_ns(), time.process_time() + 60 * minutes
    first = seed
    while time.process_time() < end:
        seed += 1
        for parser in PARSERS:
            try:
                fuzz(seed, parser)
            except Exception as error:  # noqa: BLE001
                failures += 1
                print(f"{parser.__name__} with seed {seed}: {type(error).__name__}: {error}"[:200])
    print(f"{failures} failures; fuzzed {len(PARSERS) * (seed - first)} times from seed {first}")
    return failures


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0) > 0)
