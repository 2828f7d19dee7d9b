"""What people decide: which plan they approve, which refused records are tried again, which links are removed.

Each is recorded by the ledger.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from safetyamp_pipelines.ledger import ChangeApproval, Ledger, Unlinked
from safetyamp_pipelines.ledger.approvals import person_of
from safetyamp_pipelines.operations.display import target_name
from safetyamp_pipelines.operations.explain.search import names_of
from safetyamp_pipelines.operations.local_time import local_time
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.operations.plan_step import Stored, is_approved, long_enough
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES, entity_named, full_name, writers
from safetyamp_pipelines.sync.model.errors import PlanRefused, Refusal
from safetyamp_pipelines.sync.model.plan import Held, Plan, Question
from safetyamp_pipelines.sync.model.remembered import Choice, Decision, FailureState
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.planning.guards import SECOND
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore

LASTS = timedelta(hours=24)
"""How long an approval is valid by default."""
CHOICES = {
    "source": "take the source's",
    "keep": "keep SafetyAmp's",
    "link": "link it to the record of SafetyAmp that it is",
    "leave": "leave it alone until something of it changes",
    "approve": "let it be pushed",
    "refuse": "do not push it, and do not ask again until it changes",
    "later": "ask again at a later time",
}
OF_A_GUARD = ("approve", "refuse", "later")


@dataclass(frozen=True)
class Decider:
    """Who asks for a decision, who is logged in while it is taken, and why."""

    who: str
    login: str
    reason: str


def newest_plans(store: SnapshotStore) -> list[Plan]:
    """The newest stored plan of each entity that has one, the newest that a person made to look at, and the newest to
    undo a session of it."""
    refs = [store.newest(f"{kind}/{spec.name}") for spec in ENTITIES for kind in ("plan", "trial", "undo")]
    return [Plan.from_bytes(store.read(ref)) for ref in refs if ref is not None]


def approve(
    store: SnapshotStore, ledger: Ledger, wanted: str, by: Decider, *, lasts: timedelta, keys: Collection[str] = ()
) -> dict[str, Any]:
    """Approve the changes that a guard holds, all of them or those of some source keys; `wanted` is the beginning of
    their hash. That of the plan of an undo approves the undo. Raises PlanRefused for what nobody holds, Refusal when
    the same person has approved it already and a second one must: `second_person` says so after the first."""
    wanted = long_enough(wanted)
    if (found := _held_set(store, wanted, keys)) is not None:
        given, second = approve_held(ledger, found.plan, found.guard, found.changes, by, lasts)
        return {
            **_document_of(found),
            **vars(by),
            "at": plain(given.at),
            "expires_at": plain(given.expires_at),
            "second_person": second,
        }
    meant = refused_plan(store, wanted)
    by_now = {person_of(one.login) for one in ledger.standing_approvals()[0] if one.plan_hash == meant.hash}
    if person_of(by.login) in by_now and not is_approved(meant, ledger):
        raise _second_missing(meant.hash)
    approval = ledger.approve(meant.hash, meant.entity, by.who, by.reason, lasts, login=by.login)
    second = None if is_approved(meant, ledger) else SECOND
    keys = sorted({key for refused in meant.refused for key in refused.keys})
    return {**plain(approval), "keys": keys, "refused": plain(meant.refused), "second_person": second}


def approve_held(
    ledger: Ledger, plan: Plan, guard: str, changes: Collection[tuple[str, str]], by: Decider, lasts: timedelta
) -> tuple[ChangeApproval, str | None]:
    """Approve these held changes, (source key, hash), of the plan. Returns the approval of the first change, and the
    notice that a second person must approve, if so. Raises Refusal when that needs another person than this one."""
    by_two, before = {about for key, about in changes if key in plan.by_two}, ledger.approvers(plan.entity)
    is_again = all(person_of(by.login) in before.get(about, ()) for _, about in changes)
    if is_again and any(len(before[about]) < 2 for about in by_two):
        raise _second_missing(plan.held_hash(guard))
    given = ledger.approve_changes(plan.entity, changes, guard=guard, **vars(by), lasts=lasts)
    return given[0], None if by_two <= ledger.approved(plan.entity, logins=2) else SECOND


def _second_missing(wanted: str) -> Refusal:
    return Refusal(f"{SECOND}: `safetyamp approve {wanted[:12]} --reason …`")


def set_aside(
    store: SnapshotStore,
    ledger: Ledger,
    wanted: str,
    by: Decider,
    *,
    until: datetime | None = None,
    keys: Collection[str] = (),
) -> dict[str, Any]:
    """Leave the changes that a guard holds, all of them or those of some source keys, unpushed and ask nobody again:
    until they change, or `until` a time. `wanted` is as for `approve`. Raises PlanRefused for what no guard holds."""
    wanted = long_enough(wanted)
    found = _held_set(store, wanted, keys)
    if found is None:
        raise PlanRefused(_why_unknown(store, wanted, newest_plans(store)))
    choice: Choice = "refuse" if until is None else "later"
    given = ledger.decide(found.plan.entity, found.changes, choice, **vars(by), until=until)[0]
    times = {"at": plain(given.at), "until": plain(given.until)}
    return {**_document_of(found), "choice": choice, **vars(by), **times}


@dataclass(frozen=True)
class _HeldSet:
    """What one guard holds of a plan, or some of it. `changes` are source keys with the hashes of their changes."""

    plan: Plan
    guard: str
    changes: list[tuple[str, str]]


def _held_set(store: SnapshotStore, wanted: str, keys: Collection[str]) -> _HeldSet | None:
    for plan in newest_plans(store):
        for guard in plan.held_by():
            if plan.held_hash(guard).startswith(wanted):
                held = {one.change.source_key: one.change.hash for one in plan.held if one.guard == guard}
                if missing := set(keys) - held.keys():
                    raise PlanRefused(f"{guard} holds nothing of {', '.join(sorted(missing))} in {plan.entity}")
                return _HeldSet(plan, guard, [(key, held[key]) for key in held if not keys or key in keys])
    return None


def _document_of(found: _HeldSet) -> dict[str, Any]:
    refused = [one for one in found.plan.refused if one.guard == found.guard]
    return {
        "entity": found.plan.entity,
        "plan_hash": found.plan.held_hash(found.guard),
        "keys": [key for key, _ in found.changes],
        "refused": plain(refused),
    }


def refused_plan(store: SnapshotStore, wanted: str) -> Plan:
    """The newest plan whose hash begins with `wanted` and that a guard refuses; PlanRefused for none."""
    wanted = long_enough(wanted)
    plans = newest_plans(store)
    found = list({plan.hash: plan for plan in plans if plan.hash.startswith(wanted)}.values())
    if len(found) > 1:
        names = ", ".join(f"{plan.hash} ({plan.entity})" for plan in found)
        raise PlanRefused(f"{wanted} is the beginning of several plans: {names}. Give more of it")
    if not found:
        raise PlanRefused(_why_unknown(store, wanted, plans))
    if not found[0].refused:
        raise PlanRefused(f"no guard holds anything in plan {found[0].hash[:12]} of {found[0].entity}: just sync it")
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
    named = ", ".join(dict.fromkeys(waiting))  # a plan of a sync, and a trial after it, hold the same
    return f"no newest plan holds {wanted}. Waiting for an approval: {named or 'none'}"


def failures_of(ledger: Ledger, now: datetime) -> list[dict[str, Any]]:
    """Every failure that is open at `now`, without hashes, which mean nothing to a reader."""
    return [failure_document(entity, plain(failure)) for entity, failure in ledger.all_failures(now=now)]


def decide(ledger: Ledger, entity: str | None, key: str | None, state: FailureState, now: datetime) -> list[str]:
    """Mark the failures that are meant; without a key all of the entity, without an entity all. Gives their names.

    Raises Refusal when there is no such entity or failure.
    """
    entity = full_name(entity)
    standing = [(name, failure.source_key) for name, failure in ledger.all_failures(now=now)]
    meant = [found for found in standing if entity in (None, found[0]) and key in (None, found[1])]
    if not meant and key is not None:
        raise Refusal(f"no failure of {key} in {entity} is remembered. `safetyamp failures list` shows those that are")
    for name, source_key in meant:
        ledger.mark_failure(name, source_key, state)
    return [f"{name} {source_key}" for name, source_key in meant]


def render_failure(failure: dict[str, Any], timezone: str) -> list[str]:
    """The lines of one failure of `failures_of`."""
    state = {"open": "stands", "retry": "is tried again", "dismissed": "dismissed"}[failure["state"]]
    until = "" if failure["state"] != "open" else f" until {local_time(failure['expires_at'], timezone)}"
    head = (
        f"{failure['entity']} {failure['source_key']}: {failure['action']} refused {failure['attempts']} times, "
        f"last {local_time(failure['last_seen'], timezone)} with status {failure['http_status']}; {state}{until}"
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
    """Remove the link. Raises Refusal when there is no such entity or link, IntentUnsettled while a call is open."""
    spec = entity_named(entity)
    unlinked = ledger.unlink(spec.name, key, who, reason)
    if unlinked is None:
        raise Refusal(f"{spec.noun} {key} is linked to nothing: `safetyamp explain {spec.noun} {key}`")
    return unlinked


def unlinked_of(ledger: Ledger, entity: str | None) -> list[dict[str, Any]]:
    """Every link that was removed, newest first. Raises Refusal when there is no such entity."""
    return [plain(unlinked) for unlinked in ledger.unlinked(full_name(entity))]


def render_unlinked(unlinked: dict[str, Any], timezone: str) -> str:
    """The line of one of them."""
    return (
        f"{unlinked['entity']} {unlinked['source_key']}: forgotten by {unlinked['who']} at "
        f"{local_time(unlinked['at'], timezone)} that it is SafetyAmp id {unlinked['target_id']}: {unlinked['reason']}"
    )


# --- what only people can decide about one record ---


def ways_out(plan: Plan, key: str) -> list[str]:
    """What a person can do about a record that is held, each with its command; nothing for any other."""
    noun, ways = BY_NAME[plan.entity].noun, []
    for held in plan.held:
        if held.change.source_key == key:
            found = plan.held_hash(held.guard)[:12]
            ways += [f"{CHOICES[how]}: `safetyamp {how} {found} --key {key}`" for how in OF_A_GUARD]
    for question in plan.questions:
        if question.source_key == key and not question.answer:
            ways += [f"{CHOICES[how]}: {_command(noun, key, how)}" for how in question.choices]
    return ways


def _command(noun: str, key: str, choice: str) -> str:
    return f"`safetyamp link {noun} {key} ID`" if choice == "link" else f"`safetyamp decide {noun} {key} {choice}`"


def question_of(stored: Stored, ledger: Ledger, key: str) -> dict[str, Any]:
    """What there is to decide about the record: the question, the values on both sides, the choices in words, and the
    decision that counts now. Holds a person's values. Raises Refusal when nothing is to be decided, nor was."""
    held, question = _held_of(stored.plan, key), _question_of(stored.plan, key)
    decided = _decided_now(ledger, stored.spec.name, key)
    if held is None and question is None and decided is None:
        raise Refusal(
            f"{stored.spec.noun} {key} waits for no decision: `safetyamp explain {stored.spec.noun} {key}` shows why "
            "it is as it is"
        )
    fields = {**(held.change.fields if held else {}), **(question.fields if question else {})}
    rows = stored.shown[stored.spec.table].rows
    candidates = [row_id for row_id in (question.candidates if question else ()) if row_id in rows]
    asked = [f"{held.guard}: {held.figures} [{held.setting}]"] if held else []
    return {
        "entity": stored.spec.name,
        "noun": stored.spec.noun,
        "key": key,
        "name": names_of(stored).get(key, ""),
        "question": "; ".join([*asked, *([question.text] if question else [])]),
        "fields": [
            {"field": name, "label": stored.spec.field(name).label, "safetyamp": before, "source": after}
            for name, (before, after) in fields.items()
        ],
        "candidates": [{"id": row_id, "name": target_name(stored.spec, rows[row_id])} for row_id in candidates],
        "choices": {choice: CHOICES[choice] for choice in _choices(held, question)},
        "decided": None if decided is None else plain(decided),
    }


