"""A plan reduced to some of its records, so that one can be pushed alone. Pure; the plan itself is in `derive.py`.

The reduced plan is a plan of its own with its own hash: guards and approvals judge exactly what would be pushed. It
says nothing about the sources as a whole, so what the next guards compare with stays as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Action, Change, Outcome, Plan, Verdict
from safetyamp_pipelines.sync.model.spec import EntitySpec

ASIDE = "this run was about other records"
MOST_NAMED = 10


def reduced_to(spec: EntitySpec, plan: Plan, keys: Collection[str]) -> Plan:
    """The plan of these source keys alone, which the guards have judged in that form; the other records that would
    change get the verdict `not_pushed`.

    Raises PlanRefused for a key that is not a record, and for a record that cannot go alone.
    """
    known = {verdict.source_key for verdict in plan.verdicts}
    if unknown := sorted(set(keys) - known):
        raise PlanRefused(
            f"no {spec.noun} has the key {', '.join(unknown)}: `safetyamp explain {spec.noun} {unknown[0]}` shows why"
        )
    changes = tuple(change for change in plan.changes if change.source_key in keys)
    _refuse_dependent(spec, plan, keys)
    return replace(
        plan,
        changes=changes,
        verdicts=tuple(verdict if verdict.source_key in keys else as_not_pushed(verdict) for verdict in plan.verdicts),
        agreed=tuple(agreed for agreed in plan.agreed if agreed.source_key in keys),
        source_rows={},
        revived=tuple(key for key in plan.revived if key in keys),
        only=tuple(sorted(keys)),
    )


def as_not_pushed(verdict: Verdict, why: str = ASIDE) -> Verdict:
    """The verdict of a record that this run does not push."""
    if verdict.outcome not in OUTCOME_OF.values():
        return verdict
    return replace(verdict, outcome=Outcome.NOT_PUSHED, rule=why)


def _refuse_dependent(spec: EntitySpec, plan: Plan, keys: Collection[str]) -> None:
    """Sent alone, such a record would be blocked, or refused and remembered for something that is not its own fault."""
    missing = {key: needed - set(keys) for key, needed in waits_for(spec, plan.changes).items() if key in keys}
    for key, needed in sorted(missing.items()):
        if needed:
            named = ", ".join(sorted(needed)[:MOST_NAMED])
            raise PlanRefused(
                f"{spec.noun} {key} cannot be pushed alone: it waits for {named}, which this plan creates or takes a "
                "value from. Give these keys too, or sync all"
            )


def waits_for(spec: EntitySpec, changes: Iterable[Change]) -> dict[str, set[str]]:
    """Source key → the records whose changes have to come first: those it refers to and that are new, and those that
    give up a unique value which it takes."""
    changes = tuple(changes)
    own = [field.name for field in spec.fields if field.references == spec.table]
    new = (Action.CREATE, Action.LINK)
    created = {change.natural_key: change.source_key for change in changes if change.action in new}
    given_up = givers(spec, changes)
    needs: dict[str, set[str]] = {}
    for change in changes:
        needed = {created.get(str(change.fields[name][1])) for name in own if name in change.fields}
        needed |= {given_up.get(taken) for taken in unique_values(spec, change.after())}
        needs.setdefault(change.source_key, set()).update(key for key in needed - {None, change.source_key} if key)
    return needs


def givers(spec: EntitySpec, changes: Iterable[Change]) -> dict[tuple[str, str], str]:
    """(field, unique value) → source key of the record that gives it up."""
    return {
        given_up: change.source_key
        for change in changes
        for given_up in unique_values(spec, {name: before for name, (before, _) in change.fields.items()})
    }


def unique_values(spec: EntitySpec, values: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(field, value) of the unique values among these, as they are compared."""
    fields = [field for field in spec.fields if field.unique is not None and values.get(field.name) is not None]
    return {(field.name, field.folded(values[field.name])) for field in fields}
