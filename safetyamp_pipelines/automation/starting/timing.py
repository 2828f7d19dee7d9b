"""Whether a schedule or sensor may start a sync now, and if not, why, in a sentence for operators.

It is decided from Dagster's run records and the ledger; the rules for freezes and quarantine are in `sync/`. Runs that
a person starts do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dagster as dg

from safetyamp_pipelines.operations.lease import who_pushes
from safetyamp_pipelines.resources.dead_runs import end_dead_runs
from safetyamp_pipelines.resources.keys import RESTED_TAG, SYNC_TAG, asset_key
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.registry import ENTITIES, asset_name
from safetyamp_pipelines.sync.rules.calendar import Ended, ScheduleConfig, freeze_at, quarantine_after

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
GOING_ON = [status for status in dg.DagsterRunStatus if status not in ENDED]
"""Every status but the three ends: one that a later Dagster adds counts as going on."""
LOOK_BACK = 100
"""Runs looked through for whole syncs; those of single entities, and dry runs, lie between them."""


def why_paused_or_busy(
    instance: dg.DagsterInstance, ledger: Ledger, config: ScheduleConfig, now: datetime
) -> str | None:
    """Why nothing may start by itself now: a pause, a freeze, or a sync that still goes on. None when it may.

    Raises LedgerUnusable when the ledger cannot be asked: whether somebody paused it is then unknown.
    """
    if (pause := ledger.pause_state()) is not None:
        since = _clock(pause.at, config)
        return f"paused by {pause.who} since {since}: {pause.reason}. The job resume_syncing ends the pause"
    if (freeze := freeze_at(config.freezes, now, config.timezone)) is not None:
        return f"frozen from {freeze.starts} until {freeze.ends} ({config.timezone}): {freeze.reason}"
    end_dead_runs(instance, ledger.silent_runs)
    filters = dg.RunsFilter(tags={SYNC_TAG: "push"}, statuses=GOING_ON)
    if busy := instance.get_run_records(filters, limit=1):
        run, since = busy[0].dagster_run, _clock(busy[0].create_timestamp, config)
        return (
            f"the last run still goes on: {run.job_name} {run.run_id[:8]}, {run.status.value.lower()} since {since}. "
            "If it is dead, terminate it in the UI"
        )
    if (holder := who_pushes(ledger)) is not None:
        return f"a push outside of Dagster's queue still goes on: {holder[0]}, since {_clock(holder[1], config)}"
    return None


def why_quarantined(
    instance: dg.DagsterInstance, config: ScheduleConfig, interval: timedelta, now: datetime
) -> str | None:
    """Why a sync that keeps failing is not tried again yet; None when it may be."""
    found = quarantine_after(_whole_syncs(instance), config.quarantine_after)
    if found is None or not found.holds(now, interval):
        return None
    hours = int(found.wait.total_seconds() // 3600)
    return (
        f"the last {found.failures} syncs failed, so the rhythm is slowed to {hours} h: tried again at about "
        f"{_clock(found.until, config)}. One good run of sync_all, also one started by hand, restores the rhythm"
    )


def why_wait(instance: dg.DagsterInstance, ledger: Ledger, settings: Settings, now: datetime) -> str | None:
    """Why the schedule of the whole sync starts nothing now; None when it may."""
    config, interval = settings.sync_config().schedule, timedelta(minutes=settings.sync_interval_minutes)
    return why_paused_or_busy(instance, ledger, config, now) or why_quarantined(instance, config, interval, now)


def _whole_syncs(instance: dg.DagsterInstance) -> list[Ended]:
    """The whole syncs that came to an end, newest first. A canceled one says nothing about the health."""
    filters = dg.RunsFilter(job_name="sync_all", statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
    return [
        Ended(record.dagster_run.status is dg.DagsterRunStatus.SUCCESS, _ended_at(record))
        for record in instance.get_run_records(filters, limit=LOOK_BACK)
        if is_whole_sync(record.dagster_run)
    ]


def is_whole_sync(run: dg.DagsterRun) -> bool:
    """Whether this run of sync_all was to push every entity, and every record of it, and neither a pause nor a freeze
    ended it."""
    pushes = {asset_key(asset_name(spec)) for spec in ENTITIES}
    is_whole = run.job_name == "sync_all" and pushes <= (run.asset_selection or pushes)
    return is_whole and not is_partial(run.run_config) and not run.tags.get(RESTED_TAG)


def is_partial(run_config: Any) -> bool:
    """Whether a run was asked, somewhere in its config, for a dry run or for single keys."""
    if not isinstance(run_config, Mapping):
        return False
    asked = run_config.get("dry_run") or run_config.get("only_keys")
    return bool(asked) or any(map(is_partial, run_config.values()))


def _ended_at(record: dg.RunRecord) -> datetime:
    """When it ended; for a run that died, when that was noticed."""
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp


def _clock(moment: datetime, config: ScheduleConfig) -> str:
    return moment.astimezone(ZoneInfo(config.timezone)).strftime("%Y-%m-%d %H:%M %Z")
