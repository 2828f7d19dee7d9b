"""A plan as people review it: what would change, with names, before → after and cause, and what is held first.

One document for the desk, for `plan --html` and for `plan --xlsx`. It holds values of people, and is never logged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from safetyamp_pipelines.operations.decisions import ways_out
from safetyamp_pipelines.operations.explain.search import names_of
from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.sync.model.plan import Action, Change, Plan
from safetyamp_pipelines.sync.model.spec import EntitySpec

VERBS = {
    Action.CREATE: "create",
    Action.UPDATE: "change",
    Action.DEACTIVATE: "switch off",
    Action.REACTIVATE: "switch on",
    Action.LINK: "link",
}
SYMBOLS = {Action.CREATE: "+", Action.UPDATE: "~", Action.DEACTIVATE: "-", Action.REACTIVATE: "^", Action.LINK: "="}
WAITING = ("held", "blocked", "rejected", "failed")


def plan_view(stored: Stored) -> dict[str, Any]:
    """The document of one entity's newest plan."""
    plan, names = stored.plan, names_of(stored)
    groups = {record.source_key: list(record.groups) for record in stored.desired}
    return {
        "entity": plan.entity,
        "noun": stored.spec.noun,
        "hash": plan.hash,
        "as_of": plan.as_of,
        "summary": summary_of(plan),
        "held": [*_held(stored.spec, plan, names, groups)],
        "changes": [
            change_view(stored.spec, change, names, groups)
            for change in ([] if plan.refused and not plan.held else plan.changes)  # all of a refused plan is held
        ],
        "waiting": [
            {
                "key": verdict.source_key,
                "name": names.get(verdict.source_key, ""),
                "verdict": str(verdict.outcome),
                "why": [*(verdict.reasons or (verdict.rule,)), *verdict.notes],
                "ways": ways_out(plan, verdict.source_key),
                "groups": groups.get(verdict.source_key, []),
            }
            for verdict in plan.verdicts
            if str(verdict.outcome) in WAITING
        ],
        "findings": _findings(plan),
    }


def _held(
    spec: EntitySpec, plan: Plan, names: Mapping[str, str], groups: Mapping[str, list[str]]
) -> Iterator[dict[str, Any]]:
    """What guards hold, by guard: single changes, or the whole plan while its source is in doubt."""
    for guard in plan.held_by():
        own = [held for held in plan.held if held.guard == guard]
        yield {
            "guard": guard,
            "figures": own[0].figures,
            "setting": own[0].setting,
            "hash": plan.held_hash(guard),
            "is_whole": False,
            "changes": [change_view(spec, held.change, names, groups) for held in own],
        }
    for number, refused in enumerate(() if plan.held else plan.refused):
        yield {
            "guard": refused.guard,
            "figures": refused.figures,
            "setting": refused.setting,
            "hash": plan.hash,
            "is_whole": True,
            # Once, under the first guard: an approval is of the whole plan.
            "changes": [change_view(spec, change, names, groups) for change in ([] if number else plan.changes)],
        }


def change_view(
    spec: EntitySpec, change: Change, names: Mapping[str, str], groups: Mapping[str, list[str]]
) -> dict[str, Any]:
    """One change."""
    return {
        "key": change.source_key,
        "name": names.get(change.source_key, ""),
        "action": str(change.action),
        "verb": VERBS[change.action],
        "symbol": SYMBOLS[change.action],
        "cause": change.cause,
        "hash": change.hash,
        "groups": groups.get(change.source_key, []),
        "fields": [
            {"field": name, "label": spec.field(name).label, "before": before, "after": after}
            for name, (before, after) in change.fields.items()
        ],
    }


def summary_of(plan: Plan) -> str:
    """`12 to create, 3 to change, 2 to switch off, 1 held`."""
    counts = Counter(change.action for change in plan.changes)
    parts = [f"{counts[action]} to {verb}" for action, verb in VERBS.items() if counts[action]]
    outcomes = plan.counts()
    parts += [f"{outcomes[name]} {name}" for name in WAITING if name in outcomes]
    return ", ".join(parts) or "nothing to do"


CONSEQUENCES = {
    "deactivations": "would lose access",
    "deactivations in one place": "would lose access",
    "cleared": "would lose a value",
    "cleared in one place": "would lose a value",
    "moves": "would move to another place",
    "updates": "would be overwritten",
    "creates": "would be new in SafetyAmp",
    "same value": "would get one and the same value",
    "empty source": "would change, by a source that is empty",
    "shrunk source": "would change, by a source that has shrunk",
}
"""What the changes that a guard holds would do."""


def headline_of(spec: EntitySpec, plan: Plan) -> str:
    """What the guards hold, as one line: `13 people would lose access (limit 10)`."""
    singular, plural = ("person", "people") if any(field.personal for field in spec.fields) else (spec.noun, spec.name)
    return "; ".join(
        f"{len(one.keys)} {singular if len(one.keys) == 1 else plural} {CONSEQUENCES[one.guard]}"
        + (f" (limit {one.limit})" if one.limit else "")
        for one in plan.refused
    )


def filtered(view: Mapping[str, Any], *, verdict: str = "", field: str = "", group: str = "") -> dict[str, Any]:
    """The document with those changes alone that are meant by verdict (an action, or `held`), field or department."""

    def is_meant(change: Mapping[str, Any], is_held: bool = False) -> bool:
        return (
            verdict in ("", change.get("action"), change.get("verdict"), "held" if is_held else None)
            and (not field or any(one["label"] == field for one in change.get("fields", ())))
            and group in ("", *change["groups"])
        )

    held = [{**one, "changes": [c for c in one["changes"] if is_meant(c, is_held=True)]} for one in view["held"]]
    return {
        **view,
        "held": [one for one in held if one["changes"] or one["is_whole"]],
        "changes": [change for change in view["changes"] if is_meant(change)],
        "waiting": [] if field else [one for one in view["waiting"] if is_meant(one)],
    }


def choices_of(view: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a plan can be filtered by."""
    changes = [*view["changes"], *(change for one in view["held"] for change in one["changes"])]
    return {
        "verdicts": sorted({change["action"] for change in changes} | {one["verdict"] for one in view["waiting"]}),
        "fields": sorted({field["label"] for change in changes for field in change["fields"]}),
        "groups": sorted({group for one in [*changes, *view["waiting"]] for group in one["groups"]}),
    }


def plan_rows(view: Mapping[str, Any]) -> Iterator[list[Any]]:
    """A row of a spreadsheet for each field of each change."""
    for change, held_by in _with_guard(view):
        head = [view["entity"], held_by, change["action"], change["key"], change["name"], change["cause"]]
        for field in change["fields"] or [{"label": "", "before": None, "after": None}]:
            yield [*head, field["label"], field["before"], field["after"]]


PLAN_COLUMNS = ("entity", "held by", "action", "key", "name", "cause", "field", "before", "after")


def _with_guard(view: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for one in view["held"]:
        for change in one["changes"]:
            yield change, one["guard"]
    for change in view["changes"]:
        yield change, ""


def _findings(plan: Plan) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], list[str]] = {}
    for finding in plan.findings:
        found.setdefault((finding.kind, finding.text), []).append(finding.key)
    return [{"kind": kind.replace("_", " "), "text": text, "keys": keys} for (kind, text), keys in found.items()]
