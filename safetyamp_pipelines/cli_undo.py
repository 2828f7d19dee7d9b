"""The commands that take back and forget: undo, forget. The work is in `resources/undoing.py` and `answers/`."""

from __future__ import annotations

import sys
import uuid
from contextlib import closing
from typing import Annotated

import typer

from safetyamp_pipelines.cli_shell import console, ledger_and_settings, print_json, say, who_am_i

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the `safetyamp` command."""
    app.command()(undo)


def undo(
    session: Annotated[int, typer.Argument(help="The number of a session, from `safetyamp history`.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be set back; write nothing.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; others read it with the pause.")] = "",
    by: Annotated[str | None, typer.Option("--by", help="Who decides; your login name without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set back what one push wrote, where SafetyAmp still says so. Syncing is paused first, and stays paused."""
    from safetyamp_pipelines.answers.undone import told_plan, told_undo, undo_document
    from safetyamp_pipelines.rendering import TerminalProgress
    from safetyamp_pipelines.resources.safetyamp import safetyamp_client
    from safetyamp_pipelines.resources.snapshot_store import snapshot_store
    from safetyamp_pipelines.resources.undoing import Undoing

    with (
        ledger_and_settings(as_json) as (ledger, settings),
        closing(safetyamp_client(settings)) as client,
        TerminalProgress(console(sys.stderr)) as progress,
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
