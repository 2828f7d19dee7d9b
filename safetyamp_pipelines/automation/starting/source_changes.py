"""Starts a sync early when something changed at the source. Off by default: the schedule finds every change anyway.

No table of Viewpoint records when a row changed, and for a directory of a few thousand users a list is as cheap as a
delta query and needs no token that expires. So both are read, and only the hash of each table is remembered. Timecards
are not: finding the job last worked needs their whole history.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg

from safetyamp_pipelines.automation.named_jobs import sync_all
from safetyamp_pipelines.automation.starting.timing import why_wait
from safetyamp_pipelines.resources.keys import CAUSE_TAG, now_text
from safetyamp_pipelines.resources.run_console import CONSOLE
from safetyamp_pipelines.resources.systems import Graph, LedgerResource, SettingsResource, Viewpoint
from safetyamp_pipelines.settings.loading import TimingSettings

EVERY_SECONDS = 300
CHANGED_TAG = "safetyamp/changed"


def changed_tables(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The tables whose hash differs from the stored one. A table that was never read before has not changed."""
    return sorted(table for table, found in now.items() if before.get(table, found) != found)


def source_sensor(timing: TimingSettings) -> dg.SensorDefinition:
    """On by SYNC_ON_SOURCE_CHANGE, or by the switch in the UI."""

    @dg.sensor(
        name="source_changes",
        job=sync_all,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if timing.is_on_source_change else dg.DefaultSensorStatus.STOPPED,
        description="Starts the whole sync early when employees, departments or jobs in Viewpoint, or users in Entra "
        "ID, have changed. Waits whenever the schedule would. Stores only hashes.",
    )
    def source_changes(
        context: dg.SensorEvaluationContext,
        sync_settings: SettingsResource,
        ledger: LedgerResource,
        viewpoint: Viewpoint,
        graph: Graph,
    ) -> dg.SensorResult | dg.SkipReason:
        # Checked first: while nothing may start, the sources are not read, and the change is found later.
        if (reason := why_wait(context.instance, ledger.get(), sync_settings.get(), datetime.now(UTC))) is not None:
            return dg.SkipReason(reason)
        read_at, before = now_text(), json.loads(context.cursor) if context.cursor else {}
        users = graph.client().list_users(
            expand_manager=sync_settings.get().sync_config().entra.expand_manager, read_at=read_at
        )
        assert users.certificate is not None
        now = {**viewpoint.reader().fingerprints(read_at), users.table: users.certificate.content_hash}
        cursor = json.dumps(now, sort_keys=True)
        if not (changed := changed_tables(before, now)):
            return dg.SensorResult(skip_reason="nothing has changed at the source", cursor=cursor)
        tags = {CAUSE_TAG: "source_change", CHANGED_TAG: " ".join(changed)}
        run_key = f"{read_at} {' '.join(changed)}"
        request = dg.RunRequest(run_key=run_key, run_config=CONSOLE, tags=tags)
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return source_changes
