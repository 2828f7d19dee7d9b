"""What Dagster's storage knows, for /ready and /metrics. This module brings Dagster: the desk imports it at the first
look, and only where Dagster has a home."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from safetyamp_pipelines.automation.starting.timing import why_quarantined
from safetyamp_pipelines.resources.dagster_storage import alert_memory, instance_of_home
from safetyamp_pipelines.settings.model import Settings

MOST_RUNS = 1000
WAITING = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
GOING_ON = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True)
class RunFigures:
    """Runs by (job, `queued` or `running`), those that ended by (job, outcome), and the newest duration by job."""

    now: Counter[tuple[str, str]]
    last_day: Counter[tuple[str, str]]
    durations: dict[str, float]


class DagsterSide:
    """The instance of DAGSTER_HOME. Raises Refusal when it cannot be opened."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._instance = instance_of_home()

    def heartbeats(self) -> dict[str, datetime]:
        """By daemon, its newest heartbeat."""
        beats = self._instance.get_daemon_heartbeats()
        return {name: datetime.fromtimestamp(beat.timestamp, UTC) for name, beat in beats.items()}

    def runs(self, now: datetime) -> RunFigures:
        """Runs that are queued or running, and those that ended in the last day."""
        figures = RunFigures(Counter(), Counter(), {})
        unended = dg.RunsFilter(statuses=[*WAITING, *GOING_ON])
        for record in self._instance.get_run_records(unended, limit=MOST_RUNS):
            kind = "queued" if record.dagster_run.status in WAITING else "running"
            figures.now[record.dagster_run.job_name, kind] += 1
        ended = dg.RunsFilter(statuses=list(ENDED), updated_after=now - timedelta(days=1))
        for record in self._instance.get_run_records(ended, limit=MOST_RUNS):
            run = record.dagster_run
            figures.last_day[run.job_name, run.status.value.lower()] += 1
            if record.start_time is not None and record.end_time is not None:
                figures.durations.setdefault(run.job_name, record.end_time - record.start_time)
        return figures

    def why_quarantined(self, now: datetime) -> str | None:
        """Why quarantine slows the schedule; None when it does not."""
        interval = timedelta(minutes=self._settings.sync_interval_minutes)
        return why_quarantined(self._instance, self._settings.sync_config_now().schedule, interval, now)

    def undelivered(self) -> dict[str, list[float]]:
        """By channel, since when each problem waits that it has not delivered."""
        memory = alert_memory(self._instance)
        channels = {} if memory is None else memory.channels
        return {
            name: [problem.first for problem in state.problems.values() if problem.is_news]
            for name, state in channels.items()
        }
