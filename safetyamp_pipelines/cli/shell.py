"""What the operators' commands share: settings, one message for a refusal, consoles and JSON. No command is here."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from safetyamp_pipelines.operations.advice import told
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.logs import configure_logging
from safetyamp_pipelines.sync.model.errors import PushStopped, Refusal, SyncError

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger
    from safetyamp_pipelines.settings.model import Settings

FAILED, REFUSED = 1, 2
LARGEST = 2**31 - 1
"""The largest number that every database takes."""


@contextmanager
def ledger_and_settings(as_json: bool = False) -> Iterator[tuple[Ledger, Settings]]:
    """The settings and their open ledger; a SyncError inside is told as by `only_settings`."""
    from safetyamp_pipelines.ledger import Ledger

    with only_settings(as_json) as settings, Ledger.open(settings.ledger_url.get_secret_value()) as ledger:
        yield ledger, settings


@contextmanager
def only_settings(as_json: bool = False) -> Iterator[Settings]:
    """The settings; a SyncError inside becomes one clear message and exit code 2, or 1 when a push had begun."""
    try:
        settings = load_settings()
        level = settings.log_level if "log_level" in settings.model_fields_set else "WARNING"
        configure_logging(settings.log_format, level)
        yield settings
    except SyncError as error:
        exit_code = FAILED if isinstance(error, PushStopped) else REFUSED
        text = told(error)
        console(sys.stderr).print(text, style="bold red", highlight=False, soft_wrap=True, markup=False)
        if as_json:
            print_json({"errors": [{"error": line} for line in text.splitlines()], "exit_code": exit_code})
        raise typer.Exit(exit_code) from error


def console(stream: Any) -> Console:
    """A console that never cuts a line short where no terminal gives it a width."""
    return Console(file=stream) if stream.isatty() else Console(file=stream, width=10_000, force_terminal=False)


def say(*lines: str) -> None:
    """Plain lines on standard output, as they are."""
    for line in lines:
        console(sys.stdout).print(line, highlight=False, soft_wrap=True, markup=False)


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def require_entity(name: str | None) -> None:
    """Refusal for a name that is no entity's: its empty list would be mistaken for an answer."""
    from safetyamp_pipelines.sync.entities.registry import BY_NAME

    if name is not None and name not in BY_NAME:
        raise Refusal(f"no such entity: {name}. There are {', '.join(BY_NAME)}")


def who_am_i() -> str:
    """The login name of whoever runs the command; "unknown" where the machine knows none, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, or none of the variables that tell it
        return "unknown"
