"""The commands `safetyamp alerts …`: can people be told, and of what were they? The sensor is in sensors/alerts.py."""

from __future__ import annotations

from typing import Annotated

import typer

from safetyamp_pipelines.cli.shell import REFUSED, only_settings, print_json, say

alerts = typer.Typer(no_args_is_help=True, help="Whether people can be told of trouble, and of what they were told.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]


@alerts.command("test")
def try_channels(as_json: AsJson = False) -> None:
    """Send a test through every channel, and call the heartbeat. Exit code 2 when there is none or one fails."""
    from safetyamp_pipelines.answers.alerting import tried

    with only_settings(as_json) as settings:
        found = tried(settings)
    is_well = all(one.is_well for one in found)
    if as_json:
        channels = {one.system: {"ok": one.is_well, "text": one.text} for one in found}
        print_json({"channels": channels, "exit_code": 0 if is_well else REFUSED})
    else:
        say(*(f"{one.system}: {'' if one.is_well else 'NOT TOLD: '}{one.text}" for one in found))
    raise typer.Exit(0 if is_well else REFUSED)


@alerts.command("show")
def show_problems(as_json: AsJson = False) -> None:
    """Show the problems that each channel knows of, as the sensor remembers them."""
    from safetyamp_pipelines.answers.alerting import known_problems

    with only_settings(as_json):
        known = known_problems()
    if as_json:
        print_json({"channels": {name: [one.as_json() for one in problems] for name, problems in known.items()}})
    elif not any(known.values()):
        say("no open problem is known" if known else "the sensor alerts has not looked yet, or has no channel")
    else:
        for name, problems in known.items():
            say(f"{name}:", *(f"  {one}" for one in problems))
