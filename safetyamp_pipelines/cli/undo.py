"""The commands that take back and forget: undo, forget. The work is in `resources/undoing.py` and `answers/`."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from safetyamp_pipelines.cli.shell import LARGEST, console, ledger_and_settings, print_json, say, who_am_i
from safetyamp_pipelines.sync.model.errors import PushStopped, Refusal

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the `safetyamp` command."""
    app.command()(undo)
    app.command()(forget)


def undo(
    session: Annotated[int, typer.Argument(max=LARGEST, help="The number of a session, from `safetyamp history`.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be set back; write nothing.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; others read it with the pause.")] = "",
    by: Annotated[str | None, typer.Option("--by", help="Who decides; your login name without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set back what one push wrote, where SafetyAmp still says so. Syncing is paused first, and stays paused."""
    from safetyamp_pipelines.answers.undone import told_plan, told_undo, undo_document
    from safetyamp_pipelines.cli.rendering import TerminalProgress
    from safetyamp_pipelines.operations.undo_step import Undoing
    from safetyamp_pipelines.systems.safetyamp import safetyamp_client
    from safetyamp_pipelines.systems.snapshots.store import snapshot_store

    with (
        ledger_and_settings(as_json) as (ledger, settings),
        closing(safetyamp_client(settings)) as client,
        TerminalProgress(console(sys.stderr)) as progress,
        _interrupts_told(session),
    ):
        run_id = str(uuid.uuid4())
        undoing = Undoing(client, ledger, settings, snapshot_store(settings), progress, run_id)
        undone = None if dry_run else undoing.undo(session, by or who_am_i(), reason)
        planned = undoing.plan(session) if undone is None else undone.planned
    document = undo_document(planned, undone)
    if as_json:
        print_json(document)
    else:
        say(*(told_plan(planned.plan) if dry_run else ()), *told_undo(document))
    raise typer.Exit(document["exit_code"])


def forget(
    noun: Annotated[str, typer.Argument(help="What it is: only an employee is forgotten.")],
    key: Annotated[str, typer.Argument(help="The source key, an employee number.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; it cannot be taken back.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who decides; your login name without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take a person's values out of the ledger and of every kept snapshot and plan. Counts and keys stay."""
    from safetyamp_pipelines.operations.forget.forgetting import Forgetting, told_forgotten
    from safetyamp_pipelines.systems.snapshots.store import snapshot_store

    with ledger_and_settings(as_json) as (ledger, settings):
        if noun not in ("employee", "employees"):
            raise Refusal(f"only an employee is forgotten, and a {noun} is no person")
        if not yes and not _is_agreed(key):
            raise Refusal("nothing was forgotten, since nobody agreed to it: answer y, or give --yes")
        store, rules = snapshot_store(settings), settings.sync_config()
        forgetting = Forgetting(ledger, store, rules, by or who_am_i(), lambda: datetime.now(UTC))
        document = forgetting.forget(key.strip())
    if as_json:
        print_json(document)
    else:
        say(*told_forgotten(document))


def _is_agreed(key: str) -> bool:
    """What a person answers; without one, as in a script, it is no."""
    question = f"Take every value of employee {key} out of the ledger, the snapshots and the plans, for good?"
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


@contextmanager
def _interrupts_told(session: int) -> Iterator[None]:
    """A push that Ctrl-C stopped between two calls is told in one message, as any other that ended before its end."""
    from dagster._core.errors import DagsterExecutionInterruptedError

    try:
        yield
    except DagsterExecutionInterruptedError:
        raise PushStopped(
            f"interrupted, and syncing stays paused. `safetyamp undo {session}` again goes on: it looks up what was "
            "under way, and sends nothing twice"
        ) from None