def _held_of(plan: Plan, key: str) -> Held | None:
    return next((one for one in (*plan.held, *plan.set_aside) if one.change.source_key == key), None)


def _question_of(plan: Plan, key: str) -> Question | None:
    return next((one for one in plan.questions if one.source_key == key), None)


def _choices(held: Held | None, question: Question | None) -> tuple[str, ...]:
    return (*(question.choices if question else ()), *(OF_A_GUARD if held else ()))


def _decided_now(ledger: Ledger, entity: str, key: str) -> Decision | None:
    return next((one for one in ledger.decisions(entity, key) if one.ended_at is None), None)


def decide_record(
    stored: Stored,
    ledger: Ledger,
    key: str,
    choice: str,
    by: Decider,
    *,
    target_id: str = "",
    until: datetime | None = None,
) -> dict[str, Any]:
    """Decide about one record as `question_of` asks; `target_id` is for `link`, `until` for `later`. The next
    plan follows it. Returns the decision as a document. Raises Refusal for any other choice."""
    entity, held, question = stored.spec.name, _held_of(stored.plan, key), _question_of(stored.plan, key)
    if choice not in _choices(held, question):
        choices = ", ".join(_choices(held, question)) or "none: it waits for no decision"
        raise Refusal(f"{choice} is not a choice for {stored.spec.noun} {key}. There are {choices}")
    if choice == "link":
        return link_record(stored, ledger, key, target_id, by)
    if choice == "approve":
        assert held is not None
        given, second = approve_held(ledger, stored.plan, held.guard, [(key, held.change.hash)], by, LASTS)
        return {**plain(given), "choice": choice, "second_person": second}
    if (choice == "later") == (until is None):
        raise Refusal("later needs a time, and nothing else does")
    about = held if choice in OF_A_GUARD else question
    assert about is not None
    answer = (key, about.change.hash if isinstance(about, Held) else about.hash)
    (decision,) = ledger.decide(entity, [answer], cast("Choice", choice), **vars(by), until=until)
    return decision_document(decision)


