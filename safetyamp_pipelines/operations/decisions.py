"""`safetyamp approve`: finding the stored plan a person means. Recording the approval is the ledger's."""

from __future__ import annotations

from safetyamp_pipelines.sync.entities.registry import ENTITIES
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore

LEAST_CHARACTERS = 8


def newest_plans(store: SnapshotStore) -> list[Plan]:
    """The newest stored plan of each entity that has one, and the newest plan to undo a session of it."""
    refs = [store.newest(f"{kind}/{spec.name}") for spec in ENTITIES for kind in ("plan", "undo")]
    return [Plan.from_bytes(store.read(ref)) for ref in refs if ref is not None]


def refused_plan(store: SnapshotStore, wanted: str) -> Plan:
    """The newest plan whose hash begins with `wanted` and against which a guard stands; PlanRefused when none does."""
    wanted = wanted.strip().lower()
    if len(wanted) < LEAST_CHARACTERS:
        raise PlanRefused(f"{wanted!r} is too short: give at least {LEAST_CHARACTERS} characters of the plan's hash")
    plans = newest_plans(store)
    found = [plan for plan in plans if plan.hash.startswith(wanted)]
    if len(found) > 1:
        names = ", ".join(f"{plan.hash} ({plan.entity})" for plan in found)
        raise PlanRefused(f"{wanted} is the beginning of several plans: {names}. Give more of it")
    if not found:
        raise PlanRefused(_why_unknown(store, wanted, plans))
    if not found[0].refused:
        raise PlanRefused(f"no guard stands against plan {found[0].hash[:12]} of {found[0].entity}: just sync it")
    return found[0]


def _why_unknown(store: SnapshotStore, wanted: str, plans: list[Plan]) -> str:
    for plan in plans:
        older = store.history(f"plan/{plan.entity}")[1:]
        if any(str(ref.content["plan_hash"]).startswith(wanted) for ref in older):
            return (
                f"plan {wanted} of {plan.entity} is not the newest any more, {plan.hash[:12]} is: look at it with "
                f"`safetyamp plan {plan.entity}`"
            )
    waiting = ", ".join(f"{plan.hash[:12]} ({plan.entity})" for plan in plans if plan.refused) or "none"
    return f"no newest plan begins with {wanted}. Waiting for an approval: {waiting}"
