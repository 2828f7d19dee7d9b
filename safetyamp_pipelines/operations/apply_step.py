"""Applying one stored plan: exactly the plan that was reviewed, as far as it still applies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from safetyamp_pipelines.operations.direct_push import DirectPush
from safetyamp_pipelines.operations.push_step import Pushed
from safetyamp_pipelines.sync.entities.registry import BY_NAME, asset_name
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Plan
from safetyamp_pipelines.sync.planning.proofs import allowed_rejections, rejected_of
from safetyamp_pipelines.systems.snapshots.parquet import SNAPSHOT_KIND, snapshot_to_parquet
from safetyamp_pipelines.systems.snapshots.store import SnapshotRef


@dataclass(frozen=True)
class Applied:
    """A plan that was pushed, its session, and the calls that this took."""

    plan: Plan
    pushed: Pushed
    session_id: int
    calls: int


@dataclass(frozen=True)
class Applying(DirectPush):
    """Pushes a stored plan. What it does belongs to the run that made the plan."""

    def apply(self, ref: SnapshotRef) -> Applied:
        """Read SafetyAmp, compare, push. Raises PlanRefused before the first write: the plan is too old, was made under
        other rules, did not pass its proofs, syncing is paused, or somebody else is pushing."""
        plan = Plan.from_bytes(self.store.read(ref))
        spec = BY_NAME[plan.entity]
        self._refuse_unproved(plan)
        calls_before = self.client.http.calls
        observed = self.read_observed(spec)
        pushed = self.push(spec, plan, observed)
        self.ledger.log_verdicts(self.run_id, spec.name, datetime.fromisoformat(plan.as_of), pushed.result.verdicts)
        after = pushed.table_after(asset_name(spec), observed[spec.table])
        self.store.publish(after.table, self.run_id, snapshot_to_parquet(after), after.manifest(), kind=SNAPSHOT_KIND)
        (session,) = self.ledger.sessions(1, entity=spec.name, run_id=self.run_id)
        return Applied(plan, pushed, session.id, self.client.http.calls - calls_before)

    def _refuse_unproved(self, plan: Plan) -> None:
        """What the blocking checks on a plan verify, as far as a push does not verify it record by record."""
        rejected, size = rejected_of(plan)
        most = allowed_rejections(size, self.settings.sync_config().checks.rejected)[1]
        if plan.unaccounted or len(rejected) > most:
            raise PlanRefused(
                f"plan {plan.hash[:12]} of {plan.entity} did not pass its checks: {len(plan.unaccounted)} records "
                f"without a verdict, {len(rejected)} of {size} rejected, at most {most} (checks.rejected)"
            )
        if plan.refused and not plan.held:
            raise PlanRefused(str(plan.refusal()))


def apply_document(applied: Applied) -> dict[str, Any]:
    """The document of `apply --json`: counts as those of a sync, and each change that was left out with the reason."""
    plan, result = applied.plan, applied.pushed.result
    planned = {change.source_key for change in plan.changes}
    left_out = [
        {"key": one.source_key, "verdict": str(one.outcome), "why": [one.rule, *one.notes]}
        for one in result.verdicts
        if one.source_key in planned and one.outcome not in OUTCOME_OF.values()
    ]
    errors = [str(text) for text in (plan.refusal(), applied.pushed.error) if text is not None]
    return {
        "applies": plan.hash,
        "entity": plan.entity,
        "session": applied.session_id,
        "entities": {plan.entity: result.counts()},
        "left_out": left_out,
        "writes": result.writes,
        "calls": applied.calls,
        "errors": [{"error": text} for text in errors],
        "exit_code": 2 if errors and not result.writes else 1 if errors or result.has_failed() else 0,
    }


def render_applied(document: dict[str, Any]) -> Iterator[str]:
    """The lines of `apply_document`."""
    for left in document["left_out"]:
        yield f"{left['key']} {left['verdict'].replace('_', ' ')}: {'; '.join(left['why'])}"
    counts = ", ".join(
        f"{number} {name.replace('_', ' ')}" for name, number in document["entities"][document["entity"]].items()
    )
    yield (
        f"session {document['session']} applies plan {document['applies'][:12]} of {document['entity']}: {counts}; "
        f"{document['writes']} writes, {document['calls']} calls"
    )
    for error in document["errors"]:
        yield error["error"]
