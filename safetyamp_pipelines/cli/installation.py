"""The commands `doctor` and `config show`: do the outside systems answer, and what is this installation set to?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import typer
from rich.markup import escape

from safetyamp_pipelines.cli.rendering import show_pairs
from safetyamp_pipelines.cli.shell import REFUSED, AsJson, command_group, console, print_json, with_settings
from safetyamp_pipelines.operations.doctor import examine

config = command_group("What this installation is set to.")


def doctor(as_json: AsJson = False) -> None:
    """Ask every outside system one question; exit code 2 when one fails."""
    with with_settings(as_json) as settings:
        findings = list(examine(settings))
    if as_json:
        print_json({f.system: {"ok": f.ok, "text": f.text} for f in findings})
    else:
        for finding in findings:
            mark = "[green]ok    [/]" if finding.ok else "[bold red]failed[/]"
            line = f"{mark} {finding.system:<10} {escape(finding.text)}"
            console(sys.stdout).print(line, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else REFUSED)


@config.callback()
def _group() -> None:
    """A callback keeps Typer from making the only command the whole group."""


@config.command("show")
def config_show(as_json: AsJson = False) -> None:
    """Show every setting with where it comes from, secrets masked, and the rules of sync.yaml."""
    with with_settings(as_json) as settings:
        rules = settings.sync_config().model_dump(mode="json")
    if as_json:
        print_json({"settings": settings.masked(), "sync.yaml": rules})
        return
    show_pairs(console(sys.stdout), "Settings", settings.masked())
    show_pairs(console(sys.stdout), "sync.yaml", dict(_flat(rules)))


def _flat(rules: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in rules.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value, ensure_ascii=False)
