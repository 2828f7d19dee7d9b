"""Whether people can be told of trouble, tried out; and the problems that the alert sensor remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import SensorInstigatorData

from safetyamp_pipelines.operations.alerts.channels import HOW_TO_CONFIGURE, channels_of
from safetyamp_pipelines.operations.alerts.memory import Memory
from safetyamp_pipelines.operations.alerts.messages import TEST, clock
from safetyamp_pipelines.operations.alerts.problems import Problem
from safetyamp_pipelines.operations.doctor import Finding
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import NotTold, Refusal

SENSOR = "alerts"


@dataclass(frozen=True)
class Known:
    """One problem of one channel: told or still waiting, open or over."""

    name: str
    problem: Problem

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        problem = self.problem
        return {
            "problem": self.name,
            "level": problem.level.name.lower(),
            "title": problem.title,
            "told": not problem.is_untold,
            "count": problem.count,
            "first": clock(problem.first),
            "last": clock(problem.last),
            "recovered": None if problem.recovered_at is None else clock(problem.recovered_at),
            "run_id": problem.run_id,
        }

    def __str__(self) -> str:
        told = "waits to be told" if self.problem.is_untold else "told"
        over = "" if self.problem.recovered_at is None else f", recovered {clock(self.problem.recovered_at)}"
        level = self.problem.level.name.lower()
        return (
            f"{level}: {self.problem.title} ({told}, {self.problem.count} ×, since {clock(self.problem.first)}{over})"
        )


def tried(settings: Settings) -> list[Finding]:
    """What became of a test through every channel, and of one heartbeat. Refusal when nothing is configured."""
    from safetyamp_pipelines.operations.alerts.webhook import beat

    tries: dict[str, Callable[[], str]] = {
        name: partial(channel.send, TEST) for name, channel in channels_of(settings).items()
    }
    if not tries:
        raise Refusal(f"nobody can be told: {HOW_TO_CONFIGURE}")
    if settings.heartbeat_url is not None:
        tries["heartbeat"] = partial(beat, settings)
    return [_tried(name, one) for name, one in tries.items()]


def known_problems() -> dict[str, list[Known]]:
    """By channel, the longest known first, from the cursor of the sensor; empty when it never ran. Refusal without the
    Dagster instance that holds it."""
    from safetyamp_pipelines.cli.running import instance_of_home  # brings all of Dagster's definitions

    with instance_of_home() as instance:
        if instance.is_ephemeral:
            raise Refusal("DAGSTER_HOME is not set, and the sensor remembers there: set it as Dagster's daemon has it")
        cursors = [
            state.instigator_data.cursor
            for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
            if state.instigator_name == SENSOR and isinstance(state.instigator_data, SensorInstigatorData)
        ]
    memories = [Memory.load(cursor) for cursor in cursors if cursor]
    if not memories:
        return {}
    newest = max(memories, key=lambda memory: memory.after)
    return {
        name: sorted((Known(*item) for item in state.problems.items()), key=lambda known: known.problem.first)
        for name, state in newest.channels.items()
    }


def _tried(name: str, one: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, one())
    except NotTold as error:
        return Finding(name, False, str(error))
