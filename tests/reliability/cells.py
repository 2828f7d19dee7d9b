"""One cell of the matrix: one call of a run spoilt in one way, or the run killed there, and whether it healed."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from reliability.lean import approve_held, kill_after, lean_run
from reliability.sick_parts import SICK_PARTS, Trouble
from reliability.small import TIMEOUT, Tables, duplicates, end_state, environment_of, small_box
from safetyamp_pipelines.sandbox import FaultRule, RequestRecord, Sandbox
from safetyamp_pipelines.systems.http.listing import MOST_EMPTY

FAULTS: Mapping[str, FaultRule] = {
    "429 with Retry-After": FaultRule("status", status=429, retry_after=0.1),
    "429 without": FaultRule("status", status=429),
    "500": FaultRule("status", status=500),
    "500, acted": FaultRule("status", status=500, acts=True),
    "502": FaultRule("status", status=502),
    "503": FaultRule("status", status=503),
    "504, acted": FaultRule("status", status=504, acts=True),
    "504": FaultRule("status", status=504),
    "time-out, acted": FaultRule("slow_answer", delay=1.5 * TIMEOUT),
    "time-out, acts late": FaultRule("delay", delay=1.2 * TIMEOUT),
    "cut before acting": FaultRule("cut_before"),
    "cut after acting": FaultRule("cut_after"),
    "truncated": FaultRule("truncate"),
    "JSON cut": FaultRule("cut_json"),
    "HTML with 200": FaultRule("html"),
    "repeated page": FaultRule("repeat_page"),
    "empty page": FaultRule("empty_page"),
    "endless list": FaultRule("endless_page", times=2 * MOST_EMPTY),
    "slow drip": FaultRule("drip", delay=0.1),
}
LISTINGS_ONLY = ("repeated page", "empty page", "endless list")
CURSORS_ONLY = ("endless list",)
WRITES_ONLY = ("500, acted", "504, acted")

KILLS = ("killed, not acted", "killed, acted", "killed after the answer")
EACH = 6
"""A part falls ill after the first change and after each sixth one from there."""
NEVER = 600.0  # seconds an answer is held back; the killed process does not wait for it
LATEST = 600.0  # seconds until a call must have come


class Outcome(Protocol):
    """What is asked of a run, whoever runs it."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing failed."""
        ...


Runner = Callable[[Mapping[str, str], int], Outcome]
"""Runs everything with (environment, hours the ledger's clock is ahead)."""
Open = Callable[[], AbstractContextManager[Sandbox]]
"""Opens the world in which a cell is tried."""


@dataclass(frozen=True)
class Cell:
    """The `call`-th call of a run (from 1), which is `what` (`POST /api/users`), and what befalls it.

    `write` counts the run's writes up to this call.
    """

    call: int
    what: str
    fault: str
    write: int


@dataclass(frozen=True)
class Healing:
    """`runs`: how many further runs wrote before one did not. `wrong`: what is not as it should be, else empty;
    `at_first`: what was wrong when the cell was tried before; `approved`: whether people had to approve once."""

    cell: Cell
    runs: int
    wrong: str
    at_first: str = ""
    approved: bool = False

    @property
    def outcome(self) -> str:
        """The class under which the cell is counted."""
        if self.wrong:
            return "not healed"
        if self.at_first:
            return "healed when tried again"
        if self.approved:
            return "healed when people approved"
        return "healed in the same run" if self.runs == 0 else f"healed after {self.runs} more"


def healthy_calls() -> tuple[list[RequestRecord], Tables]:
    """All calls of a run without faults, and SafetyAmp after it."""
    with small_box() as box:
        run = lean_run(environment_of(box))
        assert run.is_clean, run
        return box.requests(), end_state(box)


def cells_of(calls: Sequence[RequestRecord], *, sick_parts: bool = True) -> list[Cell]:
    """Every fault on every call, every kill on every write, and every sick part after some of the writes."""
    cells, writes = list[Cell](), 0
    for call in calls:
        is_write = call.is_write and call.system == "safetyamp"
        writes += is_write
        what = f"{call.method} {_endpoint(call)}"
        faults = [name for name in FAULTS if name not in (LISTINGS_ONLY if is_write else WRITES_ONLY)]
        if call.system == "login":
            faults = [name for name in faults if name not in LISTINGS_ONLY]
        if call.system not in ("graph", "samsara"):
            faults = [name for name in faults if name not in CURSORS_ONLY]
        befalls = (*KILLS, *(SICK_PARTS if sick_parts and writes % EACH == 1 else ())) if is_write else ()
        cells += [Cell(call.seq, what, name, writes) for name in (*faults, *befalls)]
    return cells


