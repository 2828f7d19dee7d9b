"""What people decide: which plan they approve, which refused records are tried again, which pairs are forgotten.

Each is recorded by the ledger.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from safetyamp_pipelines.ledger import Ledger, Unlinked
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES
from safetyamp_pipelines.sync.model.errors import PlanRefused, Refusal
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.remembered import FailureState
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore

LEAST_CHARACTERS = 8


def newest_plans(store: SnapshotStore) -> list[Plan]:
    """The newest stored plan of each entity that has one, and the newest plan to undo a session of it."""
    refs = [store.newest(f"{kind}/{spec.name}") for spec in ENTITIES for kind in ("plan", "undo")]
    return [Plan.from_bytes(store.read(ref)) for ref in refs if ref is not None]


def approve(
    store: SnapshotStore,
    ledger: Ledger,
    wanted: str,
    *,
    who: str,
    login: str,
    reason: str,
    lasts: timedelta,
    keys: Collection[str] = (),
) -> dict[str, Any]:
    """Approve the changes that a guard holds, all of them or those of some source keys; `wanted` is the beginning of
    their hash. That of the plan of an undo approves the undo. Raises PlanRefused for what is held by nobody."""
    wanted = _long_enough(wanted)
    for plan in newest_plans(store):
        for guard in plan.held_by():
            if not plan.held_hash(guard).startswith(wanted):
                continue
            held = [
                one.change for one in plan.held if one.guard == guard and (not keys or one.change.source_key in keys)
            ]
            if missing := set(keys) - {change.source_key for change in held}:
                raise PlanRefused(f"{guard} holds nothing of {', '.join(sorted(missing))} in {plan.entity}")
            changes = [(change.source_key, change.hash) for change in held]
            given = ledger.approve_changes(
                plan.entity, changes, guard=guard, who=who, login=login, reason=reason, lasts=lasts
            )[0]
            refused = [one for one in plan.refused if one.guard == guard]
            return {
                "entity": plan.entity,
                "plan_hash": plan.held_hash(guard),
                "who": who,
                "reason": reason,
                "at": plain(given.at),
                "expires_at": plain(given.expires_at),
                "keys": [key for key, _ in changes],
                "refused": plain(refused),
            }
    meant = refused_plan(store, wanted)
    approval = ledger.approve(meant.hash, meant.entity, who, reason, lasts)
    keys = sorted({key for refused in meant.refused for key in refused.keys})
    return {**plain(approval), "keys": keys, "refused": plain(meant.refused)}


def _long_enough(wanted: str) -> str:
    wanted = wanted.strip().lower()
    if len(wanted) < LEAST_CHARACTERS:
        raise PlanRefused(f"{wanted!r} is too short: give at least {LEAST_CHARACTERS} characters of the hash")
    return wanted


def refused_plan(store: SnapshotStore, wanted: str) -> Plan:
    """The newest plan whose hash begins with `wanted` and against which a guard stands; PlanRefused when none does."""
    wanted = _long_enough(wanted)
    plans = newest_plans(store)
    found = [plan for plan in plans if plan.hash.startswith(wanted)]
    if len(found) > 1:
        names = ", ".join(f"{plan.hash} ({plan.entity})" for plan in found)
        raise PlanRefused(f"{wanted} is the beginning of several plans: {names}. Give more of it")
    if not found:
        raise PlanRefused(_why_unknown(store, wanted, plans))
    if not found[0].refused:
        raise PlanRefused(f"no guard stands against plan {found[0].hash[:12]} of {found[0].entity}: just sync it")
    if found[0].held:
        raise PlanRefused(str(found[0].refusal()))
    return found[0]


def _why_unknown(store: SnapshotStore, wanted: str, plans: list[Plan]) -> str:
    for plan in plans:
        older = store.history(f"plan/{plan.entity}")[1:]
        if any(str(ref.content["plan_hash"]).startswith(wanted) for ref in older):
            return (
                f"plan {wanted} of {plan.entity} is not the newest any more, {plan.hash[:12]} is: look at it with "
                f"`safetyamp plan {plan.entity}`"
            )
    waiting = [f"{plan.hash[:12]} ({plan.entity})" for plan in plans if plan.refused and not plan.held]
    waiting += [
        f"{plan.held_hash(guard)[:12]} ({number} of {plan.entity}, {guard})"
        for plan in plans
        for guard, number in plan.held_by().items()
    ]
    return f"no newest plan holds {wanted}. Waiting for an approval: {', '.join(waiting) or 'none'}"


def failures_of(ledger: Ledger, now: datetime) -> list[dict[str, Any]]:
    """Every failure that stands at `now`, without hashes: they mean nothing to a reader."""
    return [failure_document(entity, plain(failure)) for entity, failure in ledger.all_failures(now=now)]


def decide(ledger: Ledger, entity: str | None, key: str | None, state: FailureState, now: datetime) -> list[str]:
    """Mark the failures that are meant; without a key all of the entity, without an entity all. Gives their names.

    Raises Refusal when there is no such entity or failure.
    """
    if entity is not None and entity not in BY_NAME:
        raise Refusal(f"no such entity: {entity}. There are {', '.join(BY_NAME)}")
    standing = [(name, failure.source_key) for name, failure in ledger.all_failures(now=now)]
    meant = [found for found in standing if entity in (None, found[0]) and key in (None, found[1])]
    if not meant and key is not None:
        raise Refusal(f"no failure of {key} in {entity} is remembered. `safetyamp failures list` shows those that are")
    for name, source_key in meant:
        ledger.mark_failure(name, source_key, state)
    return [f"{name} {source_key}" for name, source_key in meant]


def render_failure(failure: dict[str, Any]) -> list[str]:
    """The lines of one failure of `failures_of`."""
    state = {"open": "stands", "retry": "is tried again", "dismissed": "dismissed"}[failure["state"]]
    until = "" if failure["state"] != "open" else f" until {failure['expires_at']}"
    head = (
        f"{failure['entity']} {failure['source_key']}: {failure['action']} refused {failure['attempts']} times, "
        f"last {failure['last_seen']} with status {failure['http_status']}; {state}{until}"
    )
    labels = {field.name: field.label for field in BY_NAME[failure["entity"]].fields}
    lines = [
        f"  {labels.get(name, name)}: {facts['category']}"
        + (f" — {facts['suggestion']}" if facts["suggestion"] else "")
        for name, facts in failure["fields"].items()
    ]
    return [head, *lines]


def failure_document(entity: str, failure: dict[str, Any]) -> dict[str, Any]:
    """The failure as a document: without hashes and without what only the planner compares."""
    known = {name: value for name, value in failure.items() if name not in ("payload_hash", "cause", "fields")}
    fields = {
        name: {"category": facts.get("category", "unknown"), "suggestion": facts.get("suggestion", "")}
        for name, facts in failure["fields"].items()
    }
    return {"entity": entity, **known, "fields": fields}


def unlink(ledger: Ledger, entity: str, key: str, who: str, reason: str) -> Unlinked:
    """Forget the pair. Raises Refusal when there is no such entity or link, IntentUnsettled while a call is open."""
    if entity not in BY_NAME:
        raise Refusal(f"no such entity: {entity}. There are {', '.join(BY_NAME)}")
    unlinked = ledger.unlink(entity, key, who, reason)
    if unlinked is None:
        raise Refusal(
            f"{BY_NAME[entity].noun} {key} is linked to nothing: `safetyamp explain {BY_NAME[entity].noun} {key}`"
        )
    return unlinked


def unlinked_of(ledger: Ledger, entity: str | None) -> list[dict[str, Any]]:
    """Every pair that was forgotten, newest first."""
    return [plain(unlinked) for unlinked in ledger.unlinked(entity)]


def render_unlinked(unlinked: dict[str, Any]) -> str:
    """The line of one of them."""
    return (
        f"{unlinked['entity']} {unlinked['source_key']}: forgotten by {unlinked['who']} at {unlinked['at']} that it is "
        f"SafetyAmp id {unlinked['target_id']}: {unlinked['reason']}"
    )
