"""Checks that prove a plan independently: references, collisions, share of rejected. Proofs: `sync/planning/proofs.py`.

One step for the three, which loads what the plan was made from only when the plan changes anything.
"""

from collections.abc import Mapping

import dagster as dg

from safetyamp_pipelines.assets.lanes import Lane
from safetyamp_pipelines.checks.judged import Judged, Level, judged_checks, worst
from safetyamp_pipelines.operations.plan_step import expected_state
from safetyamp_pipelines.resources.io_manager import SnapshotIOManager
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sync.entities.registry import ENTITIES, references
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.planning.proofs import (
    allowed_rejections,
    collided,
    common_reasons,
    rejected_of,
    unresolved,
)
from safetyamp_pipelines.sync.rules.limits import RejectedLimits

CHECKS = {
    "references": "Everything a change refers to is in SafetyAmp or is created before it. Red? Materialise "
    "snapshots and plans again, all in one run; if it stays red, the planner has a bug: report it with the keys.",
    "collisions": "No two records would have the same unique value, such as an e-mail. Red? Correct the named records "
    "at the source; if their values differ there, the planner has a bug: report it with the keys.",
    "rejected_share": "Most records can be synced. Red? More than `checks.rejected.error` of `sync.yaml` cannot, so a "
    "source or a rule is wrong: the metadata counts the reasons. Yellow: have the records corrected at the source.",
}
"""What each check says of itself in the UI."""


def plan_proofs(spec: EntitySpec) -> dg.AssetChecksDefinition:
    """The blocking checks that prove one entity's plan."""
    asset, look = f"plan/{spec.name}", f"safetyamp plan {spec.name}"

    @judged_checks(asset, CHECKS, look, suffix="proofs", ins={"plan": asset}, blocking=True)
    def proofs(
        context: dg.AssetCheckExecutionContext,
        sync_settings: SettingsResource,
        io_manager: dg.ResourceParam[SnapshotIOManager],
        plan: Plan,
    ) -> Mapping[str, Judged]:
        limits = sync_settings.get().sync_config().checks.rejected
        lane = Lane(context, spec, io_manager, {})
        expected = expected_state(spec, lane, lane.unread) if plan.changes else references({})
        return {
            "references": judge_faults(plan, unresolved(spec, plan, expected), "refer to what is not there"),
            "collisions": judge_faults(plan, collided(spec, plan, expected), "would write a value that another has"),
            "rejected_share": judge_rejected(plan, limits),
        }

    return proofs


def judge_faults(plan: Plan, faults: Mapping[str, tuple[str, ...]], what: str) -> Judged:
    """No change may have such a fault; keys and fields are named, not what stands in them."""
    fields = sorted({label for labels in faults.values() for label in labels})
    return Judged(
        worst((bool(faults), Level.ERROR)),
        f"{len(faults)} of {len(plan.changes)} changes {what}" + (f": {', '.join(fields)}" if fields else ""),
        "none",
        keys=tuple(sorted(faults)),
    )


def judge_rejected(plan: Plan, limits: RejectedLimits) -> Judged:
    """Whether so many records are rejected that the source, and not they, must be wrong."""
    keys, size = rejected_of(plan)
    warn, error = allowed_rejections(size, limits)
    return Judged(
        worst((len(keys) > warn, Level.WARNING), (len(keys) > error, Level.ERROR)),
        f"{len(keys)} of {size} records are rejected",
        f"{warn} without a warning, {error} at most (checks.rejected in sync.yaml)",
        keys=keys,
        more={"reasons": "\n".join(f"{number}x {reason}" for reason, number in common_reasons(plan)) or "none"},
    )


proof_checks = [plan_proofs(spec) for spec in ENTITIES]
