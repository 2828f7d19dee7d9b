"""Checks on plans: every record has exactly one verdict, every change belongs to one, no guard objects."""

from collections import Counter

import dagster as dg

from safetyamp_pipelines.assets.naming import asset_key
from safetyamp_pipelines.checks.judged import shown
from safetyamp_pipelines.resources.ledger import LedgerResource
from safetyamp_pipelines.sync.entities import ENTITIES
from safetyamp_pipelines.sync.plan import OUTCOME_OF, Plan


def verdicts_check(entity: str) -> dg.AssetChecksDefinition:
    """Blocking: the verdicts add up to the source records, none has two, and the changes are those of the records to be
    changed."""

    @dg.asset_check(
        asset=asset_key(f"plan/{entity}"),
        name="one_verdict_each",
        blocking=True,
        description="Every source record has exactly one verdict. Red? Two records share a key, or the planner lost "
        "one: the metadata names it.",
    )
    def one_verdict_each(plan: Plan) -> dg.AssetCheckResult:
        keys = Counter(verdict.source_key for verdict in plan.verdicts)
        twice = sorted(key for key, number in keys.items() if number > 1)
        to_change = {v.source_key for v in plan.verdicts if v.outcome in OUTCOME_OF.values()}
        astray = sorted(to_change ^ {change.source_key for change in plan.changes})
        return dg.AssetCheckResult(
            passed=not twice and not astray and not plan.unaccounted,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "source_rows": dict(plan.source_rows),
                "records": plan.records,
                "verdicts": len(plan.verdicts),
                "verdicts_on_top": len(plan.verdicts)
                - plan.records,  # regions that departments name, vanished vehicles
                "records_unaccounted": ", ".join(plan.unaccounted[:20]),
                "changes": len(plan.changes),
                "keys_with_two_verdicts": ", ".join(twice[:20]),
                "changes_without_verdict": ", ".join(astray[:20]),
                "look_closer": f"safetyamp plan {entity}",
            },
        )

    return one_verdict_each


def guards_check(entity: str) -> dg.AssetChecksDefinition:
    """Blocking: no guard stands against the plan, or a person has approved exactly this plan."""

    @dg.asset_check(
        asset=asset_key(f"plan/{entity}"),
        name="guards",
        blocking=True,
        description="The plan does not change too much at once. Red? Look at the plan; if it is right, approve it.",
    )
    def guards(plan: Plan, ledger: LedgerResource) -> dg.AssetCheckResult:
        approval = ledger.get().approval(plan.hash) if plan.refused else None
        return dg.AssetCheckResult(
            passed=not plan.refused or approval is not None,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "measured": f"{len(plan.refused)} guards refuse the plan of {len(plan.changes)} changes",
                "limit": "none, unless a person has approved exactly this plan (guards in sync.yaml)",
                "keys": shown(sorted({key for refused in plan.refused for key in refused.keys})),
                "found": len(plan.refused),
                "changes": len(plan.changes),
                "plan_hash": plan.hash,
                "refused_by": "\n".join(map(str, plan.refused)) or "none",
                "approved_by": f"{approval.who}: {approval.reason}" if approval is not None else "nobody",
                "look_closer": f"safetyamp plan {entity}",
                "overrule": f"safetyamp approve {plan.hash[:12]} --reason …",
            },
        )

    return guards


guard_checks = [guards_check(spec.name) for spec in ENTITIES]
verdict_checks = [verdicts_check(spec.name) for spec in ENTITIES]
