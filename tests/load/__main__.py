"""Plays both stories, writes their figures to docs/load.md, and fails where something grew beyond what was recorded.

cd tests && python -m load [--people 20000] [--scale 100] [--day-people 400] [--syncs 96] [--record]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from load.gate import RECORD, beyond, figures
from load.samples import Sample
from load.stories import FirstLoad, day, first_load, growth

PAGE = Path(__file__).parents[2] / "docs" / "load.md"


def main() -> None:
    """Both stories, one after the other: they share the machine's two cores with what they measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--scale", type=float, default=100.0)
    parser.add_argument("--day-people", type=int, default=400)
    parser.add_argument("--syncs", type=int, default=96)
    parser.add_argument("--record", action="store_true", help="keep these figures as those to be compared with")
    asked = parser.parse_args()
    loaded = first_load(asked.people, asked.scale)
    print(loaded, flush=True)
    samples = day(asked.day_people, asked.syncs)
    PAGE.write_text("\n".join(page(loaded, asked.scale, samples, asked.day_people)) + "\n", encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))
    found = figures(samples, asked.day_people)
    if asked.record:
        RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    elif grown := beyond(found, json.loads(RECORD.read_text(encoding="utf-8"))):
        sys.exit("grown beyond what was recorded (tests/load/recorded.json):\n" + "\n".join(grown))


def page(loaded: FirstLoad, scale: float, samples: list[Sample], people: int) -> Iterator[str]:
    """The figures as a page."""
    yield "# Load\n"
    yield "Written by `make load`; do not edit. The machine was shared, so seconds of the clock are upper bounds."
    yield "It fails where a figure grew beyond what tests/load/recorded.json holds."
    yield f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}.\n"
    yield f"## A first load of {loaded.people:,} people under the real budget, {scale:g} times as fast\n"
    yield "| calls | writes | seconds | by the budget alone | CPU seconds | memory, MB | 429 | calls of the next sync |"
    yield "|---|---|---|---|---|---|---|---|"
    yield (
        f"| {loaded.calls} | {loaded.writes} | {loaded.seconds} | {loaded.budget_seconds} | {loaded.cpu_seconds} "
        f"| {loaded.memory} | {loaded.refused_429} | {loaded.reads_at_rest} |\n"
    )
    yield "The next sync wrote nothing, and every active person stands in SafetyAmp once.\n"
    yield f"## {len(samples)} syncs of {people} people through one daemon and code location on PostgreSQL\n"
    yield "Before each, somebody comes, leaves and moves; every fourth meets a fault. At the end nothing is left.\n"
    yield "| | first | median | last | most | growth, last third against first |"
    yield "|---|---|---|---|---|---|"
    for name, unit in UNITS.items():
        values = [getattr(one, name) for one in samples]
        middle = sorted(values)[len(values) // 2]
        yield f"| {unit} | {values[0]} | {middle} | {values[-1]} | {max(values)} | {growth(samples, name):+.1f} |"


UNITS = {
    "seconds": "seconds of a sync, from launch to end",
    "memory": "memory of all processes, MB (PSS)",
    "largest_process": "memory of the largest process, MB",
    "handles": "open files and sockets",
    "processes": "processes",
    "connections": "connections to PostgreSQL",
    "ledger": "ledger, KB",
    "events": "Dagster's event log, KB",
}

if __name__ == "__main__":
    main()
