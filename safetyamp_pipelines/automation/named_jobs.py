"""The jobs operators run, each by name: an empty asset selection would mean everything."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from safetyamp_pipelines.assets.reports import DAILY_CHANGES
from safetyamp_pipelines.resources.keys import CAUSE_TAG, SYNC_TAG, TRIAL_TAG, asset_key
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES, asset_name
from safetyamp_pipelines.sync.model.columns import SOURCES
from safetyamp_pipelines.sync.model.spec import EntitySpec

Job = UnresolvedAssetJobDefinition


def plan_keys(entities: Iterable[EntitySpec]) -> list[dg.AssetKey]:
    """The plans of these entities, the plans before them, and every snapshot they read."""
    wanted = {other.name: other for spec in entities for other in (spec, *(BY_NAME[name] for name in spec.after))}
    names = {f"plan/{name}" for name in wanted}
    names |= {table for spec in wanted.values() for table in spec.snapshots}
    return sorted(map(asset_key, names | _read_together(names)), key=lambda key: list(key.path))


def _read_together(names: set[str]) -> set[str]:
    """Viewpoint is one transaction: who reads one of its tables reads all."""
    together = {name for name in SOURCES if name.startswith("viewpoint/")}
    return together if names & together else set()


def push_keys(entities: Iterable[EntitySpec]) -> list[dg.AssetKey]:
    """Everything `plan_keys` names, and the pushes of these entities."""
    chosen = list(entities)
    return [*plan_keys(chosen), *(asset_key(asset_name(spec)) for spec in chosen)]


def _job(name: str, keys: Iterable[dg.AssetKey], description: str, **tags: str) -> Job:
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        description=description,
        tags={CAUSE_TAG: "manual", **tags, "dagster/max_retries": "0"},
    )


sync_all = _job(
    "sync_all",
    push_keys(ENTITIES),
    f"Snapshot everything, plan everything, then push: {', '.join(BY_NAME)}.",
    **{SYNC_TAG: "push"},
)
plan_all = _job(
    "plan_all",
    plan_keys(ENTITIES),
    "Snapshot and plan everything. A safe dry run: it writes nothing, and its plans are trials that no push takes.",
    **{TRIAL_TAG: "plan"},
)
sync_one = [
    _job(
        f"sync_{spec.name}",
        push_keys([spec]),
        f"Snapshot, plan and push {spec.name} alone.",
        **{SYNC_TAG: "push"},
    )
    for spec in ENTITIES
]
JOBS = [sync_all, plan_all, *sync_one]

report_daily = dg.define_asset_job(
    "report_daily",
    selection=dg.AssetSelection.assets(asset_key(DAILY_CHANGES)),
    description="Report what was changed on the chosen days. Reads the ledger alone; never writes to SafetyAmp.",
    tags={CAUSE_TAG: "manual", "dagster/max_retries": "0"},
)
