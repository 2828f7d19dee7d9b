"""Checks on plans: every record has exactly one verdict, every change belongs to one, no guard objects."""

from collections import Counter
from collections.abc import Mapping

import dagster as dg

from safetyamp_pipelines.checks.judged import Judged, Level, judged_checks, key_list, worst
from safetyamp_pipelines.operations.plan_view import headline_of
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES
from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Plan

VERDICTS = (
    "Every source record has exactly one verdict. Red? Two records share a key, or the planner lost one: the metadata "
    "names it."
)
GUARDS = (
    "No change waits for a person. Red? Too many are alike, or come from a suspect source: they are listed, and "
    "everything else was pushed. If they are right, approve them, by command or with the job approve_plan."
)
HEADLINE = "headline"
"""Metadata of the guards check that an alert begins with."""
MOST_HELD = 100
"""Rows of metadata stay in the event log for ever: `safetyamp plan` shows what is cut."""
HELD = dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in ("key", "action", "fields", "guard")])


def verdicts_check(entity: str) -> dg.AssetChecksDefinition:
    """Blocking: the verdicts add up to the source records, none has two, and the changes are those of the records to be
    changed."""
    asset, name = f"plan/{entity}", "one_verdict_each"

    @judged_checks(asset, {name: VERDICTS}, f"safetyamp plan {entity}", suffix=name, ins={"plan": asset}, blocking=True)
    def one_verdict_each(plan: Plan) -> Mapping[str, Judged]:
        return {name: judge_verdicts(plan)}

    return one_verdict_each


def judge_verdicts(plan: Plan) -> Judged:
    """Whether each record is accounted for. Regions that departments name, and vanished vehicles, are not records of
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
            **{name: key_list(sorted(found)) for name, found in wrong.items()},
        },
    )


def guards_check(entity: str) -> dg.AssetChecksDefinition:
    """Red while guards hold changes. It stops nothing: the plan has set apart what they hold."""
    asset, look, spec = f"plan/{entity}", f"safetyamp plan {entity}", BY_NAME[entity]

    @judged_checks(asset, {"guards": GUARDS}, look, suffix="guards", ins={"plan": asset})
    def guards(plan: Plan) -> Mapping[str, Judged]:
        overrule = [f"safetyamp approve {plan.held_hash(guard)[:12]} --reason …" for guard in plan.held_by()]
        rows = [
            {
                "key": held.change.source_key,
                "action": str(held.change.action),
                "fields": ", ".join(held.change.fields),
                "guard": held.guard,
            }
            for held in plan.held[:MOST_HELD]
        ]
        judged = Judged(
            worst((bool(plan.refused), Level.ERROR)),
            f"{len(plan.held)} changes are held, {len(plan.changes)} are not",
            "none held, unless a person has approved them (guards in sync.yaml)",
            keys=tuple(sorted({key for refused in plan.refused for key in refused.keys})),
            more={
                "found": len(plan.held),
                "held": dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema=HELD),
                "refused_by": "\n".join(map(str, plan.refused)) or "none",
                "overrule": "\n".join(overrule) or "nothing to approve",
                "job": "approve_plan, or refuse_changes",
                **({HEADLINE: headline_of(spec, plan)} if plan.refused else {}),
            },
        )
        return {"guards": judged}

    return guards


guard_checks = [guards_check(spec.name) for spec in ENTITIES]
verdict_checks = [verdicts_check(spec.name) for spec in ENTITIES]
