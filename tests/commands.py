"""Runs `safetyamp` as an operator does and keeps what was to be seen; as a process where that adds something."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from safetyamp_pipelines.cli.main import app
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import RequestRecord, Sandbox, TargetOptions, WorldSpec
from safetyamp_pipelines.settings.loading import child_environment
from safetyamp_pipelines.sync.model.errors import SyncError

COMMAND = Path(sys.executable).with_name("safetyamp")
BESIDE = re.compile(r"(read|push) {3}\w+ |ledger: |\d{4}-\d\d-\d\dT[\d:.]+Z ")
SECRETS = ("SAFETYAMP_TOKEN", "SAMSARA_API_KEY", "MS_GRAPH_CLIENT_SECRET")


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code, what it printed, and what SafetyAmp was asked meanwhile."""

    exit_code: int
    stdout: str
    stderr: str
    calls: list[RequestRecord]

    @property
    def writes(self) -> list[RequestRecord]:
        """The requests that asked SafetyAmp for a change."""
        return [call for call in self.calls if call.method != "GET"]

    @property
    def told(self) -> list[str]:
        """Standard error without the log, the lines on how far the run is, and which ledger it uses."""
        return [line for line in self.stderr.splitlines() if not BESIDE.match(line)]

    def document(self) -> dict[str, Any]:
        """Standard output as the one JSON document that it must be."""
        document = json.loads(self.stdout)
        assert isinstance(document, dict)
        return document


def small_world(*, home: Path | None = None, **options: Any) -> Sandbox:
    """A sandbox small enough that a command costs little more than its start."""
    return Sandbox(WorldSpec(employees=12, jobs=6, vehicles=3), TargetOptions(calls=100_000, **options), home=home)


def environment_of(box: Sandbox, changes: dict[str, str | None]) -> dict[str, str]:
    """This machine's environment with what leads to the sandbox; None in `changes` takes a variable away."""
    merged = {**child_environment(box.environment), "FORCE_COLOR": None, "DAGSTER_HOME": None, **changes}
    return {name: text for name, text in merged.items() if text is not None}


def begin_ledger(box: Sandbox, changes: Mapping[str, str | None]) -> None:
    """The ledger of an installation that has synced before: commands that ask or decide begin none."""
    with suppress(SyncError):  # the command itself reports what is wrong with it
        Ledger.open(changes.get("LEDGER_URL") or box.environment["LEDGER_URL"]).close()


def as_process(box: Sandbox, *arguments: str, cwd: Path, begun: bool = True, **changes: str | None) -> Answer:
    """Run the installed command, where a ledger was begun."""
    if begun:
        begin_ledger(box, changes)
    since = len(box.requests())
    ended = subprocess.run(
        [COMMAND, *arguments], env=environment_of(box, changes), cwd=cwd, capture_output=True, text=True, timeout=900
    )
    return Answer(ended.returncode, ended.stdout, ended.stderr, box.requests("safetyamp", since))


def in_this_process(
    box: Sandbox, *arguments: str, begun: bool = True, typed: str | None = None, **changes: str | None
) -> Answer:
    """Run the same command without the seconds that a new process takes to import Dagster. `typed` is what a person
    answers."""
    if begun:
        begin_ledger(box, changes)
    since = len(box.requests())
    environment = {**box.environment, "DAGSTER_HOME": None, **changes}
    ended = CliRunner().invoke(app, list(arguments), env=environment, input=typed, catch_exceptions=False)
    return Answer(ended.exit_code, ended.stdout, ended.stderr, box.requests("safetyamp", since))


def planned_hash(answer: Answer) -> str:
    """The hash that `safetyamp plan` shows of its one plan."""
    (line,) = (line for line in answer.stdout.splitlines() if "  plan " in line)
    return line.rpartition("plan ")[2].strip()


def assert_nothing_leaks(box: Sandbox, answer: Answer) -> None:
    """No trace, no secret and no person's value in anything printed."""
    printed = answer.stdout + answer.stderr
    assert "Traceback" not in printed
    assert not [name for name in SECRETS if box.environment[name] in printed]
    for row in box.world.viewpoint["bPREH"]:
        for column in ("LastName", "Email", "CellPhone", "Address"):
            value = str(row[column] or "").strip()
            assert not value or not re.search(rf"\b{re.escape(value)}\b", printed), column


def assert_declined(answer: Answer, *words: str) -> None:
    """An operator's command: exit code 2, no call, nothing on standard output, and one message with these words."""
    assert (answer.exit_code, answer.stdout, answer.calls) == (2, "", []), answer.stderr
    assert [word for word in words if word not in answer.stderr] == []
    assert "Traceback" not in answer.stderr


def assert_refused(box: Sandbox, answer: Answer, *words: str) -> None:
    """One message that holds these words, exit code 2, and SafetyAmp as it was."""
    assert answer.exit_code == 2, answer.stdout + answer.stderr
    assert answer.writes == []
    assert answer.stdout == ""
    message, *more = answer.told
    assert more == ["Nothing was written to SafetyAmp."]
    assert [word for word in words if word not in message] == []
    assert_nothing_leaks(box, answer)
