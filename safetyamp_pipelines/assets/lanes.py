"""Lanes: what a step takes from its run beside what it cannot do without, and why some of that is not there.

Dagster skips whatever depends on a step that failed. So a plan depends on its main source and on the table that it
writes, and a push on its plan; the rest they look up here, and go on without it. Order comes from priorities.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import dagster as dg

from safetyamp_pipelines.resources.io_manager import SnapshotIOManager
from safetyamp_pipelines.resources.keys import asset_key, input_name
from safetyamp_pipelines.sync.entities.registry import ENTITIES
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.spec import EntitySpec


def needed_for_plan(spec: EntitySpec) -> list[str]:
    """The snapshots without which an entity cannot be planned: its main source and the table that it writes."""
    return [spec.key.table, f"{OBSERVED}/{spec.table}"]


def with_parents(plan: dg.AssetsDefinition, spec: EntitySpec) -> dg.AssetsDefinition:
    """The plan with all that it rests on as its parents in the lineage: its sources, and tables that no plan writes.

    Only what is shown is changed. `map_asset_specs` would make inputs of them, and Dagster skip the plan, and with it
    the leavers, when one of them fails."""
    written = {one.table for one in ENTITIES}
    rests_on = [*spec.sources, *(f"{OBSERVED}/{table}" for table in spec.observed if table not in written)]
    shown = [one.merge_attributes(deps=map(asset_key, rests_on)) for one in plan.specs]
    return dg.AssetsDefinition.dagster_internal_init(**{**plan.get_attributes_dict(), "specs": shown})


def priority(place: int, *, push: bool) -> dict[str, str]:
    """The tag by which plans follow snapshots, and pushes plans, each kind in the order of the entities. Checks have
    none, so each follows what it checks."""
    return {"dagster/priority": str(-1 - place - (100 if push else 0))}


class Lane:
    """The snapshots and plans of one run for one entity. `given` are those that Dagster loaded, by asset name."""

    def __init__(
        self,
        context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
        spec: EntitySpec,
        stored: SnapshotIOManager,
        given: Mapping[str, Any],
    ) -> None:
        self._context = context.op_execution_context
        self._spec, self._stored = spec, stored
        self._values = dict(given)

    def __call__(self, name: str) -> Any:
        """The value of that asset. Raises SnapshotError where it was never stored."""
        if name not in self._values:
            self._values[name] = self._stored.newest(name, self._run_with(name), Plan)
        return self._values[name]

    @cached_property
    def unread(self) -> dict[str, str]:
        """What this run was to read or plan before and did not, each with the reason."""
        names = [*self._spec.snapshots, *(f"plan/{name}" for name in self._spec.after)]
        found = {name: self._why_not(name) for name in names if name not in self._values}
        return {name: why for name, why in found.items() if why is not None}

    def _why_not(self, name: str) -> str | None:
        if asset_key(name) not in self._context.job_def.asset_layer.selected_asset_keys:
            return None  # no part of this run: the newest is taken
        prefix = f"{input_name(name)}_"
        if any(step.startswith(prefix) for step in self._failures):
            return "its checks failed"
        if self._run_with(name) is not None:
            return None
        return self._failures.get(input_name(name).partition("__")[0], self._failures.get(input_name(name), "skipped"))

    def _run_with(self, name: str) -> str | None:
        """The run of which the value is to be taken: this one, or the one that this one goes on with."""
        run = self._context.run
        ids: Iterable[str | None] = (run.run_id, run.parent_run_id, run.root_run_id)
        return next((run_id for run_id in ids if run_id and self._stored.has(name, run_id)), None)

    @cached_property
    def _failures(self) -> dict[str, str]:
        """Step → the kind of its error, for the steps of this run that failed so far."""
        records = self._context.instance.get_records_for_run(
            self._context.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
        ).records
        events = [record.event_log_entry.dagster_event for record in records]
        return {event.step_key: _kind(event.step_failure_data.error) for event in events if event and event.step_key}


def _kind(error: Any) -> str:
    """The name of the innermost error: its message may differ from run to run, and a plan must not."""
    while error is not None and error.cause is not None:
        error = error.cause
    return "failed" if error is None else f"failed: {error.cls_name}"
