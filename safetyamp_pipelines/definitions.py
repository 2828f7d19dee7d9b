"""Everything Dagster knows of this project, put together here and decided elsewhere. Importing it does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from safetyamp_pipelines.assets.entities import PLANS, PUSHES
from safetyamp_pipelines.assets.freshness import with_freshness
from safetyamp_pipelines.assets.push_config import PushConfig
from safetyamp_pipelines.assets.reports import daily_changes
from safetyamp_pipelines.assets.source_links import with_source_links
from safetyamp_pipelines.assets.sources import SNAPSHOTS
from safetyamp_pipelines.automation.alerting.digests import owner_sensor
from safetyamp_pipelines.automation.alerting.sensor import alert_sensor
from safetyamp_pipelines.automation.housekeeping import forget_old_runs, forget_schedule
from safetyamp_pipelines.automation.named_jobs import JOBS, report_daily
from safetyamp_pipelines.automation.operator_jobs import OPERATOR_JOBS
from safetyamp_pipelines.automation.run_watch import dead_runs_sensor
from safetyamp_pipelines.automation.starting.retry_sensor import retry_sensor
from safetyamp_pipelines.automation.starting.schedules import report_schedule, sync_schedules
from safetyamp_pipelines.automation.starting.source_changes import source_sensor
from safetyamp_pipelines.checks.plan_checks import guard_checks, verdict_checks
from safetyamp_pipelines.checks.proof_checks import proof_checks
from safetyamp_pipelines.checks.push_checks import table_push_checks
from safetyamp_pipelines.checks.snapshot_checks import table_checks
from safetyamp_pipelines.jira.defs import with_jira
from safetyamp_pipelines.operations.progress import LogProgress
from safetyamp_pipelines.resources.io_manager import SnapshotIOManager
from safetyamp_pipelines.resources.run_console import console_logger
from safetyamp_pipelines.resources.systems import (
    Graph,
    LedgerResource,
    NotifierResource,
    SafetyAmp,
    Samsara,
    SettingsResource,
    Viewpoint,
)
from safetyamp_pipelines.settings.loading import timing_settings

ASSETS = [*SNAPSHOTS, *PLANS, *PUSHES, daily_changes]


def resources_for(settings: SettingsResource) -> dict[str, Any]:
    """The resources over one source of settings; no secret is in any resource's config."""
    return {
        "sync_settings": settings,
        "viewpoint": Viewpoint(settings=settings),
        "graph": Graph(settings=settings),
        "samsara": Samsara(settings=settings),
        "safetyamp": SafetyAmp(settings=settings),
        "ledger": LedgerResource(settings=settings),
        "notifier": NotifierResource(settings=settings),
        "io_manager": SnapshotIOManager(settings=settings),
        "push_config": PushConfig(),
        "progress": dg.ResourceDefinition.hardcoded_resource(LogProgress()),
    }


def build_defs(overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Fresh Definitions. `overrides` replaces resources by name, so that tests swap parts without patching.

    One process runs every step: a step costs 50 ms there and 2.4 s in a process of its own.
    """
    resources = {**resources_for(SettingsResource.of()), **(overrides or {})}
    timing = timing_settings()
    ours = dg.Definitions(
        assets=with_freshness(with_source_links(ASSETS, timing.git_url, timing.git_branch), timing),
        asset_checks=[*table_checks, *verdict_checks, *guard_checks, *proof_checks, *table_push_checks],
        jobs=[*JOBS, report_daily, *OPERATOR_JOBS, forget_old_runs],
        schedules=[report_schedule(timing), *sync_schedules(timing), forget_schedule(timing)],
        sensors=[
            retry_sensor(timing),
            source_sensor(timing),
            alert_sensor(timing),
            owner_sensor(timing),
            dead_runs_sensor,
        ],
        resources=resources,
        loggers={"console": console_logger(timing.log_format, timing.log_file)},
        executor=dg.in_process_executor,
    )
    return with_jira(ours, timing)


defs = build_defs()
