"""A sync that is killed with SIGKILL in a home of Dagster holds up no other, which says meanwhile for whom it waits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
import pytest
from commands import COMMAND, environment_of, small_world

from safetyamp_pipelines.ledger import LeaseHeld, Ledger
from safetyamp_pipelines.resources.dead_runs import holders
from safetyamp_pipelines.resources.keys import PROCESS_TAG
from safetyamp_pipelines.sandbox import FaultRule

ROOT = Path(__file__).parents[2]
TWO_MINUTES = 120.0
NEVER = 900.0

pytestmark = pytest.mark.xdist_group("killed")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return home


def begin(environment: Mapping[str, str], name: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command as a process, its output in files of that name."""
    with name.with_suffix(".out").open("wb") as out, name.with_suffix(".err").open("wb") as err:
        return subprocess.Popen([COMMAND, *arguments], env=environment, cwd=name.parent, stdout=out, stderr=err)


def wait_until(condition: Callable[[], object], what: str, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def kept() -> dict[str, str]:
    """The runs of the home, by id, with how they ended; and that none holds anything."""
    with dg.DagsterInstance.get() as instance:
        assert holders(instance) == set()
        return {run.run_id: run.status.value for run in instance.get_runs()}


def move_elsewhere(pid: int, ledger_url: str) -> None:
    """As if that process had been on a machine that is not there any more, and had last beaten two minutes ago."""
    with dg.DagsterInstance.get() as instance:
        for run in instance.get_runs():
            if f"(process {pid}," in run.tags[PROCESS_TAG]:
                instance.add_run_tags(run.run_id, {PROCESS_TAG: "elsewhere (process 1, begun 1-1)"})
    with Ledger.open(ledger_url) as ledger, pytest.raises(LeaseHeld):
        ledger.acquire_lease("push", "whoever asks for less", 0.1)  # leaves the holder no more than that


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_sync_says_for_whom_it_waits_and_goes_on_when_that_one_is_killed(
    home: Path, tmp_path: Path, where: str
) -> None:
    with small_world() as box:
        waits = {"HTTP_REQUEST_TIMEOUT": "600", "API_RATE_LIMIT_PERIOD": "5"}
        environment = environment_of(box, {"DAGSTER_HOME": str(home), **waits})
        slow = FaultRule("slow_answer", system="safetyamp", method="POST", path_regex="/api/user_titles", delay=NEVER)
        box.faults.add(slow)
        first = begin(environment, tmp_path / "first", "sync", "titles")
        wait_until(lambda: any(call.fault and call.acted for call in box.requests("safetyamp")), "the first create")
        second = begin(environment, tmp_path / "second", "sync", "titles", "--json")
        told = tmp_path / "second.err"
        word = "waits  for the push of sync_all"
        wait_until(lambda: word in told.read_text() or second.poll() is not None, "a word")
        assert f"(process {first.pid}," in told.read_text(), told.read_text()

        if where == "elsewhere":
            os.kill(first.pid, signal.SIGSTOP)  # so that it does not beat
            move_elsewhere(first.pid, environment["LEDGER_URL"])
        first.kill()
        first.wait()
        box.faults.clear()
        killed_at = time.monotonic()
        second.wait(TWO_MINUTES)

        document = json.loads((tmp_path / "second.out").read_text())
        assert (second.returncode, document["errors"]) == (0, []), document
        assert sorted(kept().values()) == ["FAILURE", "SUCCESS"]
        assert time.monotonic() - killed_at < TWO_MINUTES
        with Ledger.open(environment["LEDGER_URL"]) as ledger:
            assert ledger.open_intents("titles") == []
        names = [row["name"].casefold() for row in box.safetyamp.tables()["user_titles"]]
        assert len(set(names)) == len(names) == sum(document["entities"]["titles"].values())
