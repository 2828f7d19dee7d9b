"""The daemon and all its children are killed in mid-push; a new one goes on where they stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection
from pathlib import Path

import pytest
from commands import small_world
from room import ControlRoom, control_room, wait_for

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import FaultRule

pytestmark = pytest.mark.xdist_group("control room")

NEVER = 3_000.0  # seconds an answer is held back; the killed processes do not wait for it
SCHEDULE = {"SYNC_INTERVAL_MINUTES": "1"}
LONGEST = 300.0
"""Seconds from a ready daemon to the end of its first sync. Without load it is done in two minutes; a run that only its
longest time ends would stand for ninety."""


def test_a_killed_daemon_holds_up_no_other_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    with small_world() as box:
        since = len(box.requests())
        stuck = FaultRule("slow_answer", system="safetyamp", method="POST", path_regex="/api/users", delay=NEVER)
        box.faults.add(stuck)
        with control_room(box, tmp_path / "dagster", SCHEDULE) as room:
            room.switch("Schedule", "sync_all_schedule", on=True)
            wait_for(
                lambda: next((1 for r in box.requests("safetyamp", since) if r.fault and r.acted), None), "a create"
            )
            pushing = {run["runId"] for run in room.runs("sync_all") if run["status"] == "STARTED"}
            os.killpg(room.process.pid, signal.SIGKILL)
        box.faults.clear()
        with control_room(box, tmp_path / "dagster", SCHEDULE) as room:
            began = time.monotonic()
            wait_for(lambda: ended_well(room, pushing), "a sync that the new daemon started", LONGEST)
            print(f"{time.monotonic() - began:.0f} s after the new daemon was ready")
            statuses = {run["runId"]: run["status"] for run in room.runs("sync_all")}
        assert [statuses[run_id] for run_id in pushing] == ["FAILURE"]
        employed = [row for row in box.safetyamp.tables()["users"] if row["emp_id"]]
        assert len({row["emp_id"] for row in employed}) == len(employed) > 1
        with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
            assert ledger.open_intents("employees") == []
            assert ledger.lease_holder("push") is None


def ended_well(room: ControlRoom, dead: Collection[str]) -> bool | None:
    """Whether a run of the schedule that was none of these has ended, and well; it may have waited in the queue."""
    new = [run for run in room.runs("sync_all") if run["runId"] not in dead]
    return True if any(run["status"] == "SUCCESS" for run in new) else None
