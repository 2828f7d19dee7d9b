"""The command `safetyamp`: the list of its commands. The module of a command is imported when it is invoked, so that
`--help` and light commands do not wait for Dagster and SQLAlchemy."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command as command_of

if TYPE_CHECKING:
    from typer._click import Command, Context


@dataclass(frozen=True)
class Entry:
    """Where a command, or a Typer with several, is found in `cli/`, and its line in the help."""

    module: str
    name: str
    summary: str

    def load(self, command: str) -> Command:
        """The command itself; imports its module."""
        found = getattr(import_module(f"safetyamp_pipelines.cli.{self.module}"), self.name)
        gc.freeze()  # what modules made stays: `explain` spent a twentieth of its time on finding that out
        if isinstance(found, typer.Typer):
            return command_of(found)
        single = typer.Typer(add_completion=False, **PLAIN)
        single.command(command)(found)
        return command_of(single)


COMMANDS = {
    "sync": Entry("run_entities", "sync", "Snapshot, plan and push."),
    "plan": Entry("run_entities", "plan", "Show what a sync would change, before → after. Writes nothing."),
    "apply": Entry("undo", "apply", "Push exactly the plan that you reviewed, as far as it still applies."),
    "compare": Entry("compare", "compare", "Show what other rules, another plan or another release would change."),
    "status": Entry("overview", "status", "Show what is running, what the last pushes did, and what waits for people."),
    "explain": Entry("lookup", "explain", "Explain why a record looks as it does in SafetyAmp, or why it is missing."),
    "drift": Entry("csv_report", "drift", "List what people entered in SafetyAmp that the source lacks."),
    "history": Entry("overview", "history", "List the last pushes, newest first, or the changes of one."),
    "report": Entry("csv_report", "report", "List every change in a range of days, for spreadsheets."),
    "pause": Entry("operate", "pause", "Stop pushes between two calls, and let none start until `resume`."),
    "resume": Entry("operate", "resume", "End the pause."),
    "approve": Entry("operate", "approve", "Allow the push of exactly the changes that a guard holds."),
    "refuse": Entry("decide", "refuse", "Do not push changes that a guard holds, until they change."),
    "later": Entry("decide", "later", "Put off changes that a guard holds, and ask again at a later time."),
    "decide": Entry("decide", "decide", "Decide about a record that waits for a person."),
    "decisions": Entry("decide", "decisions", "List what people decided about single records, and what became of it."),
    "undo": Entry("undo", "undo", "Revert what one push wrote, where nobody has changed it since."),
    "failures": Entry("operate", "failures", "List, retry or dismiss the records that SafetyAmp refused."),
    "link": Entry("decide", "link", "Link a source record to a SafetyAmp record by hand."),
    "links": Entry("decide", "links", "List the links between source and SafetyAmp records."),
    "unlink": Entry("operate", "unlink", "Remove a wrong link; the next plan matches the record anew."),
    "unlinked": Entry("operate", "unlinked", "List the links that people removed: who, when and why."),
    "forget": Entry("undo", "forget", "Erase a person's values from the ledger and every stored snapshot."),
    "serve": Entry("serve", "serve", "Serve the desk: pages for people, and endpoints for machines."),
    "alerts": Entry("alerts", "alerts", "Test the alert channels, or show the problems they know."),
    "jira": Entry("jira", "jira", "Read Jira issues into a table, through a mapping of fields to columns."),
    "doctor": Entry("installation", "doctor", "Test every outside system, the ledger and the snapshot store."),
    "migrate": Entry("installation", "migrate", "Create the ledger, or bring it to the revision of this release."),
    "config": Entry("installation", "config", "Show the settings and where each comes from."),
}


class LazyGroup(TyperGroup):
    """Lists all commands by their lines above, and imports only the one that is invoked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Stand-ins that know name and help, which is all that a listing needs.
        self.commands = {name: TyperCommand(name, help=entry.summary) for name, entry in COMMANDS.items()}

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The real command, also for completion of its options."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else COMMANDS[name].load(name), rest


PLAIN: dict[str, Any] = {"pretty_exceptions_enable": False, "rich_markup_mode": None}
"""Help in plain text: the other way takes longer to import than all the rest of it."""

app = typer.Typer(cls=LazyGroup, no_args_is_help=True, **PLAIN)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(import_module("importlib.metadata").version("safetyamp-pipelines"))  # slow, and of use here alone
        raise typer.Exit


@app.callback()
def safetyamp(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Keeps SafetyAmp in step with its sources."""
