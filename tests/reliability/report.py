"""The matrix as tables in Markdown: what was injected, and what happened. Nothing is tried here, no dates, no times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from reliability.cells import FAULTS, KILLS, Healing
from reliability.sick_parts import SICK_PARTS
from safetyamp_pipelines.sandbox import RequestRecord

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
HEADING = "# What a sync survives"
DAY = "## The day after: an approval and an exchange"
PARTS = (HEADING, DAY, "## What was taken away, and what still went through", "## Values")
"""Headings of the parts of the page; each part has a writer of its own."""
_HEAD = (
    HEADING
    + """

Written by `make faults`; do not edit. In a small world every call of a whole first run is
answered in turn with every fault, and the process is killed with SIGKILL at every write: {writes} writes and {reads}
reads, {cells} cells. After every sixth change the ledger's PostgreSQL is restarted, frozen or locked until the push
has ended, the disk is full until then, or the clock is set back by a day. Then the faults stop. A cell has healed when
a later run writes nothing, has nothing left to do, no natural key stands twice in any table, and all tables of
SafetyAmp equal those after a run without faults, ids aside. A source that was empty in the first load has no earlier
size: what it brings then is held until people approve it once, and that cell is healed when they have.
A first load and a day of syncs, with what they take and whether it grows: [load.md](load.md).
"""
)


def page(healings: Sequence[Healing], calls: Sequence[RequestRecord]) -> str:
    """The part of the page that the matrix writes: all of it but what is taken away, and values."""
    writes = sum(call.is_write and call.system == "safetyamp" for call in calls)
    head = _HEAD.format(writes=writes, reads=len(calls) - writes, cells=len(healings))
    return "\n".join(
        [head, "## By fault\n", table(healings), "\n## By call\n", _by_call(healings), _not_healed(healings)]
    )


def write_part(heading: str, text: str) -> None:
    """Put the text, with its heading, in the place of that part of the page."""
    old = PAGE.read_text(encoding="utf-8")
    begins = [old.index(f"{part}\n") for part in PARTS] + [len(old)]
    place = PARTS.index(heading)
    parts = [old[begin:end].strip() for begin, end in pairwise(begins)]
    parts[place] = text.strip()
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def table(healings: Sequence[Healing]) -> str:
    """One line a fault, one column a class of outcome."""
    columns = _columns(healings)
    counts = Counter((healing.cell.fault, healing.outcome) for healing in healings)
    faults = [
        name for name in (*FAULTS, *KILLS, *SICK_PARTS) if any(healing.cell.fault == name for healing in healings)
    ]
    return lines(["Fault", *columns], [[name, *(counts[name, column] for column in columns)] for name in faults])


def _by_call(healings: Sequence[Healing]) -> str:
    columns = _columns(healings)
    counts = Counter((healing.cell.what, healing.outcome) for healing in healings)
    calls = dict.fromkeys(healing.cell.what for healing in healings)
    return lines(["Call", *columns], [[f"`{what}`", *(counts[what, column] for column in columns)] for what in calls])


def not_healed(healing: Healing) -> str:
    """A cell that did not heal at first, and what was wrong then and when it was tried again."""
    told = f"- call {healing.cell.call} `{healing.cell.what}`, {healing.cell.fault}: {healing.at_first}"
    return f"{told}; tried again: {healing.wrong or 'healed'}"


def _not_healed(healings: Sequence[Healing]) -> str:
    wrong = [not_healed(healing) for healing in healings if healing.at_first]
    return "\n".join(["\n## Not healed\n", *(wrong or ["None."]), ""])


def _columns(healings: Sequence[Healing]) -> list[str]:
    return sorted({healing.outcome for healing in healings})


def lines(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown; zero and nothing are left blank."""
    shown = [head, ["---"] * len(head), *([str(value or "") for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in shown)
