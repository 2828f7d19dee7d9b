"""Did the checks of a plan pass? A blocking check protects only inside the run that holds it, so the push asks itself.

What the checks look at is in `checks/`. The guards are not such a check: a plan has set apart what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import Plan

EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
LOOK_BACK, AT_ONCE = 50, 3
"""Materialisations and evaluations looked through, newest first. An older plan is refused for its age anyway."""


def refuse_unchecked(instance: dg.DagsterInstance, plan: Plan, checks: Iterable[str], *, run_id: str) -> None:
    """PlanRefused unless each of these checks was run on this very plan and passed, in this run or the plan's own."""
    made_in = run_of(instance, plan, run_id)
    if made_in is None:
        raise PlanRefused(
            f"no run is known that made the plan for {plan.entity}, so nothing shows that its checks passed: "
            f"run the job sync_{plan.entity}, which makes and checks it"
        )
    for name in checks:
        found = _evaluation(instance, plan, name, made_in)
        if found is None:
            raise PlanRefused(
                f"the check {name} was never run on the plan for {plan.entity} of run {made_in[:8]}: execute it on the "
                f"page of plan/{plan.entity}, or run the job sync_{plan.entity}"
            )
        if not found.passed and found.severity is dg.AssetCheckSeverity.ERROR:
            raise PlanRefused(
                f"the check {name} failed on the plan for {plan.entity} of run {made_in[:8]}: its metadata on the page "
                f"of plan/{plan.entity} shows why. Then run the job sync_{plan.entity}"
            )


def run_of(instance: dg.DagsterInstance, plan: Plan, run_id: str) -> str | None:
    """The run that made the plan: this one, else the newest whose plan has the same hash; None when none is known."""
    newest = None
    for record in islice(_materializations(instance, dg.AssetKey(["plan", plan.entity])), LOOK_BACK):
        made = record.asset_materialization
        if made is None or "plan_hash" not in made.metadata or made.metadata["plan_hash"].value != plan.hash:
            continue
        if record.run_id == run_id:
            return run_id
        newest = newest or record.run_id
    return newest


def _evaluation(instance: dg.DagsterInstance, plan: Plan, name: str, made_in: str) -> dg.AssetCheckEvaluation | None:
    """The newest result of the check on the plan that this run made, also when it was executed again later."""
    key = dg.AssetCheckKey(dg.AssetKey(["plan", plan.entity]), name)
    for record in islice(_executions(instance, key), LOOK_BACK):
        found = record.evaluation
        target = found.target_materialization_data if found is not None else None
        if made_in in (record.run_id, target.run_id if target is not None else None):
            return found
    return None


def _materializations(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[dg.EventLogRecord]:
    """Newest first, a few at a time: the wanted one is nearly always the first, and each holds tables of metadata."""
    cursor, has_more = None, True
    while has_more:
        page = instance.fetch_materializations(key, limit=AT_ONCE, cursor=cursor)
        yield from page.records
        cursor, has_more = page.cursor, page.has_more


def _executions(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> Iterator[AssetCheckExecutionRecord]:
    """Evaluations, newest first, a few at a time."""
    log, cursor = instance.event_log_storage, None
    while page := log.get_asset_check_execution_history(key, AT_ONCE, cursor=cursor, status=EVALUATED):
        yield from page
        cursor = page[-1].id
