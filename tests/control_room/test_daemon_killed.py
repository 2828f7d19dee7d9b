"""The daemon and all its children are killed in mid-push; a new one goes on where they stopped."""

from __future__ import annotations

import time
from collections.abc import Collection

import pytest
from room import ControlRoom, wait_for

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import FaultRule, Sandbox

pytestmark = pytest.mark.xdist_group("control room")

NEVER = 3_000.0  # seconds an answer is held back; the killed processes do not wait for it


def test_the_schedule_ticks_survives_a_killed_daemon_without_loss_or_double_and_a_pause_tells_why_it_does_not(
    room: ControlRoom, box: Sandbox
) -> None:
    hired = {str(box.sources.hire(name, "Fresh")) for name in ("Dee", "Eve")}
    since, known = len(box.requests()), {run["runId"] for run in room.runs("sync_all")}
    box.faults.add(FaultRule("slow_answer", system="safetyamp", method="POST", path_regex="/api/users", delay=NEVER))
    room.switch("Schedule", "sync_all_schedule", on=True)
    try:
        wait_for(lambda: next((1 for r in box.requests("safetyamp", since) if r.fault and r.acted), None), "a create")
        (pushing,) = [run["runId"] for run in room.runs("sync_all") if run["status"] == "STARTED"]
        room.kill()
        box.faults.clear()
        room.start()
        began = time.monotonic()
        # Without load two minutes. A run that only its longest time ended would stand for ninety, beyond all patience.
        wait_for(lambda: ended_well(room, {*known, pushing}), "a sync that the new daemon started")
        print(f"{time.monotonic() - began:.0f} s after the new daemon was ready")

        room.succeed("pause_syncing", {"ops": {"pause": {"config": {"reason": "stock-taking", "by": "Kim"}}}})
        reason = wait_for(lambda: skipped(room, "paused"), "a skipped tick")
        assert "Kim" in reason
        assert "stock-taking" in reason
    finally:
        room.switch("Schedule", "sync_all_schedule", on=False)
        with Ledger.open(room.environment["LEDGER_URL"]) as ledger:
            ledger.resume("Kim")
    room.rest()
    assert room.status(pushing) == "FAILURE"
    started = [run for run in room.runs("sync_all") if run["runId"] not in known]
    assert {run["tags"]["safetyamp/cause"] for run in started} == {"schedule"}
    numbers = [row["emp_id"] for row in box.safetyamp.tables()["users"] if row["emp_id"]]
    assert hired <= set(numbers)
    assert len(set(numbers)) == len(numbers)
    with Ledger.open(room.environment["LEDGER_URL"]) as ledger:
        assert ledger.open_intents("employees") == []
        assert ledger.lease_holder("push") is None


def skipped(room: ControlRoom, word: str) -> str | None:
    reasons = [tick["skipReason"] for tick in room.ticks("sync_all_schedule") if tick["status"] == "SKIPPED"]
    return next((reason for reason in reasons if reason and word in reason), None)


def ended_well(room: ControlRoom, old: Collection[str]) -> bool | None:
    """Whether a run of the schedule that is none of these has ended, and well; it may have waited in the queue."""
    new = [run for run in room.runs("sync_all") if run["runId"] not in old]
    return True if any(run["status"] == "SUCCESS" for run in new) else None
