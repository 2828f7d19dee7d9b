"""Checks on plans: every record has exactly one verdict, every change belongs to one, no guard objects."""

from collections import Counter
from collections.abc import Mapping

import dagster as dg

from safetyamp_pipelines.checks.judged import Judged, Level, judged_checks, shown, worst
from safetyamp_pipelines.resources.systems import LedgerResource
from safetyamp_pipelines.sync.entities.registry import ENTITIES
from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Plan

VERDICTS = (
    "Every source record has exactly one verdict. Red? Two records share a key, or the planner lost one: the metadata "
    "names it."
)
GUARDS = "The plan does not change too much at once. Red? Look at the plan; if it is right, approve it."


def verdicts_check(entity: str) -> dg.AssetChecksDefinition:
    """Blocking: the verdicts add up to the source records, none has two, and the changes are those of the records to be
    changed."""
    asset, name = f"plan/{entity}", "one_verdict_each"

    @judged_checks(asset, {name: VERDICTS}, f"safetyamp plan {entity}", suffix=name, ins={"plan": asset}, blocking=True)
    def one_verdict_each(plan: Plan) -> Mapping[str, Judged]:
        return {name: judge_verdicts(plan)}

    return one_verdict_each


def judge_verdicts(plan: Plan) -> Judged:
    """Whether each record is accounted for. Regions that departments name, and vanished vehicles, are no records of
    their own: their verdicts come on top."""
    given = Counter(verdict.source_key for verdict in plan.verdicts)
    to_change = {verdict.source_key for verdict in plan.verdicts if verdict.outcome in OUTCOME_OF.values()}
    wrong = {
        "keys_with_two_verdicts": {key for key, number in given.items() if number > 1},
        "records_unaccounted": set(plan.unaccounted),
        "changes_without_verdict": to_change ^ {change.source_key for change in plan.changes},
    }
    keys = sorted(set[str]().union(*wrong.values()))
    on_top = len(plan.verdicts) - plan.records
    return Judged(
        worst((bool(keys), Level.ERROR)),
        f"{len(plan.verdicts)} verdicts for {plan.records} source records, {on_top} of them on top"
        + "".join(f"; {name.replace('_', ' ')}: {len(found)}" for name, found in wrong.items() if found),
        "one verdict for each source record, and each change belongs to one",
        keys=tuple(keys),
        more={
            "source_rows": dict(plan.source_rows),
            "changes": len(plan.changes),
            **{name: shown(sorted(found)) for name, found in wrong.items()},
        },
    )


def guards_check(entity: str) -> dg.AssetChecksDefinition:
    """Blocking: no guard stands against the plan, or a person has approved exactly this plan."""
    asset, look = f"plan/{entity}", f"safetyamp plan {entity}"

    @judged_checks(asset, {"guards": GUARDS}, look, suffix="guards", ins={"plan": asset}, blocking=True)
    def guards(plan: Plan, ledger: LedgerResource) -> Mapping[str, Judged]:
        approval = ledger.get().approval(plan.hash) if plan.refused else None
        judged = Judged(
            worst((bool(plan.refused) and approval is None, Level.ERROR)),
            f"{len(plan.refused)} guards refuse the plan of {len(plan.changes)} changes",
            "none, unless a person has approved exactly this plan (guards in sync.yaml)",
            keys=tuple(sorted({key for refused in plan.refused for key in refused.keys})),
            more={
                "found": len(plan.refused),
                "changes": len(plan.changes),
                "plan_hash": plan.hash,
                "refused_by": "\n".join(map(str, plan.refused)) or "none",
                "approved_by": f"{approval.who}: {approval.reason}" if approval is not None else "nobody",
                "overrule": f"safetyamp approve {plan.hash[:12]} --reason …",
            },
        )
        return {"guards": judged}

    return guards


guard_checks = [guards_check(spec.name) for spec in ENTITIES]
verdict_checks = [verdicts_check(spec.name) for spec in ENTITIES]
