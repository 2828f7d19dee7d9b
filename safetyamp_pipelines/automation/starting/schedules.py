"""The schedules: when a sync, or the report of a day, starts by itself. Which ticks are skipped: `timing.py`."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from safetyamp_pipelines.automation.named_jobs import Job, report_daily, sync_all, sync_one
from safetyamp_pipelines.automation.starting.timing import why_paused_or_busy, why_wait
from safetyamp_pipelines.operations.reports.daily import day_of
from safetyamp_pipelines.resources.keys import CAUSE_TAG
from safetyamp_pipelines.resources.run_console import CONSOLE
from safetyamp_pipelines.resources.systems import LedgerResource, SettingsResource
from safetyamp_pipelines.settings.loading import TimingSettings
from safetyamp_pipelines.sync.rules.calendar import cron_of

FIRST_MINUTE, MINUTES_APART = 7, 10
"""When in the hour the single syncs tick: each alone, since of two that tick at once one is always skipped."""


def sync_schedules(timing: TimingSettings) -> list[dg.ScheduleDefinition]:
    """The rhythm of the whole sync, and one schedule for each entity alone, which stays off until somebody wants it."""
    return [_whole(timing), *(_single(job, place, timing) for place, job in enumerate(sync_one))]


def _whole(timing: TimingSettings) -> dg.ScheduleDefinition:
    problems = "".join(f"\n\nA setting is wrong, its default holds: {problem}" for problem in timing.problems)

    @dg.schedule(
        name="sync_all_schedule",
        job=sync_all,
        cron_schedule=cron_of(timing.interval_minutes),
        execution_timezone=timing.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if timing.is_on else dg.DefaultScheduleStatus.STOPPED,
        description="The rhythm of the whole sync (SYNC_INTERVAL_MINUTES). A tick is skipped, and says why, while "
        "syncing is paused, in a freeze of sync.yaml, while a sync goes on, and longer and longer while syncs fail."
        + problems,
    )
    def tick(
        context: dg.ScheduleEvaluationContext, sync_settings: SettingsResource, ledger: LedgerResource
    ) -> dg.RunRequest | dg.SkipReason:
        reason = why_wait(context.instance, ledger.get(), sync_settings.get(), _moment(context))
        return dg.SkipReason(reason) if reason is not None else _run()

    return tick


def _single(job: Job, place: int, timing: TimingSettings) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=f"{FIRST_MINUTE + MINUTES_APART * place} * * * *",
        execution_timezone=timing.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"{job.name} alone, every hour; for when the whole sync is switched off. Off by default.",
    )
    def tick(
        context: dg.ScheduleEvaluationContext, sync_settings: SettingsResource, ledger: LedgerResource
    ) -> dg.RunRequest | dg.SkipReason:
        config = sync_settings.get().sync_config().schedule
        reason = why_paused_or_busy(context.instance, ledger.get(), config, _moment(context))
        return dg.SkipReason(reason) if reason is not None else _run()

    return tick


def _run() -> dg.RunRequest:
    return dg.RunRequest(run_config=CONSOLE, tags={CAUSE_TAG: "schedule"})


def _moment(context: dg.ScheduleEvaluationContext) -> datetime:
    """The moment to judge: the tick's own, as the UI's test of a future tick asks, or now, when the tick comes late."""
    return max(context.scheduled_execution_time, datetime.now(UTC))


def report_schedule(timing: TimingSettings) -> dg.ScheduleDefinition:
    """A report every night; on and off with the rhythm of the whole sync."""

    @dg.schedule(
        name="report_daily_schedule",
        job=report_daily,
        cron_schedule="20 0 * * *",
        execution_timezone=timing.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if timing.is_on else dg.DefaultScheduleStatus.STOPPED,
        description="Report the day that has ended, twenty minutes after midnight: late pushes are over then.",
    )
    def tick(context: dg.ScheduleEvaluationContext, sync_settings: SettingsResource) -> dg.RunRequest:
        timezone = sync_settings.get().sync_config().employees.timezone
        day = (day_of(context.scheduled_execution_time, timezone) - timedelta(days=1)).isoformat()
        return dg.RunRequest(run_key=day, partition_key=day, tags={CAUSE_TAG: "schedule"})

    return tick
