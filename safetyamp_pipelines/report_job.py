"""The job that makes a day's report, and its schedule just after midnight. What a report holds: `assets/reports.py`."""

from datetime import timedelta

import dagster as dg

from safetyamp_pipelines.assets.reports import DAILY_CHANGES
from safetyamp_pipelines.operations.reports.daily import day_of
from safetyamp_pipelines.resources.keys import CAUSE_TAG, asset_key
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.settings.loading import TimingSettings

report_daily = dg.define_asset_job(
    "report_daily",
    selection=dg.AssetSelection.assets(asset_key(DAILY_CHANGES)),
    description="Report what was changed on the chosen days. Reads the ledger alone; never writes to SafetyAmp.",
    tags={CAUSE_TAG: "manual", "dagster/max_retries": "0"},
)


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
