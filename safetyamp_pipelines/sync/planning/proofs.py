"""What must hold of every plan, proved again from the plan and the state it was made from: references resolve, unique
values stay unique, few records are rejected. The planner sees to all of it; here nothing of its work is trusted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from safetyamp_pipelines.sync.config_checks import RejectedLimits
from safetyamp_pipelines.sync.model.plan import Action, Outcome, Plan
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.model.tables import References, at_path, fold
from safetyamp_pipelines.sync.planning.expected import apply_plan

KEPT = (Outcome.HELD, Outcome.UNCHANGED, Outcome.FAILED, Outcome.NOT_PUSHED)
"""Records of the plan that it does not change and that may be in SafetyAmp under another key, such as one that
SafetyAmp did not take; a create that it refused before is nobody's reference (`planner.py`)."""


def unresolved(spec: EntitySpec, plan: Plan, expected: References) -> Mapping[str, tuple[str, ...]]:
    """Source key → labels of the references that lead nowhere: not in the expected state, nor to a record of this plan.

    A record of the plan is found by its link although SafetyAmp does not yet show its key: an account is linked by
    e-mail in the same push, or stands there with another number.
    """
    own = expected[spec.table]
    planned = {own.folded(change.natural_key) for change in plan.changes if change.action is not Action.DEACTIVATE}
    planned |= {own.folded(verdict.source_key) for verdict in plan.verdicts if verdict.outcome in KEPT}
    nowhere: dict[str, list[str]] = defaultdict(list)
    for change in plan.changes:
        for name, wanted in change.after().items():
            field = spec.field(name)
            if field.references is None or wanted is None:
                continue
            is_own = field.references == spec.table and own.folded(str(wanted)) in planned
            if not is_own and expected[field.references].id_of(str(wanted)) is None:
                nowhere[change.source_key].append(field.label)
    return {key: tuple(labels) for key, labels in nowhere.items()}


def collided(spec: EntitySpec, plan: Plan, expected: References) -> Mapping[str, tuple[str, ...]]:
    """Source key → labels of the unique fields in which it would write what another record has after the plan."""
    unique = [field for field in spec.fields if field.unique is not None]
    written = [(change, field) for change in plan.changes for field in unique if change.after().get(field.name)]
    if not written:
        return {}
    rows = apply_plan(spec, plan, expected[spec.table].rows.values(), expected)
    held = {
        field.name: Counter(
            fold(value, case=field.fold_case)
            for row in rows
            if (value := at_path(row, field.read or field.name)) not in (None, "")
        )
        for field in unique
    }
    twice: dict[str, list[str]] = defaultdict(list)
    for change, field in written:
        if held[field.name][fold(change.after()[field.name], case=field.fold_case)] > 1:
            twice[change.source_key].append(field.label)
    return {key: tuple(labels) for key, labels in twice.items()}


def rejected_of(plan: Plan) -> tuple[tuple[str, ...], int]:
    """The source keys that are rejected, and how many records the entity has that are SafetyAmp's business at all."""
    rejected = tuple(verdict.source_key for verdict in plan.verdicts if verdict.outcome is Outcome.REJECTED)
    return rejected, sum(verdict.outcome is not Outcome.OUT_OF_SCOPE for verdict in plan.verdicts)


def allowed_rejections(size: int, limits: RejectedLimits) -> tuple[int, int]:
    """How many of `size` records may be rejected without a warning, and without stopping the push."""
    if size < limits.from_records:
        return size, size
    return int(limits.warn * size), int(limits.error * size)


def common_reasons(plan: Plan, most: int = 5) -> Iterable[tuple[str, int]]:
    """The most frequent reasons of the rejected, each with its number of records; they hold no person's value."""
    reasons = Counter(
        reason for verdict in plan.verdicts if verdict.outcome is Outcome.REJECTED for reason in verdict.reasons
    )
    return reasons.most_common(most)
