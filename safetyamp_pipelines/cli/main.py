"""The commands `safetyamp …`. Each loads the settings, calls what does the work, shows it and exits with its code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from safetyamp_pipelines.cli.alerts import alerts
from safetyamp_pipelines.cli.csv_report import register as register_report
from safetyamp_pipelines.cli.operate import register
from safetyamp_pipelines.cli.undo import register as register_undo
from safetyamp_pipelines.cli_links import register as register_links
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.logs import configure_logging
from safetyamp_pipelines.sync.model.errors import Refusal, SyncError

if TYPE_CHECKING:
    from safetyamp_pipelines.cli.running import Ran
    from safetyamp_pipelines.settings.model import Settings, System

ENTITIES = ("departments", "jobs", "titles", "employees", "vehicles")
REFUSED = 2

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Keeps SafetyAmp in step with its sources.",
)
config = typer.Typer(no_args_is_help=True, help="What this installation is set to.")
app.add_typer(config, name="config")
app.add_typer(alerts, name="alerts")

Names = Annotated[list[str] | None, typer.Argument(help=f"Some of: {', '.join(ENTITIES)}. All without any.")]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="Only this source key of the one entity named, such as 100482; may be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]


@app.command()
def sync(
    entities: Names = None,
    key: Keys = None,
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only; write nothing.")] = False,
) -> None:
    """Snapshot, plan and push. Exit code 0 in step, 1 something failed, 2 refused."""
    _finish(_run(entities, key, push=not dry_run, as_json=as_json), as_json=as_json, pushed=not dry_run)


@app.command()
def plan(entities: Names = None, key: Keys = None, as_json: AsJson = False) -> None:
    """Show what a sync would change, before → after. Writes nothing."""
    _finish(_run(entities, key, push=False, as_json=as_json), as_json=as_json, pushed=False)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Ask every outside system one question; exit code 2 when anything is wrong."""
    from safetyamp_pipelines.operations.doctor import examine

    with _refusals(as_json):
        settings = _settings()
        findings = list(examine(settings))
    if as_json:
        _print_json({f.system: {"ok": f.is_well, "text": f.text} for f in findings})
    else:
        for finding in findings:
            mark = "[green]well [/]" if finding.is_well else "[bold red]WRONG[/]"
            _console(sys.stdout).print(f"{mark} {finding.system:<10} {finding.text}", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if all(finding.is_well for finding in findings) else REFUSED)


@config.command("show")
def config_show(as_json: AsJson = False) -> None:
    """Show every setting with where it comes from, secrets masked, and the rules of sync.yaml."""
    from safetyamp_pipelines.cli.rendering import show_pairs

    with _refusals(as_json):
        settings = _settings()
        rules = settings.sync_config().model_dump(mode="json")
    if as_json:
        _print_json({"settings": settings.masked(), "sync.yaml": rules})
        return
    show_pairs(_console(sys.stdout), "Settings", settings.masked())
    show_pairs(_console(sys.stdout), "sync.yaml", dict(_flat(rules)))


register(app)
register_report(app)
register_undo(app)
register_links(app)


def main() -> None:
    """The entry point of the `safetyamp` command."""
    app()


def _run(entities: list[str] | None, keys: list[str] | None, *, push: bool, as_json: bool) -> Ran:
    with _refusals(as_json):
        chosen = entities or list(ENTITIES)
        if unknown := sorted(set(chosen) - set(ENTITIES)):
            raise Refusal(f"no such entity: {', '.join(unknown)}. There are {', '.join(ENTITIES)}")
        if keys and len(chosen) != 1:
            raise Refusal("--key needs the one entity it is a key of, as in `safetyamp sync employees --key 100482`")
        _settings(_systems_for(chosen))
        # Dagster takes seconds to import: a wrong setting is told before that.
        from safetyamp_pipelines.cli.rendering import TerminalProgress
        from safetyamp_pipelines.cli.running import run_entities

        with TerminalProgress(_console(sys.stderr)) as progress:
            return run_entities(chosen, push=push, environ=None, progress=progress, keys=keys or ())


def _systems_for(entities: list[str]) -> list[System]:
    """The outside systems that these entities, and the plans before them, read or write."""
    from safetyamp_pipelines.sync.entities.registry import BY_NAME

    systems: dict[str, System] = {"viewpoint": "viewpoint", "entra": "entra", "samsara": "samsara"}
    specs = [BY_NAME[name] for name in entities]
    specs += [BY_NAME[name] for spec in specs for name in spec.after]
    return sorted({"safetyamp", *(systems[source.partition("/")[0]] for spec in specs for source in spec.sources)})


def _finish(ran: Ran, *, as_json: bool, pushed: bool) -> None:
    from safetyamp_pipelines.cli.rendering import show_causes, show_plan, show_result

    if as_json:
        _print_json(ran.as_json())
    elif (
        ran.exit_code != REFUSED or ran.writes or (not pushed and ran.is_guarded)
    ):  # what was refused is told by its causes alone
        for made in [] if pushed else ran.plans.values():
            show_plan(_console(sys.stdout), made)
        show_result(_console(sys.stdout), ran, pushed=pushed)
    show_causes(_console(sys.stderr), ran)
    raise typer.Exit(ran.exit_code)


def _settings(systems: Iterable[System] = ()) -> Settings:
    """The settings, with logs as they say; without LOG_LEVEL a command logs warnings only, since it reports itself."""
    settings = load_settings(systems=systems)
    level = settings.log_level if "log_level" in settings.model_fields_set else "WARNING"
    configure_logging(settings.log_format, level)
    return settings


@contextmanager
def _refusals(as_json: bool) -> Iterator[None]:
    """One clear message and exit code 2 for everything that forbids to go on."""
    try:
        yield
    except SyncError as error:
        _console(sys.stderr).print(str(error), style="bold red", highlight=False, soft_wrap=True, markup=False)
        if as_json:
            errors = [{"error": line, "steps": []} for line in str(error).splitlines()]
            _print_json({"entities": {}, "writes": 0, "calls": 0, "errors": errors, "exit_code": REFUSED})
        raise typer.Exit(REFUSED) from error


def _console(stream: Any) -> Console:
    """A console that never cuts a line short where no terminal gives it a width."""
    return Console(file=stream) if stream.isatty() else Console(file=stream, width=10_000, force_terminal=False)


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _flat(rules: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in rules.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value, ensure_ascii=False)