def try_cell(cell: Cell, wanted: Tables, run: Runner = lean_run, opened: Open = small_box) -> Healing:
    """Let it happen, lift all faults, run until a run writes nothing, and look at SafetyAmp."""
    with opened() as box:
        environment = environment_of(box)
        if cell.fault in SICK_PARTS:
            with SICK_PARTS[cell.fault](environment) as trouble:
                _befallen(cell, trouble)
                return _healed(box, trouble.environment, cell, wanted, run)
        if cell.fault in KILLS:
            _killed(box, environment, cell)
        else:
            box.faults.add(replace(FAULTS[cell.fault], nth=cell.call))
            run(environment, 0)
            assert any(request.fault for request in box.requests()), f"{cell} never came"
        box.faults.clear()
        return _healed(box, environment, cell, wanted, run)


def tried(cell: Cell, wanted: Tables, opened: Open = small_box) -> Healing:
    """The cell as it healed. What does not heal is tried once more, and the page reports that: on a busy machine a
    process can be too late for its cell."""
    healing = _tried(cell, wanted, opened)
    return replace(_tried(cell, wanted, opened), at_first=healing.wrong) if healing.wrong else healing


def _tried(cell: Cell, wanted: Tables, opened: Open) -> Healing:
    """A cell that breaks what tries it is wrong, too, and does not end the others."""
    try:
        return try_cell(cell, wanted, opened=opened)
    except Exception as error:  # noqa: BLE001 - whatever it is, it stands in the table
        return Healing(cell, 0, f"{type(error).__name__}: {error}")


def _befallen(cell: Cell, trouble: Trouble) -> None:
    """A run of which a part falls ill as soon as the cell's change is settled, and gets well when it has ended."""
    settled = 0

    def count() -> None:
        nonlocal settled
        settled += 1
        if settled == cell.write:
            trouble.begin()

    lean_run(trouble.environment, settled=count)
    assert settled >= cell.write, f"{cell} never came"
    trouble.end()


def _healed(box: Sandbox, environment: Mapping[str, str], cell: Cell, wanted: Tables, run: Runner) -> Healing:
    approved = False
    for further in range(3):
        since = len(box.requests())
        outcome = run(environment, further + 1)
        if not any(request.is_write for request in box.requests("safetyamp", since)):
            # A source that was empty in the first load has no earlier size: what it brings then waits for people once.
            if not approved and _wrong(box, wanted) and approve_held(environment, "no history"):
                approved = True
                continue
            wrong = _wrong(box, wanted) or ("" if outcome.is_clean else "not in step")
            return Healing(cell, further, wrong, approved=approved)
    return Healing(cell, 3, _wrong(box, wanted) or "the third run still wrote", approved=approved)


def _wrong(box: Sandbox, wanted: Tables) -> str:
    found = end_state(box)
    if twice := duplicates(box):
        return f"{len(twice)} twice in {', '.join(sorted({name.split()[0] for name in twice}))}"
    return ", ".join(f"{table} differs" for table in wanted if wanted[table] != found[table])


def _killed(box: Sandbox, environment: Mapping[str, str], cell: Cell) -> None:
    """A run in a process of its own that ends with SIGKILL at the cell's call."""
    held = {KILLS[0]: "delay", KILLS[1]: "slow_answer"}.get(cell.fault)
    if held is not None:
        box.faults.add(FaultRule(held, nth=cell.call, delay=NEVER))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reliability.lean"])  # a new process then starts with everything imported
    process = context.Process(target=kill_after, args=(environment, cell.write if held is None else 0))
    process.start()
    if held is not None:
        _await(lambda: any(r.fault and r.acted is (held == "slow_answer") for r in box.requests()))
        process.kill()
    process.join(LATEST)
    assert process.exitcode == -signal.SIGKILL, f"{cell} ended with {process.exitcode}"


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LATEST
    while not condition():
        assert time.monotonic() < deadline, "the call never came"
        time.sleep(0.01)


def _endpoint(call: RequestRecord) -> str:
    """The path without ids; the system where the path alone does not tell."""
    if call.system == "login":
        return f"login …/{call.path.rsplit('/', 1)[1]}"
    parts = call.path.split("/")
    return "/".join(parts[:3]) + "/{id}" * (call.system == "safetyamp" and len(parts) > 3)