def undo_decision(ledger: Ledger, entity: str, key: str, who: str) -> dict[str, Any]:
    """Withdraw the record's decision, and with it a link made by hand. Raises Refusal when none is in force."""
    undone = ledger.undo_decision(entity, key, who)
    if undone is None:
        raise Refusal(f"nothing was decided about {BY_NAME[entity].noun} {key} that still counts")
    return decision_document(undone)


def link_record(stored: Stored, ledger: Ledger, key: str, target_id: str, by: Decider) -> dict[str, Any]:
    """Link a source record to a SafetyAmp record: from then on it is matched by that link alone.

    Raises Refusal for a key that no source record has, an id that the newest snapshot of SafetyAmp does not list, or
    one that another source record is recognised as; IntentUnsettled while a call for the record has no answer.
    """
    spec, wanted = stored.spec, target_id.strip()
    record = next((one for one in stored.desired if one.source_key == key), None)
    if record is None:
        raise Refusal(f"no {spec.noun} has the key {key}: `safetyamp explain {spec.noun} {key}` shows why")
    rows = stored.shown[spec.table].rows
    found: Id | None = next((row_id for row_id in rows if str(row_id) == wanted), None)
    if found is None:
        raise Refusal(f"SafetyAmp lists no record {wanted!r} among its {spec.table}, as of {stored.plan.as_of}")
    if (holder := _holder(stored, ledger, found, key)) is not None:
        raise Refusal(
            f"SafetyAmp id {found} is {holder}: if that is wrong, `safetyamp unlink {holder} --reason …` first"
        )
    given = ledger.link(spec.name, key, record.natural_key, found, **vars(by))
    return decision_document(given)


