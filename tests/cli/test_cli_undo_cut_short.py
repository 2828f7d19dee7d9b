"""An undo that is interrupted or killed, and one of a push that was: the same command again brings it to its end."""

from __future__ import annotations

import signal
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from commands import COMMAND, Answer, environment_of, in_this_process
from personnel import employed

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.progress import LogProgress
from safetyamp_pipelines.operations.undo_step import Undoing, undo_document
from safetyamp_pipelines.sandbox import FaultRule, Sandbox
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.systems.safetyamp import safetyamp_client
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

pytestmark = pytest.mark.xdist_group("undo cut short")


@pytest.fixture
def box(synced_box: Sandbox) -> Sandbox:
    return synced_box


def first_names(box: Sandbox) -> dict[str, str]:
    return {row["emp_id"]: row["first_name"] for row in box.safetyamp.tables()["users"] if row["emp_id"] is not None}


def misspell(box: Sandbox, number: int, name: str = "Misspelt") -> list[str]:
    """So many active people get another first name in Viewpoint."""
    keys = employed(box, number)
    for key in keys:
        box.sources.update("bPREH", {"PRCo": 1, "Employee": int(key)}, FirstName=name)
    return keys


def newest_session(box: Sandbox) -> int:
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        return ledger.sessions(1)[0].id


def cut_short(box: Sandbox, how: signal.Signals, *arguments: str, cwd: Path, acted: int) -> Answer:
    """Run a command that sends one call at a time, and end it once SafetyAmp acted on so many of its writes."""
    since = len(box.requests())
    environment = environment_of(box, {"SYNC_CALLS_IN_FLIGHT": "1"})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = subprocess.Popen([COMMAND, *arguments], env=environment, cwd=cwd, text=True, **pipes)
    end = monotonic() + 600
    while sum(bool(call.is_write and call.acted) for call in box.requests("safetyamp", since)) < acted:
        assert monotonic() < end, "the command wrote too little"
        sleep(0.02)
    running.send_signal(how)
    printed, errors = running.communicate(timeout=600)
    return Answer(running.returncode, printed, errors, box.requests("safetyamp", since))


def undo_when_the_lease_ran_out(box: Sandbox, session: int) -> dict[str, Any]:
    """The document of `undo`, a quarter of an hour later by the ledger's clock."""
    settings = load_settings(box.environment, env_file=None)
    later = timedelta(minutes=14)
    ledger = Ledger.open(box.environment["LEDGER_URL"], clock=lambda: datetime.now(UTC) + later)
    with ledger, closing(safetyamp_client(settings)) as client:
        undoing = Undoing(client, ledger, settings, snapshot_store(settings), LogProgress(), "later")
        undone = undoing.undo(session, "Kim", "")
    return undo_document(undone.planned, undone)


def test_ctrl_c_in_the_midst_of_an_undo_is_one_message_and_one_document(box: Sandbox, tmp_path: Path) -> None:
    before = first_names(box)
    keys = misspell(box, 3)
    in_this_process(box, "sync", "employees")
    session = newest_session(box)
    box.faults.add(FaultRule("slow_answer", system="safetyamp", method="PATCH", delay=3.0))

    answer = cut_short(box, signal.SIGINT, "undo", str(session), "--json", cwd=tmp_path, acted=1)
    again = in_this_process(box, "undo", str(session), "--json")

    assert answer.exit_code == answer.document()["exit_code"] == 1
    (error,) = answer.document()["errors"]
    assert answer.stderr.rstrip().endswith(error["error"])
    assert "Traceback" not in answer.stderr
    assert f"interrupted, and syncing stays paused. `safetyamp undo {session}` again goes on" in error["error"]
    assert (len(answer.writes), again.exit_code, len(again.writes)) == (1, 0, 2)
    assert first_names(box) == before
    assert again.document()["verdicts"] == {"unchanged": 1, "updated": len(keys) - 1}


def test_a_killed_undo_is_brought_to_its_end_by_the_next(box: Sandbox, tmp_path: Path) -> None:
    # given one record set back, one set back without that anybody knows, and one not yet
    before = first_names(box)
    misspell(box, 3)
    in_this_process(box, "sync", "employees")
    session = newest_session(box)
    box.faults.add(FaultRule("slow_answer", system="safetyamp", method="PATCH", delay=600.0, nth=2))
    killed = cut_short(box, signal.SIGKILL, "undo", str(session), cwd=tmp_path, acted=2)
    box.faults.clear()
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        assert (len(ledger.open_intents("employees")), killed.exit_code) == (1, -signal.SIGKILL)

        # when it is tried at once: the dead process holds nothing, and its call waited for no budget of a minute
        again = in_this_process(box, "undo", str(session), "--json", API_RATE_LIMIT_PERIOD="5")
        document = again.document()

        # then what was missing is done, what was lost is looked up, and syncing is paused all the time
        assert len(again.writes) == 1
        assert (document["exit_code"], document["verdicts"]) == (0, {"unchanged": 2, "updated": 1})
        assert document["paused"]["reason"] == f"undo of session {session}"
        assert first_names(box) == before
        assert ledger.open_intents("employees") == []
        assert [one.status for one in ledger.sessions(3)] == ["done", "abandoned", "done"]


def test_what_a_killed_push_had_done_without_an_answer_can_be_taken_back(box: Sandbox, tmp_path: Path) -> None:
    before = first_names(box)
    (key,) = misspell(box, 1)
    box.faults.add(FaultRule("slow_answer", system="safetyamp", method="PATCH", delay=600.0))
    cut_short(box, signal.SIGKILL, "sync", "employees", cwd=tmp_path, acted=1)
    box.faults.clear()
    session = newest_session(box)
    assert first_names(box)[key] == "Misspelt"

    first = undo_when_the_lease_ran_out(box, session)
    second = in_this_process(box, "undo", str(session), "--json")

    # The first has nothing to set back as far as the ledger knows, and looks the lost answer up.
    assert (first["unanswered"], first["writes"], first["exit_code"]) == (1, 0, 1)
    assert (second.exit_code, len(second.writes), second.document()["unanswered"]) == (0, 1, 0)
    assert first_names(box) == before
