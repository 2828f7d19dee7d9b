"""The commands `sync` and `plan`, which run the job of the same name in Dagster. The run itself: `running.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safetyamp_pipelines.cli.rendering import TerminalProgress, show_causes, show_forecast, show_plan, show_result
from safetyamp_pipelines.cli.shell import (
    REFUSED,
    WORK_LEFT,
    AsJson,
    Strict,
    complete_entity,
    console,
    print_json,
    with_ledger,
    with_settings,
    write_file,
)
from safetyamp_pipelines.desk.plan_file import plan_file
from safetyamp_pipelines.operations.plan_step import load_stored
from safetyamp_pipelines.operations.plan_view import PLAN_COLUMNS, plan_rows, plan_view
from safetyamp_pipelines.operations.sheet import workbook
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES, entity_named
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

if TYPE_CHECKING:
    from safetyamp_pipelines.cli.running import Ran
    from safetyamp_pipelines.settings.model import Settings, System

SYSTEMS: dict[str, System] = {"viewpoint": "viewpoint", "entra": "entra", "samsara": "samsara"}
WORK = ("rejected", "held", "failed")

Names = Annotated[
    list[str] | None,
    typer.Argument(help=f"Some of: {', '.join(BY_NAME)}. All without any.", autocompletion=complete_entity),
]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="Only this source key of the one entity named, such as 100482; may be repeated."),
]


def sync(
    entities: Names = None,
    key: Keys = None,
    as_json: AsJson = False,
    strict: Strict = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only; write nothing.")] = False,
) -> None:
    """Snapshot, plan and push. Exit code 0 in step, 1 something failed, 2 refused; with --strict 3 when people have
    work. Ctrl-C at any moment is safe: run it again."""
    ran, settings = _run(entities, key, push=not dry_run, as_json=as_json)
    _report(ran, settings, as_json=as_json, pushed=not dry_run, strict=strict)


def plan(
    entities: Names = None,
    key: Keys = None,
    as_json: AsJson = False,
    strict: Strict = False,
    html: Annotated[
        Path | None, typer.Option(help="Write the plan as one page, for people who get it by mail.")
    ] = None,
    xlsx: Annotated[Path | None, typer.Option(help="Write the plan as an Excel file, one row a field.")] = None,
) -> None:
    """Show what a sync would change, before → after. Writes nothing to SafetyAmp."""
    ran, settings = _run(entities, key, push=False, as_json=as_json)
    if ran.plans and (html is not None or xlsx is not None):
        _write_files(ran, html, xlsx)
    _report(ran, settings, as_json=as_json, pushed=False, strict=strict)


def _run(entities: list[str] | None, keys: list[str] | None, *, push: bool, as_json: bool) -> tuple[Ran, Settings]:
    with with_settings(as_json, empty={"entities": {}, "writes": 0, "calls": 0}) as settings:
        chosen = [entity_named(name).name for name in entities] if entities else _all(settings, push=push)
        settings.require(*_systems_for(chosen))
        if keys and len(chosen) != 1:
            raise Refusal("--key needs the one entity it is a key of, as in `safetyamp sync employees --key 100482`")
        # Dagster takes seconds to import: a wrong setting or name is reported before that.
        from safetyamp_pipelines.cli.running import run_entities

        with TerminalProgress(console(sys.stderr), settings.seconds_a_call) as progress:
            return run_entities(chosen, push=push, environ=None, progress=progress, keys=keys or ()), settings


def _all(settings: Settings, *, push: bool) -> list[str]:
    """The entities of a command that names none: a sync leaves out those that take no part in it by sync.yaml."""
    config = settings.sync_config()
    return [spec.name for spec in ENTITIES if not push or config.of(spec).in_sync_all]


def _systems_for(entities: list[str]) -> list[System]:
    """The outside systems that these entities, and the plans before them, read or write."""
    specs = [BY_NAME[name] for name in entities]
    specs += [BY_NAME[name] for spec in specs for name in spec.after]
    return sorted({"safetyamp", *(SYSTEMS[source.partition("/")[0]] for spec in specs for source in spec.sources)})


def _report(ran: Ran, settings: Settings, *, as_json: bool, pushed: bool, strict: bool) -> None:
    """What was refused is explained by its causes alone."""
    if as_json:
        print_json(ran.as_json())
    elif ran.exit_code != REFUSED or ran.writes or (not pushed and ran.is_guarded):
        for name, names in ran.names.items():
            show_plan(console(sys.stdout), ran.plans[name], names)
        show_result(console(sys.stdout), ran, ran.names, pushed=pushed)
        if not pushed:
            calls = sum(len(made.changes) for made in ran.plans.values())
            show_forecast(console(sys.stdout), calls, settings.api_rate_limit_calls, settings.api_rate_limit_period)
    show_causes(console(sys.stderr), ran)
    has_work = any(counts.get(name) for counts in ran.verdicts.values() for name in WORK)
    raise typer.Exit(WORK_LEFT if strict and ran.exit_code == 0 and has_work else ran.exit_code)


def _write_files(ran: Ran, html: Path | None, xlsx: Path | None) -> None:
    """The plans that were just made, as files that need nothing else."""
    with with_ledger() as (ledger, settings):
        store, config = snapshot_store(settings), settings.sync_config()
        made = [spec for spec in ENTITIES if spec.name in ran.plans]
        views = [plan_view(load_stored(spec, store, ledger, config, trials=True)) for spec in made]
        if html is not None:
            write_file(html, plan_file(views, config.schedule.timezone).encode())
        if xlsx is not None:
            sheets = {view["entity"]: (PLAN_COLUMNS, list(plan_rows(view))) for view in views}
            about = "; ".join(f"plan of {view['entity']} {view['hash']}" for view in views)
            write_file(xlsx, workbook(sheets, about=about))