def _holder(stored: Stored, ledger: Ledger, target_id: Id, key: str) -> str | None:
    """Which other record, as `employees 100482`, SafetyAmp's is: by a link, or as the newest plan recognised it."""
    for spec in writers(stored.spec.table):
        for other, known in ledger.links(spec.name).items():
            if known.target_id == target_id and (spec.name, other) != (stored.spec.name, key):
                return f"{spec.name} {other}"
    recognised = {agreed.target_id: agreed.source_key for agreed in stored.plan.agreed}
    recognised |= {
        change.target_id: change.source_key for change in stored.plan.changes if change.target_id is not None
    }
    other = recognised.get(target_id, key)
    return None if other == key else f"{stored.spec.name} {other}"


def links_of(ledger: Ledger, entity: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Every link, those that a person made with who and why; and every link that was removed.
    Raises Refusal when there is no such entity."""
    entity = full_name(entity)
    by_hand = {
        (one.entity, one.source_key, one.target_id): one
        for one in reversed(ledger.decisions(entity))
        if one.choice == "link"
    }
    links = []
    for spec in ENTITIES:
        for key, known in sorted(ledger.links(spec.name).items()) if entity in (None, spec.name) else ():
            made = by_hand.get((spec.name, key, known.target_id))
            links.append(
                {
                    "entity": spec.name,
                    "source_key": key,
                    "target_id": known.target_id,
                    "natural_key": known.natural_key,
                    "updated_at": plain(known.updated_at),
                    **{name: plain(getattr(made, name, None)) for name in ("who", "login", "reason", "at")},
                }
            )
    return {"links": links, "unlinked": unlinked_of(ledger, entity)}


def render_link(link: dict[str, Any], timezone: str) -> str:
    """The line of one link of `links_of`."""
    at = local_time(link["at"], timezone)
    by_hand = f", linked by {link['who']} at {at}: {link['reason']}" if link["who"] else ""
    return f"{link['entity']} {link['source_key']} is SafetyAmp id {link['target_id']}{by_hand}"


def decisions_of(ledger: Ledger, entity: str | None = None) -> list[dict[str, Any]]:
    """Every decision about a record, newest first. Raises Refusal when there is no such entity."""
    return [decision_document(one) for one in ledger.decisions(full_name(entity))]


def decision_document(decision: Decision) -> dict[str, Any]:
    """The decision without the hash of what it is about, which means nothing to a reader."""
    return {name: value for name, value in plain(decision).items() if name != "about"}


def render_decision(decision: dict[str, Any], timezone: str) -> str:
    """The line of one of them."""
    what = CHOICES[decision["choice"]]
    what += f" ({decision['target_id']})" if decision["target_id"] is not None else ""
    what += f" ({local_time(decision['until'], timezone)})" if decision["until"] is not None else ""
    ended = f"; {decision['ended']} at {local_time(decision['ended_at'], timezone)}" if decision["ended_at"] else ""
    login = f" ({decision['login']})" if decision["login"] != decision["who"] else ""
    return (
        f"{decision['entity']} {decision['source_key']}: {what}, decided by {decision['who']}{login} at "
        f"{local_time(decision['at'], timezone)}: {decision['reason']}{ended}"
    )
