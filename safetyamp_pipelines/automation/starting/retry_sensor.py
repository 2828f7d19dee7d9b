"""Starts a sync early when a person has marked failures for retry. Marking them: `safetyamp failures retry`."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from safetyamp_pipelines.automation.named_jobs import sync_one
from safetyamp_pipelines.automation.starting.timing import why_paused_or_busy
from safetyamp_pipelines.resources.keys import CAUSE_TAG
from safetyamp_pipelines.resources.run_console import CONSOLE
from safetyamp_pipelines.resources.systems import LedgerResource, SettingsResource
from safetyamp_pipelines.settings.loading import TimingSettings
from safetyamp_pipelines.sync.entities.registry import ENTITIES

if TYPE_CHECKING:
    from safetyamp_pipelines.sync.model.remembered import Failure

EVERY_SECONDS = 60
Marks = Mapping[str, Sequence[str]]
"""Entity to marks. A mark names one marking: the source key, and how often the record had been refused by then."""


def marked(failures: Iterable[tuple[str, "Failure"]]) -> Marks:
    """The markings that stand, by entity in the order of the syncs."""
    found: dict[str, list[str]] = {spec.name: [] for spec in ENTITIES}
    for entity, failure in failures:
        if failure.state == "retry":
            found[entity].append(f"{failure.source_key}/{failure.attempts}")
    return {entity: marks for entity, marks in found.items() if marks}


def next_retry(standing: Marks, started: Marks) -> tuple[str | None, Marks]:
    """The entity to sync now, None when all marks were acted on, and those that were then.

    One entity at a time: the others wait for the next look, so that no queue builds up. What stands no more is
    forgotten, so that it counts as new when it is marked again.
    """
    still = {entity: [mark for mark in started.get(entity, ()) if mark in marks] for entity, marks in standing.items()}
    new = next((entity for entity, marks in standing.items() if set(marks) - set(still[entity])), None)
    return new, still if new is None else {**still, new: standing[new]}


def retry_sensor(timing: TimingSettings) -> dg.SensorDefinition:
    """On wherever the schedule is on: who wants no runs by themselves wants none of these."""

    @dg.sensor(
        name="retries",
        jobs=sync_one,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if timing.is_on else dg.DefaultSensorStatus.STOPPED,
        description="Starts the sync of an entity early when failures of it were marked for retry, once for each "
        "marking. Waits while syncing is paused or frozen, or a sync goes on.",
    )
    def retries(
        context: dg.SensorEvaluationContext, sync_settings: SettingsResource, ledger: LedgerResource
    ) -> dg.SensorResult | dg.SkipReason:
        started = json.loads(context.cursor) if context.cursor else {}
        now = datetime.now(UTC)
        entity, started = next_retry(marked(ledger.get().all_failures(now=now)), started)
        cursor = json.dumps(started, sort_keys=True)
        if entity is None:
            return dg.SensorResult(skip_reason="no failure was newly marked for retry", cursor=cursor)
        config = sync_settings.get().sync_config().schedule
        if (reason := why_paused_or_busy(context.instance, ledger.get(), config, now)) is not None:
            return dg.SkipReason(f"failures of {entity} wait to be tried again; {reason}")
        # The key makes a tick that is repeated after a crash start the same run, not a second one.
        run_key = f"{entity} {hashlib.sha256(cursor.encode()).hexdigest()}"
        tags = {CAUSE_TAG: "retry"}
        request = dg.RunRequest(job_name=f"sync_{entity}", run_key=run_key, run_config=CONSOLE, tags=tags)
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return retries
