"""What every command shares: settings, the open ledger, one message for a refusal, lines and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safetyamp_pipelines.ledger.ledger import Ledger
from safetyamp_pipelines.operations.diagnosis import diagnose
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.logs import configure_logging
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.errors import PushStopped, Refusal, SyncError
from safetyamp_pipelines.sync.model.text import displayed, displayed_json, displayed_lines

if TYPE_CHECKING:
    from rich.console import Console

    from safetyamp_pipelines.settings.model import Settings

_ledger_name: ContextVar[str | None] = ContextVar("ledger_name", default=None)
FAILED, REFUSED, WORK_LEFT = 1, 2, 3
LARGEST = 2**31 - 1
"""The largest number that every database takes."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; others read it.")]
By = Annotated[str | None, typer.Option("--by", help="Who decides; your login name without it.")]


def complete_entity(incomplete: str) -> list[str]:
    """The entities whose names begin so, for the shell's completion."""
    return [name for name in BY_NAME if name.startswith(incomplete)]


EntityName = Annotated[str, typer.Argument(help="An entity, such as employees.", autocompletion=complete_entity)]
OneEntity = Annotated[
    str | None, typer.Option("--entity", help="Only this entity, such as employees.", autocompletion=complete_entity)
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit code 3 when all else is well and records wait for people.")
]
Key = Annotated[str, typer.Argument(help="The source key, such as an employee number.")]


def command_group(about: str) -> typer.Typer:
    """An empty group of commands such as `failures …`, with help in plain text."""
    options: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}
    return typer.Typer(help=about, no_args_is_help=True, **options)


@contextmanager
def with_settings(as_json: bool = False, *, empty: Mapping[str, Any] | None = None) -> Iterator[Settings]:
    """The settings of a command; a SyncError inside ends it with one message and exit code 2, or 1 after a push began.

    With `as_json` the message is also the JSON document: `empty`, the errors, and the exit code. Without LOG_LEVEL a
    command logs warnings only, since it reports what it did itself.
    """
    _ledger_name.set(None)
    try:
        settings = load_settings()
        level = settings.log_level if "log_level" in settings.model_fields_set else "WARNING"
        configure_logging(settings.log_format, level, file=settings.log_file)
        yield settings
    except SyncError as error:
        exit_code = FAILED if isinstance(error, PushStopped) else REFUSED
        text = str(diagnose(error))
        console(sys.stderr).print(
            displayed_lines(text), style="bold red", highlight=False, soft_wrap=True, markup=False
        )
        if as_json:
            errors = [{"error": line, "steps": []} for line in text.splitlines()]
            print_json({**(empty or {}), "errors": errors, "exit_code": exit_code})
        raise typer.Exit(exit_code) from error


@contextmanager
def with_ledger(
    as_json: bool = False,
    *,
    empty: Mapping[str, Any] | None = None,
    create: bool = False,
    writes: bool = False,
    migrates: bool = True,
) -> Iterator[tuple[Ledger, Settings]]:
    """The open ledger and the settings, as `with_settings`. No command that asks or decides may `create` one: in an
    empty ledger nothing is paused and nothing is known. Which one it is, is on stderr, and in the JSON document."""
    with (
        with_settings(as_json, empty=empty) as settings,
        Ledger.open(settings.ledger_url.get_secret_value(), create=create, writes=writes, migrates=migrates) as ledger,
    ):
        typer.secho(f"ledger: {ledger.name}", err=True, dim=True)
        _ledger_name.set(ledger.name)
        yield ledger, settings


def respond(as_json: bool, document: object, lines: Iterable[str]) -> None:
    """The answer of a command on standard output: its JSON document if asked, else its lines."""
    if as_json:
        print_json(document)
    else:
        print_lines(*lines)


def print_json(document: object) -> None:
    """One JSON document on standard output; an object of a command with a ledger says which."""
    if isinstance(document, dict) and (name := _ledger_name.get()) is not None:
        document = {**document, "ledger_used": name}
    sys.stdout.write(displayed_json(json.dumps(document, ensure_ascii=False, indent=2)) + "\n")


def print_lines(*lines: str) -> None:
    """Plain lines on standard output; whatever outside text they hold steers no terminal and begins no line."""
    for line in lines:
        typer.echo(displayed(line, None))


def console(stream: Any) -> Console:
    """A console that never cuts a line short where no terminal gives it a width."""
    from rich.console import Console  # a tenth of what `status` imports, and of use for tables, progress and errors

    return Console(file=stream) if stream.isatty() else Console(file=stream, width=10_000, force_terminal=False)


def require_text(**options: str) -> None:
    """Refusal for an option that is blank."""
    for name, text in options.items():
        if not text.strip():
            raise Refusal(f"--{name} must not be empty")


def require_consent(question: str) -> None:
    """Ask before a person is erased; any answer but yes, and none, as in a script, is a Refusal."""
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise Refusal("nothing was forgotten, since nobody agreed to it: answer y, or give --yes")


def read_file(path: Path) -> str:
    """The text of a file that somebody gave. Raises Refusal when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} cannot be read ({type(error).__name__}): give a readable UTF-8 file") from error


def write_file(path: Path, content: bytes) -> None:
    """Write a file that somebody asked for. Raises Refusal when it cannot be written."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Refusal(f"{path} cannot be written ({error.strerror}): name another file") from error
