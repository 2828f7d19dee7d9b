"""The commands `alerts …`: can alerts be delivered, and which problems does the sensor know? It is in `automation/`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import typer

from safetyamp_pipelines.cli.shell import REFUSED, AsJson, command_group, respond, with_settings
from safetyamp_pipelines.operations.alerts.channels import HOW_TO_CONFIGURE, Channel, channels_of
from safetyamp_pipelines.operations.alerts.messages import TEST, clock
from safetyamp_pipelines.operations.alerts.problems import Problem
from safetyamp_pipelines.operations.alerts.webhook import beat
from safetyamp_pipelines.operations.doctor import Finding
from safetyamp_pipelines.resources.dagster_storage import alert_memory, instance_of_home
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import NotDelivered, Refusal

alerts = command_group("Test the alert channels, or show the problems they know.")


@alerts.command("test")
def try_channels(as_json: AsJson = False) -> None:
    """Send a test through every channel, and call the heartbeat. Exit code 2 when there is none or one fails."""
    with with_settings(as_json) as settings:
        found = _tested(settings)
    exit_code = 0 if all(one.ok for one in found) else REFUSED
    channels = {one.system: {"ok": one.ok, "text": one.text} for one in found}
    lines = [f"{one.system}: {'' if one.ok else 'NOT DELIVERED: '}{one.text}" for one in found]
    respond(as_json, {"channels": channels, "exit_code": exit_code}, lines)
    raise typer.Exit(exit_code)


@alerts.command("show")
def show_problems(as_json: AsJson = False) -> None:
    """Show the problems that each channel knows of, as the sensor remembers them."""
    with with_settings(as_json) as settings:
        known, timezone = _known_problems(), settings.sync_config().schedule.timezone
    document = {
        channel: [_document(*item, timezone) for item in problems.items()] for channel, problems in known.items()
    }
    if any(known.values()):
        lines = [
            line
            for channel, problems in known.items()
            for line in (f"{channel}:", *(_line(problem, timezone) for problem in problems.values()))
        ]
    else:
        lines = ["no open problem is known" if known else "the sensor alerts has not run yet, or has no channel"]
    respond(as_json, {"channels": document}, lines)


def _document(name: str, problem: Problem, timezone: str) -> dict[str, Any]:
    return {
        "problem": name,
        "level": problem.level.name.lower(),
        "title": problem.title,
        "told": not problem.is_news,
        "count": problem.count,
        "first": clock(problem.first, timezone),
        "last": clock(problem.last, timezone),
        "recovered": None if problem.recovered_at is None else clock(problem.recovered_at, timezone),
        "run_id": problem.run_id,
    }


def _line(problem: Problem, timezone: str) -> str:
    sent = "not sent yet" if problem.is_news else "sent"
    over = "" if problem.recovered_at is None else f", recovered {clock(problem.recovered_at, timezone)}"
    level = problem.level.name.lower()
    return f"  {level}: {problem.title} ({sent}, {problem.count} ×, since {clock(problem.first, timezone)}{over})"


def _tested(settings: Settings) -> list[Finding]:
    """What became of a test through every channel, and of one heartbeat. Refusal when nothing is configured."""
    tests: dict[str, Callable[[], str]] = {
        name: partial(_sent, channel) for name, channel in channels_of(settings).items()
    }
    if not tests:
        raise Refusal(f"no channel for alerts: {HOW_TO_CONFIGURE}")
    if settings.heartbeat_url is not None:
        tests["heartbeat"] = partial(beat, settings)
    return [_finding(name, test) for name, test in tests.items()]


def _sent(channel: Channel) -> str:
    return channel.send(TEST).what


def _finding(name: str, test: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, test())
    except NotDelivered as error:
        return Finding(name, False, str(error))


def _known_problems() -> dict[str, dict[str, Problem]]:
    """By channel and name, the longest known first, from the cursor of the sensor; empty when it never ran.

    Raises Refusal without the Dagster instance that holds it.
    """
    with instance_of_home() as instance:
        if instance.is_ephemeral:
            raise Refusal("DAGSTER_HOME is not set, and the sensor remembers there: set it as Dagster's daemon has it")
        memory = alert_memory(instance)
    channels = {} if memory is None else memory.channels
    return {
        channel: dict(sorted(state.problems.items(), key=lambda item: item[1].first))
        for channel, state in channels.items()
    }
