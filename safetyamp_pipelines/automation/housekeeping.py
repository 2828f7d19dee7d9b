"""Deleting old runs: Dagster itself keeps the events of every run for ever, gigabytes a year at intervals of minutes.

What was written to SafetyAmp is in the ledger and stays. Ticks are purged by `retention` in dagster.yaml.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from safetyamp_pipelines.automation.named_jobs import JOBS
from safetyamp_pipelines.automation.starting.timing import ENDED
from safetyamp_pipelines.resources.keys import CAUSE_TAG
from safetyamp_pipelines.resources.step_failures import diagnosed
from safetyamp_pipelines.settings.loading import TimingSettings

MOST_AT_ONCE = 5000
"""Runs forgotten by one run: two weeks of a rhythm of five minutes, so that the first night is not endless."""


class ForgetConfig(dg.Config):
    """How long runs are remembered."""

    keep_days: int = Field(default=90, ge=7, description="Runs that began longer ago than this are forgotten.")


def old_runs(instance: dg.DagsterInstance, before: datetime) -> list[str]:
    """The ended syncs and plans begun before that moment, except the newest run of each job, which shows its state.

    Runs of reports are kept: without theirs a day's report would count as never made.
    """
    found: list[str] = []
    for job in JOBS:
        newest = {run.run_id for run in instance.get_runs(dg.RunsFilter(job_name=job.name, statuses=ENDED), limit=1)}
        filters = dg.RunsFilter(job_name=job.name, statuses=ENDED, created_before=before)
        found += [run_id for run_id in instance.get_run_ids(filters, limit=MOST_AT_ONCE) if run_id not in newest]
    return found[:MOST_AT_ONCE]


def forget_before(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete `old_runs` with their events and logs; how many they were."""
    runs = old_runs(instance, before)
    for run_id in runs:
        instance.delete_run(run_id)
    return len(runs)


@dg.op(description="Delete old runs of syncs and plans, with their events and logs, from Dagster's own storage.")
@diagnosed
def forget(context: dg.OpExecutionContext, config: ForgetConfig) -> None:
    """Asks no outside system and changes nothing in the ledger."""
    before = datetime.now(UTC) - timedelta(days=config.keep_days)
    forgotten = forget_before(context.instance, before)
    context.add_output_metadata({"forgotten": forgotten, "begun_before": f"{before:%Y-%m-%d %H:%M} UTC"})


@dg.job(
    tags={CAUSE_TAG: "manual", "dagster/max_retries": "0"},
    description="Forget old runs of syncs and plans. What was written to SafetyAmp stays in the ledger.",
)
def forget_old_runs() -> None:
    """Nightly, by its schedule."""
    forget()


def forget_schedule(timing: TimingSettings) -> dg.ScheduleDefinition:
    """Each night; on wherever the rhythm of the sync is on."""
    return dg.ScheduleDefinition(
        name="forget_old_runs_schedule",
        job=forget_old_runs,
        cron_schedule="40 3 * * *",
        execution_timezone=timing.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if timing.is_on else dg.DefaultScheduleStatus.STOPPED,
        tags={CAUSE_TAG: "schedule"},
        description="Forget runs older than 90 days, each night.",
    )
