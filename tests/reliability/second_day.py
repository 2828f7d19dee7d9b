"""The day after: two vehicles exchange their VINs, and three people are renamed; a guard holds all of it, and a person
has approved it. Every write of that day's run with every fault, and every kill: as `cells.py` has it of a first run.

cd tests && python -m reliability.second_day [PROCESSES]
"""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path

from reliability.cells import Cell, Healing, cells_of, tried
from reliability.lean import approve_held, lean_run
from reliability.report import DAY, lines, not_healed, write_part
from reliability.small import Tables, end_state, environment_of, small_box
from safetyamp_pipelines.sandbox import RequestRecord, Sandbox

STRICT = "\nguards: {updates: {records: 1, share: 0.0001}}\n"
HEAD = """{heading}

The same on the day after: two vehicles exchange their VINs, for which one of them sets its own free first, and three
people are renamed. `guards.updates` holds all of it, and a person has approved it: {writes} writes, {cells} cells.
An approval lets its change through, whatever becomes of the call: where a process died and nobody knows whether
SafetyAmp acted, the next run looks first.

{table}

Not healed: {wrong}."""


@cache
def in_step() -> tempfile.TemporaryDirectory[str]:
    """A folder with the home of the small world after its first run, made once a process and gone with it."""
    folder = tempfile.TemporaryDirectory(prefix="second-day-")
    with small_box(home=Path(folder.name) / "home") as box:
        assert lean_run(environment_of(box)).is_clean
    return folder


@contextmanager
def second_day() -> Iterator[Sandbox]:
    """That world before its next run, with what has happened in between."""
    with ExitStack() as opened:
        copied = Path(opened.enter_context(tempfile.TemporaryDirectory())) / "home"
        box = opened.enter_context(small_box(home=shutil.copytree(Path(in_step().name) / "home", copied)))
        with Path(box.environment["SYNC_CONFIG"]).open("a", encoding="utf-8") as rules:
            rules.write(STRICT)
        _happen(box)
        assert approve_held(environment_of(box)) == 5
        yield box


def _happen(box: Sandbox) -> None:
    tables = box.safetyamp.tables()
    serials = {row["serial"] for row in tables["assets"]}
    one, other = [row for row in box.world.samsara_vehicles if row.get("vin") in serials][:2]
    vins = one["vin"], other["vin"]
    box.sources.samsara_update(one["id"], vin=vins[1])
    box.sources.samsara_update(other["id"], vin=vins[0])
    ours = {row["emp_id"] for row in tables["users"] if row["system_access"]}
    numbers = [row["Employee"] for row in box.world.viewpoint["bPREH"] if str(row["Employee"]) in ours]
    for number in numbers[:3]:
        box.sources.update("bPREH", {"Employee": number}, LastName="Renamed")


def healthy_day() -> tuple[list[RequestRecord], Tables]:
    """The calls of that day's run without faults, and SafetyAmp after it."""
    with second_day() as box:
        since = len(box.requests())
        run = lean_run(environment_of(box))
        assert run.is_clean, run
        assert "held" not in run.verdicts, run
        return box.requests()[since:], end_state(box)


def writes_of(calls: list[RequestRecord]) -> list[Cell]:
    """The cells of the writes; a fault counts the calls from the beginning of the run."""
    first = calls[0].seq - 1
    cells = cells_of(calls, sick_parts=False)
    writes = {call.seq for call in calls if call.is_write and call.system == "safetyamp"}
    return [Cell(one.call - first, one.what, one.fault, one.write) for one in cells if one.call in writes]


def main(processes: int = 2) -> int:
    """Try all of them, and write their part of the page; exit code 1 when one did not heal."""
    calls, wanted = healthy_day()
    cells = writes_of(calls)
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(processes, context, initializer=logging.disable) as pool:
        healings = list(pool.map(partial(tried, wanted=wanted, opened=second_day), cells))
    write_part(DAY, _page(healings))
    print(_page(healings))
    return int(any(healing.wrong for healing in healings))


def _page(healings: list[Healing]) -> str:
    columns = sorted({healing.outcome for healing in healings})
    counts = Counter((healing.cell.fault, healing.outcome) for healing in healings)
    faults = dict.fromkeys(healing.cell.fault for healing in healings)
    table = lines(["Fault", *columns], [[name, *(counts[name, column] for column in columns)] for name in faults])
    wrong = "; ".join(not_healed(healing) for healing in healings if healing.at_first) or "none"
    writes = len({healing.cell.write for healing in healings})
    return HEAD.format(heading=DAY, writes=writes, cells=len(healings), table=table, wrong=wrong)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
