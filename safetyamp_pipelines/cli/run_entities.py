"""The commands `sync` and `plan`, which run the job of the same name in Dagster. The run itself: `running.py`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from safetyamp_pipelines.cli.rendering import TerminalProgress, show_causes, show_plan, show_result
from safetyamp_pipelines.cli.shell import REFUSED, AsJson, console, print_json, with_settings
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.errors import Refusal

if TYPE_CHECKING:
    from safetyamp_pipelines.cli.running import Ran
    from safetyamp_pipelines.settings.model import System

SYSTEMS: dict[str, System] = {"viewpoint": "viewpoint", "entra": "entra", "samsara": "samsara"}

Names = Annotated[list[str] | None, typer.Argument(help=f"Some of: {', '.join(BY_NAME)}. All without any.")]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="Only this source key of the one entity named, such as 100482; may be repeated."),
]


def sync(
    entities: Names = None,
    key: Keys = None,
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only; write nothing.")] = False,
) -> None:
    """Snapshot, plan and push. Exit code 0 in step, 1 something failed, 2 refused."""
    _report(_run(entities, key, push=not dry_run, as_json=as_json), as_json=as_json, pushed=not dry_run)


def plan(entities: Names = None, key: Keys = None, as_json: AsJson = False) -> None:
    """Show what a sync would change, before → after. Writes nothing."""
    _report(_run(entities, key, push=False, as_json=as_json), as_json=as_json, pushed=False)


def _run(entities: list[str] | None, keys: list[str] | None, *, push: bool, as_json: bool) -> Ran:
    chosen = entities or list(BY_NAME)
    with with_settings(as_json, systems=_systems_for(chosen), empty={"entities": {}, "writes": 0, "calls": 0}):
        if unknown := sorted(set(chosen) - set(BY_NAME)):
            raise Refusal(f"no such entity: {', '.join(unknown)}. There are {', '.join(BY_NAME)}")
        if keys and len(chosen) != 1:
            raise Refusal("--key needs the one entity it is a key of, as in `safetyamp sync employees --key 100482`")
        # Dagster takes seconds to import: a wrong setting or name is reported before that.
        from safetyamp_pipelines.cli.running import run_entities

        with TerminalProgress(console(sys.stderr)) as progress:
            return run_entities(chosen, push=push, environ=None, progress=progress, keys=keys or ())


def _systems_for(entities: list[str]) -> list[System]:
    """The outside systems that these entities, and the plans before them, read or write."""
    specs = [BY_NAME[name] for name in entities if name in BY_NAME]
    specs += [BY_NAME[name] for spec in specs for name in spec.after]
    return sorted({"safetyamp", *(SYSTEMS[source.partition("/")[0]] for spec in specs for source in spec.sources)})


def _report(ran: Ran, *, as_json: bool, pushed: bool) -> None:
    """What was refused is explained by its causes alone."""
    if as_json:
        print_json(ran.as_json())
    elif ran.exit_code != REFUSED or ran.writes or (not pushed and ran.is_guarded):
        for made in [] if pushed else ran.plans.values():
            show_plan(console(sys.stdout), made)
        show_result(console(sys.stdout), ran, pushed=pushed)
    show_causes(console(sys.stderr), ran)
    raise typer.Exit(ran.exit_code)
