"""The whole table of hostile values, then fuzzing for as long as is asked: `python -m hostile [CPU minutes]`."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from reliability.report import write_part

from hostile.fuzz import PARSERS, fuzz
from hostile.report import FAILED, HEADING, section
from hostile.values import Ground


def main(minutes: float) -> int:
    """The number of failures, each printed. What came of the values goes to docs/reliability.md."""
    failures, outcomes = 0, []
    with ExitStack() as stack:
        ground = Ground(stack)
        for cell in ground.cells():
            try:
                outcome = ground.verdict(cell)
            except Exception as error:  # noqa: BLE001 (the point is to see all of them)
                failures, outcome = failures + 1, FAILED
                print(f"{cell}: {type(error).__name__}: {error}"[:200])
            outcomes.append((cell.table, ground.kind(cell), cell.poison, outcome))
    write_part(HEADING, section(outcomes))
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
