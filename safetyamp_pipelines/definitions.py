"""Everything Dagster knows of this project, put together here and decided elsewhere. Importing it does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from safetyamp_pipelines.assets.departments import plan_departments, push_site_clusters
from safetyamp_pipelines.assets.employees import plan_employees, push_users
from safetyamp_pipelines.assets.entra import entra_users
from safetyamp_pipelines.assets.jobs import plan_jobs, push_sites
from safetyamp_pipelines.assets.safetyamp_observed import observed_assets
from safetyamp_pipelines.assets.samsara import samsara_drivers, samsara_vehicles
from safetyamp_pipelines.assets.titles import plan_titles, push_user_titles
from safetyamp_pipelines.assets.vehicles import plan_vehicles, push_assets
from safetyamp_pipelines.assets.viewpoint import viewpoint_tables
from safetyamp_pipelines.checks.plans import guard_checks, verdict_checks
from safetyamp_pipelines.checks.snapshots import certificate_checks
from safetyamp_pipelines.jobs import JOBS
from safetyamp_pipelines.resources.graph import Graph
from safetyamp_pipelines.resources.ledger import LedgerResource
from safetyamp_pipelines.resources.progress import LogProgress
from safetyamp_pipelines.resources.safetyamp import SafetyAmp
from safetyamp_pipelines.resources.samsara import Samsara
from safetyamp_pipelines.resources.settings import SettingsResource
from safetyamp_pipelines.resources.snapshots import SnapshotIOManager
from safetyamp_pipelines.resources.viewpoint import Viewpoint


def resources_for(settings: SettingsResource) -> dict[str, Any]:
    """The resources over one source of settings; no secret is in any resource's config."""
    return {
        "sync_settings": settings,
        "viewpoint": Viewpoint(settings=settings),
        "graph": Graph(settings=settings),
        "samsara": Samsara(settings=settings),
        "safetyamp": SafetyAmp(settings=settings),
        "ledger": LedgerResource(settings=settings),
        "io_manager": SnapshotIOManager(settings=settings),
        "progress": dg.ResourceDefinition.hardcoded_resource(LogProgress()),
    }


def build_defs(overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Fresh Definitions. `overrides` replaces resources by name, so that tests swap parts without patching.

    One process runs every step: a step costs 50 ms there and 2.4 s in a process of its own (contract Dagster §2).
    """
    resources = {**resources_for(SettingsResource.of()), **(overrides or {})}
    return dg.Definitions(
        assets=[
            viewpoint_tables,
            entra_users,
            samsara_vehicles,
            samsara_drivers,
            *observed_assets,
            plan_departments,
            plan_jobs,
            plan_titles,
            plan_employees,
            plan_vehicles,
            push_site_clusters,
            push_sites,
            push_user_titles,
            push_users,
            push_assets,
        ],
        asset_checks=[*certificate_checks, *verdict_checks, *guard_checks],
        jobs=JOBS,
        resources=resources,
        executor=dg.in_process_executor,
    )


defs = build_defs()
