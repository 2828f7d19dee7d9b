"""A day of the people who live in the Dagster UI, with the real web server, daemon, mail server and SafetyAmp."""

from __future__ import annotations

import os
import re
import signal
from datetime import UTC, datetime, timedelta

import pytest
from load.stories import measured
from room import ControlRoom, in_the_shell, wait_for

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import FaultRule, Sandbox

pytestmark = pytest.mark.xdist_group("control room")

NEVER = 3_000.0  # seconds an answer is held back; the killed process does not wait for it


def test_a_sync_from_the_ui_is_measured_and_passes_its_checks_and_a_dry_run_writes_nothing(
    room: ControlRoom, box: Sandbox
) -> None:
    before = box.safetyamp.tables(hidden=True)
    room.succeed("plan_all")
    assert box.safetyamp.tables(hidden=True) == before

    (one,) = measured(room, box, syncs=1)  # as of the day of `make load`, which ends with nothing left to do

    assert box.safetyamp.tables(hidden=True) != before
    for asset in ("viewpoint/employees", "safetyamp_observed/users", "plan/employees", "safetyamp/users"):
        results = room.checks(asset)
        assert results, asset
        assert {name: told["status"] for name, told in results.items()} == dict.fromkeys(results, "SUCCEEDED"), asset
    assert one.processes >= 3
    assert one.memory > one.largest_process > 50
    assert min(one.connections, one.ledger, one.events) > 0


def test_three_days_are_reported_in_one_run_and_nothing_is_written(room: ControlRoom, box: Sandbox) -> None:
    today = datetime.now(UTC).date()
    days = [(today - timedelta(days=back)).isoformat() for back in (4, 3, 2)]
    since = len(box.requests())

    room.backfill("reports/daily_changes", days)

    wait_for(lambda: set(days) <= set(room.partitions("reports/daily_changes")) or None, "three days of reports")
    assert box.requests("safetyamp", since) == []


def test_a_run_killed_in_the_midst_of_a_push_is_noticed_and_the_next_makes_it_good(
    room: ControlRoom, box: Sandbox
) -> None:
    number = box.sources.hire()
    since = len(box.requests())
    box.faults.add(FaultRule("slow_answer", system="safetyamp", method="POST", path_regex="/api/users", delay=NEVER))
    run = room.launch("sync_employees")
    wait_for(lambda: next((True for r in box.requests("safetyamp", since) if r.fault and r.acted), None), "the create")

    os.kill(process_of(room, run), signal.SIGKILL)

    assert room.ended(run) == "FAILURE"
    box.faults.clear()
    with Ledger.open(room.environment["LEDGER_URL"]) as ledger:
        wait_for(lambda: True if ledger.lease_holder("push") is None else None, "the dead push's lease to run out")
    assert in_the_shell(room, box, "sync", "employees").exit_code == 0
    created = [row for row in box.safetyamp.tables()["users"] if row["emp_id"] == str(number)]
    assert len(created) == 1


def process_of(room: ControlRoom, run: str) -> int:
    """The process that Dagster started for a run, as its event log tells it."""
    events = room.ask(EVENTS, run=run)["logsForRun"]["events"]
    found = [
        match for event in events if (match := re.search(r"Started process for run \(pid: (\d+)\)", event["message"]))
    ]
    return int(found[0].group(1))


EVENTS = """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  ... on MessageEvent { message } } } } }"""
