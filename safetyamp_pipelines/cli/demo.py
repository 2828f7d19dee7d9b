"""`make demo` and `make dev`: the real commands and the real Dagster UI on the embedded world. No logic of its own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from safetyamp_pipelines.sandbox import JiraSpec, Sandbox, TargetOptions, WorldSpec
from safetyamp_pipelines.settings.loading import child_environment
from safetyamp_pipelines.settings.private import private_folder

CALLS, PERIOD = 600, 60.0
"""The demo's SafetyAmp allows ten times the real 60 calls a minute, so that the demo fits into a coffee break."""

EXPERIMENTS = {
    "leaver": "somebody leaves, and loses access with the next sync",
    "mass-leave": "13 leave at once: held, until you approve them on the desk",
    "break samsara": "a system is down; everything else goes on (`do mend` ends it)",
    "refuse": "SafetyAmp refuses one record: `safetyamp failures list`",
    "hand-edit": "somebody edits SafetyAmp: the next plan shows it",
}
"""What to try, and what it shows."""
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()


@app.command()
def demo(
    employees: Annotated[int, typer.Option(min=10, help="Employees in Viewpoint.")] = 120,
    home: Annotated[Path, typer.Option(help="Folder of the demo; emptied each time.")] = Path(".demo"),
) -> None:
    """Sync the embedded world twice with the real command and show what each run did."""
    shutil.rmtree(home, ignore_errors=True)
    with _world(employees, home) as box:
        environment = _environment(box, home)
        _heading(
            "The embedded world is up: SafetyAmp, Samsara, Microsoft login and Graph on loopback, Viewpoint in SQLite"
        )
        _safetyamp(["doctor"], environment)
        _heading("First run: snapshot everything, plan everything, push")
        first = _safetyamp(["sync"], environment)
        _heading("Second run: nothing has changed since, so nothing may be written")
        second = _sync_json(environment)
        console.print(
            f"second run: {second['writes']} writes, {second['calls']} calls to SafetyAmp, "
            f"fewest possible {second['fewest_calls']}",
            highlight=False,
        )
        if first == 1:
            _heading("The `failed` record is intended: its e-mail belongs to an account that was deleted in SafetyAmp")
        _heading("Jira, the second family: the issues of a Cloud and a Data Center in one typed table")
        jira = _safetyamp(["jira", "sync"], environment)
        console.print(
            "Next: `make dev` opens such a world in the Dagster UI and on the desk.",
            highlight=False,
        )
    if first not in (0, 1) or second["writes"] or jira:
        raise typer.Exit(1)


@app.command()
def ui(
    employees: Annotated[int, typer.Option(min=10, help="Employees in Viewpoint.")] = 120,
    home: Annotated[Path, typer.Option(help="Folder kept from one start to the next.")] = Path(".dev"),
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    desk_port: Annotated[int, typer.Option(help="Port of the desk.")] = 8080,
) -> None:
    """The Dagster UI with webserver and daemon, and the desk, on the embedded world, until Ctrl-C."""
    with _world(employees, home) as box:
        own = {"DESK_URL": f"http://127.0.0.1:{desk_port}", "DAGSTER_UI_URL": f"http://127.0.0.1:{port}"}
        schedules = {"SYNC_SCHEDULE": "on", "SYNC_INTERVAL_MINUTES": "5", "JIRA_SCHEDULE": "on"}
        environment = {**_environment(box, home), **own, **schedules}
        # With the same Dagster home the runs of that shell appear in the UI, and `alerts` finds what the sensor sent.
        for_shells = {**box.environment, "DAGSTER_HOME": environment["DAGSTER_HOME"]}
        (home / "environment").write_text(
            "".join(f"export {name}={value!r}\n" for name, value in for_shells.items()), encoding="utf-8"
        )
        _heading("Where everything is, until Ctrl-C")
        places = {
            "Dagster UI": f"http://127.0.0.1:{port}  (job sync_all)",
            "the desk": f"http://127.0.0.1:{desk_port}  (find, plan, queue, runs, state)",
            "its alerts": f"{box.alerts_url}  (mails and webhook calls that would have left)",
            "control door": f"{box.control_url}  (the world's state, faults, changes)",
            "a shell": f"source {home}/environment, then `safetyamp plan`",
        }
        for name, place in places.items():
            console.print(f"  {name:<13} {place}", highlight=False, soft_wrap=True)
        _heading("Five experiments to try in that shell")
        for line, shows in EXPERIMENTS.items():
            console.print(f"  safetyamp-sandbox do {line:<15} {shows}", highlight=False, soft_wrap=True)
        # A shell that starts this in the background ignores SIGINT for it, and Dagster would inherit that and then
        # ignore SIGTERM too: a handler of our own gives the child the default again.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # A session of its own: Ctrl-C then reaches this process alone, which stops Dagster and the world in order.
        command = [_beside_python("dagster"), "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603
        desk = subprocess.Popen(  # noqa: S603
            [_beside_python("safetyamp"), "serve", "--port", str(desk_port)], env=environment, start_new_session=True
        )
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
        finally:
            desk.terminate()
            desk.wait()


def _world(employees: int, home: Path) -> Sandbox:
    spec = WorldSpec(employees=employees, jobs=employees // 2, vehicles=max(10, employees // 8))
    target = TargetOptions(calls=CALLS, period=PERIOD)
    return Sandbox(spec, target, jira=JiraSpec(), home=home / "world", catches_alerts=True)


def _environment(box: Sandbox, home: Path) -> dict[str, str]:
    """What the commands run with: the machine's own variables, the world's, and a Dagster home of the demo's."""
    dagster_home = private_folder(home.resolve() / "dagster")
    shutil.copy("dagster.yaml", dagster_home)
    return child_environment({**box.environment, "DAGSTER_HOME": str(dagster_home)})


def _beside_python(command: str) -> str:
    return str(Path(sys.executable).with_name(command))


def _safetyamp(arguments: list[str], environment: dict[str, str]) -> int:
    console.print(f"$ safetyamp {' '.join(arguments)}", style="bold", highlight=False)
    return subprocess.run([_beside_python("safetyamp"), *arguments], env=environment, check=False).returncode  # noqa: S603


def _sync_json(environment: dict[str, str]) -> dict[str, Any]:
    console.print("$ safetyamp sync --json", style="bold", highlight=False)
    command = [_beside_python("safetyamp"), "sync", "--json"]
    answer = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE)  # noqa: S603
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def _heading(text: str) -> None:
    console.print(f"\n[bold cyan]{text}[/]", highlight=False)


if __name__ == "__main__":
    app()
