"""Several processes on one ledger, and processes that are killed: real ones, started by the test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import safetyamp_pipelines
from safetyamp_pipelines.ledger import IntentOpen, Ledger

PUSHER = Path(__file__).with_name("pusher.py")
PATIENCE = 600.0
"""Seconds after which a process that says nothing is given up."""

Start = Callable[[str, str, int], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a pusher and returns when it stands at the start line; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(url: str, name: str, pairs: int) -> subprocess.Popen[str]:
        root = str(Path(safetyamp_pipelines.__file__).parent.parent)
        process = subprocess.Popen(
            [sys.executable, str(PUSHER), url, name, str(pairs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def line(process: subprocess.Popen[str]) -> str:
    """The next line the process prints; if it died instead, its error."""
    assert process.stdout is not None
    found = process.stdout.readline().strip()
    assert found, process.communicate(timeout=PATIENCE)[1]
    return found


def test_processes_that_open_a_fresh_ledger_at_once_all_succeed(url: str, start: Start) -> None:
    # given three processes at the start line, and no ledger yet
    processes = [start(url, f"run-{number}", 20) for number in range(3)]
    assert {line(process) for process in processes} == {"ready"}

    # when all go at once
    for process in processes:
        go(process)
    hashes = {line(process) for process in processes}
    endings = [(process.communicate(timeout=PATIENCE)[1], process.returncode) for process in processes]

    # then none fails, none ever finds the database locked, and all agree on the key
    assert endings == [("", 0)] * 3
    assert len(hashes) == 1

    # and everything they wrote is there
    with Ledger.open(url) as ledger:
        assert len(ledger.changes()) == 60
        assert {change.status for change in ledger.changes()} == {"done"}
        assert len(ledger.links("employees")) == 60


def test_a_process_killed_between_intent_and_answer_leaves_its_intents_open(url: str, start: Start) -> None:
    # given a process that was told its intents are written
    process = start(url, "run-dead", 0)
    assert line(process) == "ready"
    go(process)
    line(process)
    promised = [int(line(process)) for _ in range(5)]

    # when it is killed without warning
    process.kill()
    told_late = [int(late) for late in process.communicate(timeout=PATIENCE)[0].split()]

    # then a new process finds every one of them, with what is needed to look them up
    with Ledger.open(url) as ledger:
        found = ledger.open_intents("employees")
        assert {*promised, *told_late} <= {change.id for change in found}
        assert found[0].natural_key == "run-dead-0"
        assert found[0].after() == {"emp_id": "run-dead-0"}

        # and the session that died
        session = ledger.open_session("employees")
        assert session is not None
        assert session.run_id == "run-dead"

        # and no create is sent a second time before the first is settled
        new_session = ledger.start_session("run-2", "employees", "hash", {})
        with pytest.raises(IntentOpen):
            ledger.intend(new_session, found[0])
        ledger.answer(found[0].id, "not_attempted", rule="not found in SafetyAmp by natural key")
        ledger.intend(new_session, found[0])
