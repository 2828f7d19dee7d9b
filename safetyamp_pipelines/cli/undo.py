"""The commands that push a stored plan, revert a push and erase a person: apply, undo, forget. The work:
`operations/apply_step.py`, `operations/undo_step.py`, `operations/forget/`."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from safetyamp_pipelines.cli.rendering import TerminalProgress
from safetyamp_pipelines.cli.shell import (
    FAILED,
    LARGEST,
    AsJson,
    By,
    Key,
    console,
    require_consent,
    respond,
    with_ledger,
)
from safetyamp_pipelines.jira.book import open_book
from safetyamp_pipelines.jira.redaction import forget_names
from safetyamp_pipelines.operations.apply_step import Applying, apply_document, render_applied
from safetyamp_pipelines.operations.forget.forgetting import Forgetting, render_forgotten
from safetyamp_pipelines.operations.plan_step import plan_named
from safetyamp_pipelines.operations.undo_step import Undoing, render_plan, render_undo, undo_document
from safetyamp_pipelines.settings.loading import login_name
from safetyamp_pipelines.sync.model.errors import PushStopped, Refusal
from safetyamp_pipelines.systems.safetyamp import safetyamp_client
from safetyamp_pipelines.systems.snapshots.store import snapshot_store


def apply(
    plan: Annotated[str, typer.Argument(help="The hash of a plan, or its first 8 characters, from `safetyamp plan`.")],
    as_json: AsJson = False,
) -> None:
    """Push exactly the plan that you reviewed. Records that differ in SafetyAmp by now are left out and named."""
    again = f"interrupted. `safetyamp apply {plan}` again goes on"
    with (
        with_ledger(as_json, empty={"entities": {}, "writes": 0, "calls": 0}) as (ledger, settings),
        TerminalProgress(console(sys.stderr), settings.seconds_a_call) as progress,
        _interrupt_reported(again),
    ):
        store = snapshot_store(settings)
        ref = plan_named(store, plan)
        with closing(safetyamp_client(settings)) as client:
            applied = Applying(client, ledger, settings, store, progress, ref.run_id).apply(ref)
    document = apply_document(applied)
    respond(as_json, document, render_applied(document))
    raise typer.Exit(document["exit_code"])


def undo(
    session: Annotated[int, typer.Argument(max=LARGEST, help="The number of a session, from `safetyamp history`.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be set back; write nothing.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; others read it with the pause.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Revert what one push wrote, where nobody has changed it since. Syncing is paused first, and stays paused."""
    with (
        with_ledger(as_json) as (ledger, settings),
        closing(safetyamp_client(settings)) as client,
        TerminalProgress(console(sys.stderr), settings.seconds_a_call) as progress,
        _interrupt_reported(f"interrupted, and syncing stays paused. `safetyamp undo {session}` again goes on"),
    ):
        run_id = str(uuid.uuid4())
        undoing = Undoing(client, ledger, settings, snapshot_store(settings), progress, run_id)
        undone = None if dry_run else undoing.undo(session, by or login_name(), reason)
        planned = undoing.plan(session) if undone is None else undone.planned
    document = undo_document(planned, undone)
    respond(as_json, document, [*(render_plan(planned.plan) if dry_run else ()), *render_undo(document)])
    raise typer.Exit(document["exit_code"])


def _in_jira(names: int, shared: int, rows: Mapping[str, int]) -> Iterator[str]:
    """What was erased from the Jira tables, which know people by name, and what is left to do there."""
    yield f"erased from {sum(rows.values())} rows of the Jira tables by {names} names and addresses"
    if shared:
        yield f"{shared} that others share were left: see whom they mean there, then `safetyamp jira forget NAME`"
    yield "erase them in Jira as well, or the next read brings them back; an account id: `safetyamp jira forget ID`"


def forget(
    noun: Annotated[str, typer.Argument(help="`employee`: nothing else can be forgotten.")],
    key: Key,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation; this cannot be undone.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Erase a person's values from the ledger, every stored snapshot and plan, and the Jira tables. Counts and keys
    stay."""
    with with_ledger(as_json) as (ledger, settings):
        if noun not in ("employee", "employees"):
            raise Refusal(f"only an employee can be forgotten, and a {noun} is not a person")
        if not yes:
            require_consent(
                f"Erase every value of employee {key} from the ledger, the snapshots and the plans, for good?"
            )
        store, rules = snapshot_store(settings), settings.sync_config()
        forgetting = Forgetting(ledger, store, rules, by or login_name(), lambda: datetime.now(UTC))
        in_jira: list[str] = []
        rows: dict[str, int] = {}
        is_erased = True
        if settings.has_jira:  # first, since their names are erased afterwards
            names, shared = forgetting.names_of(key.strip())
            with closing(open_book(settings)) as book:
                rows, is_erased = forget_names(book, names)
            in_jira = [*_in_jira(len(names), shared, rows)]
        document = {**forgetting.forget(key.strip()), "jira": settings.has_jira, "jira_rows": rows}
        document["is_erased"] = document["is_erased"] and is_erased
    respond(as_json, document, [*render_forgotten(document), *in_jira])
    raise typer.Exit(0 if document["is_erased"] else FAILED)


@contextmanager
def _interrupt_reported(again: str) -> Iterator[None]:
    """Report a push that Ctrl-C stopped between two calls in one message, like any other that was cut short."""
    try:
        yield
    except KeyboardInterrupt:
        raise PushStopped(f"{again}: it looks up what was under way, and sends nothing twice") from None
