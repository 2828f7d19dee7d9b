"""The two stories of `make load`. Each returns its figures, and raises AssertionError when something was lost."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from commands import COMMAND, environment_of, in_this_process
from control_room.room import ControlRoom, control_room
from postgresql_server import running
from sqlalchemy import create_engine, make_url

from load.samples import Sample, sample
from safetyamp_pipelines.sandbox import FaultRule, Sandbox, TargetOptions, WorldSpec

CALLS, PERIOD, MARGIN = 60, 60.0, 61.0
"""SafetyAmp's budget, and the period that we keep to."""
FAULTS_EVERY = 4
"""Syncs: an hour, at one every quarter of an hour."""
FAULTS = (
    FaultRule("status", system="safetyamp", status=503, times=2),
    FaultRule("status", system="samsara", status=500, times=None),
    FaultRule("cut_after", system="safetyamp", method="POST"),
    FaultRule("status", system="safetyamp", status=429, retry_after=1),
    FaultRule("status", system="graph", status=503, times=3),
)


def world_of(people: int) -> WorldSpec:
    """A company of so many people, without records that cannot be synced: whatever is left over is our fault."""
    return WorldSpec(employees=people, jobs=max(4, people // 20), vehicles=max(2, people // 20), mess=False)


@dataclass(frozen=True)
class FirstLoad:
    """Figures of a first load; times in seconds of the scaled clock."""

    people: int
    calls: int
    writes: int
    seconds: float
    budget_seconds: float
    cpu_seconds: float
    memory: float
    refused_429: int
    reads_at_rest: int


def first_load(people: int, scale: float) -> FirstLoad:
    """Everything for the first time, under the real budget with a clock that runs `scale` times as fast."""
    with Sandbox(world_of(people), TargetOptions(calls=CALLS, period=PERIOD / scale)) as box:
        budget = {"API_RATE_LIMIT_CALLS": str(CALLS), "API_RATE_LIMIT_PERIOD": str(MARGIN / scale)}
        begun = time.monotonic()
        first = _sync(box, **budget)
        seconds = time.monotonic() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        second = _sync(box, **budget)
        requests = box.requests("safetyamp")
        _assert_nothing_lost(box, second)
    return FirstLoad(
        people=people,
        calls=first["calls"],
        writes=first["writes"],
        seconds=round(seconds, 1),
        budget_seconds=round(first["calls"] / CALLS * MARGIN / scale, 1),
        cpu_seconds=round(used.ru_utime + used.ru_stime, 1),
        memory=round(used.ru_maxrss / 1024, 1),
        refused_429=sum(request.status == 429 for request in requests),
        reads_at_rest=second["calls"],
    )


def _sync(box: Sandbox, **budget: str) -> dict[str, Any]:
    ended = subprocess.run(
        [COMMAND, "sync", "--json"], env=environment_of(box, dict(budget)), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def _assert_nothing_lost(box: Sandbox, last: dict[str, Any]) -> None:
    """The last sync had nothing to do, and everybody stands in SafetyAmp once."""
    assert last["writes"] == 0, last
    numbers = Counter(str(user["emp_id"]) for user in box.safetyamp.tables()["users"] if user.get("emp_id"))
    assert [number for number, accounts in numbers.items() if accounts > 1] == []
    active = {str(row["Employee"]) for row in box.world.viewpoint["bPREH"] if row["PRCo"] == 1 and not row["TermDate"]}
    assert active <= set(numbers)


def day(people: int, syncs: int) -> list[Sample]:
    """So many syncs through one long-lived daemon, web server and code location on PostgreSQL."""
    home = Path(tempfile.mkdtemp(prefix="load-"))
    try:
        with running() as server, Sandbox(world_of(people), TargetOptions(calls=100_000)) as box:
            changes = {"LEDGER_URL": server.url, "DAGSTER_POSTGRES_URL": server.url}
            with control_room(box, home / "dagster", changes) as room:
                return measured(room, box, syncs)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def measured(room: ControlRoom, box: Sandbox, syncs: int) -> list[Sample]:
    """So many syncs in a control room on PostgreSQL, with changes before each and a fault every hour; the figures after
    each. At the end nothing is left to do."""
    url = room.environment["LEDGER_URL"]
    database = create_engine(make_url(url).set(drivername="postgresql+psycopg2"))
    samples, faults, was_ill = [], cycle(FAULTS), False
    for number in range(syncs):
        _change(box, number)
        if was_ill := number % FAULTS_EVERY == FAULTS_EVERY - 1:
            box.faults.add(next(faults))
        begun = time.monotonic()
        room.run("sync_all")
        samples.append(sample(room.home, database, time.monotonic() - begun))
        box.faults.clear()
    database.dispose()
    if was_ill:
        room.succeed("sync_all")
    _assert_nothing_lost(box, in_this_process(box, "sync", "--json", LEDGER_URL=url).document())
    return samples


def _change(box: Sandbox, number: int) -> None:
    """What a quarter of an hour brings: somebody comes, somebody leaves, somebody moves house."""
    people = [row for row in box.world.viewpoint["bPREH"] if row["PRCo"] == 1 and not row["TermDate"]]
    box.sources.hire()
    box.sources.terminate(int(people[number % len(people)]["Employee"]))
    mover = int(people[(number * 7 + 3) % len(people)]["Employee"])
    box.sources.update("bPREH", {"Employee": mover}, City=f"Town {number}")


def growth(samples: list[Sample], name: str) -> float:
    """How much larger the median of the last third is than that of the first third, its first sync left out."""
    values = [float(getattr(one, name)) for one in samples[1:]]
    third = max(1, len(values) // 3)
    return sorted(values[-third:])[third // 2] - sorted(values[:third])[third // 2]
