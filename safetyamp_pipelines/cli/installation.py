"""The commands of whoever installs: `doctor`, `migrate` and `config show`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from itertools import chain
from typing import Any

import typer
from rich.markup import escape

from safetyamp_pipelines.cli.rendering import show_pairs
from safetyamp_pipelines.cli.shell import (
    REFUSED,
    AsJson,
    command_group,
    console,
    print_json,
    respond,
    with_ledger,
    with_settings,
)
from safetyamp_pipelines.jira.api import jira_client
from safetyamp_pipelines.jira.book import open_book
from safetyamp_pipelines.jira.instances import instances_of
from safetyamp_pipelines.operations.diagnosis import diagnose
from safetyamp_pipelines.operations.doctor import Finding, examine
from safetyamp_pipelines.settings.loading import has_dagster_home
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import SyncError

config = command_group("Show the settings and where each comes from.")


def doctor(as_json: AsJson = False) -> None:
    """Test every outside system, the ledger and the snapshot store; exit code 2 when one fails."""
    findings = []
    with with_settings(as_json) as settings:
        for finding in chain(examine(settings), _home_findings(), _jira_findings(settings)):
            findings.append(finding)
            if not as_json:
                mark = "[green]ok    [/]" if finding.ok else "[bold red]failed[/]"
                line = f"{mark} {finding.system:<10} {escape(finding.text)}"
                console(sys.stdout).print(line, highlight=False, soft_wrap=True)
    if as_json:
        print_json({f.system: {"ok": f.ok, "text": f.text} for f in findings})
    raise typer.Exit(0 if all(finding.ok for finding in findings) else REFUSED)


def migrate(as_json: AsJson = False) -> None:
    """Create the ledger, or bring it to the revision of this release."""
    with with_ledger(as_json, create=True, writes=True) as (ledger, _):
        respond(as_json, {"migrated": True}, [f"{ledger.name} has the tables of this release"])


@config.callback()
def _group() -> None:
    """A callback keeps Typer from making the only command the whole group."""


@config.command("show")
def config_show(as_json: AsJson = False) -> None:
    """Show every setting and where it comes from, secrets masked, and the rules of sync.yaml."""
    with with_settings(as_json) as settings:
        rules = settings.sync_config().model_dump(mode="json")
    if as_json:
        print_json({"settings": settings.masked(), "sync.yaml": rules})
        return
    show_pairs(console(sys.stdout), "Settings", settings.masked())
    show_pairs(console(sys.stdout), "sync.yaml", dict(_flat(rules)))


def _home_findings() -> Iterator[Finding]:
    """Dagster's home, where there is one: whether it can be opened and written, and a push has a slot."""
    if not has_dagster_home():
        return
    try:
        # Brings Dagster, which takes seconds.
        answer = import_module("safetyamp_pipelines.resources.dagster_storage").ask_home()
        yield Finding("dagster home", True, answer)
    except SyncError as error:
        yield Finding("dagster home", False, str(diagnose(error)))


def _jira_findings(settings: Settings) -> Iterator[Finding]:
    """One finding for each instance and its database, for `doctor`; none where no Jira is configured."""
    try:
        instances = instances_of(settings)
    except SyncError as error:
        yield Finding("jira", False, str(diagnose(error)))
        return
    for instance in instances:
        try:
            with closing(jira_client(instance, settings)) as client:
                yield Finding(f"jira {instance.name}", True, client.check())
        except SyncError as error:
            yield Finding(f"jira {instance.name}", False, str(diagnose(error)))
    if instances:
        try:
            with closing(open_book(settings)) as book:
                newest = book.newest()
                yield Finding("jira tables", True, f"open, migrated; mapping version {newest.version if newest else 0}")
        except SyncError as error:
            yield Finding("jira tables", False, str(diagnose(error)))


def _flat(rules: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in rules.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value, ensure_ascii=False)
