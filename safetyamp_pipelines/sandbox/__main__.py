"""`python -m safetyamp_pipelines.sandbox`: the embedded world as one command that runs until it is told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from safetyamp_pipelines.sandbox import JiraSpec, Sandbox, TargetOptions, WorldSpec

_DEFAULT = WorldSpec()


def main(
    employees: Annotated[int, typer.Option(min=0, help="Employees of company 1.")] = _DEFAULT.employees,
    jobs: Annotated[int, typer.Option(min=0, help="Jobs of company 1.")] = _DEFAULT.jobs,
    vehicles: Annotated[int, typer.Option(min=0, help="Vehicles in Samsara.")] = _DEFAULT.vehicles,
    present: Annotated[float, typer.Option(min=0, max=1, help="Share SafetyAmp already holds.")] = _DEFAULT.present,
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.")] = _DEFAULT.seed,
    mess: Annotated[bool, typer.Option(help="The mess of real data; without it every record is clean.")] = True,
    calls: Annotated[int, typer.Option(min=1, help="Calls SafetyAmp allows in a period.")] = 60,
    period: Annotated[float, typer.Option(min=0.01, help="Length of that period in seconds.")] = 60.0,
    home: Annotated[Path | None, typer.Option(help="Folder to keep the world in; a temporary one without it.")] = None,
    jira: Annotated[bool, typer.Option(help="Serve a Jira Cloud and a Jira Data Center as well.")] = True,
    alerts: Annotated[bool, typer.Option(help="Take mails, webhooks and heartbeats, and show them on a page.")] = True,
    env_file: Annotated[Path | None, typer.Option(help="File to write the environment to, KEY=VALUE.")] = None,
) -> None:
    """Serve SafetyAmp, Samsara, Microsoft login and Graph on this machine, with Viewpoint as a SQLite file.

    Runs until SIGINT or SIGTERM, then stops cleanly.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    spec = WorldSpec(seed=seed, employees=employees, jobs=jobs, vehicles=vehicles, present=present, mess=mess)
    target, jiras = TargetOptions(calls=calls, period=period), JiraSpec() if jira else None
    with Sandbox(spec, target, jira=jiras, home=home, catches_alerts=alerts) as box:
        if env_file is not None:
            write_environment(env_file, box.environment, box.control_url)
        for name, value in box.environment.items():
            if name.endswith("_URL") or name == "SYNC_CONFIG":
                typer.echo(f"{name}={value}")
        if box.alerts_url:
            typer.echo(f"caught alerts: {box.alerts_url}")
        typer.echo(f"control door: {box.control_url}")
        stop.wait()
    typer.echo("the sandbox has stopped")


def write_environment(path: Path, environment: Mapping[str, str], control_url: str) -> None:
    """Write the variables as KEY=VALUE lines, whole or not at all: whoever waits for the file may read it at once."""
    lines = [f"# control door of the sandbox: {control_url}", *(f"{key}={value}" for key, value in environment.items())]
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
    unfinished.replace(path)


if __name__ == "__main__":
    typer.run(main)
