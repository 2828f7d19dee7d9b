"""The lines in which `safetyamp explain` reports what it found. What is found: `explain.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from safetyamp_pipelines.operations.decisions import render_decision, render_failure
from safetyamp_pipelines.operations.display import called
from safetyamp_pipelines.operations.explain.calls import render_call, render_fields, render_value
from safetyamp_pipelines.operations.local_time import local_time
from safetyamp_pipelines.sync.entities.registry import BY_NAME

POLICIES = {
    "source": "the source wins",
    "initial": "set on create only",
    "fill": "fills what is empty",
    "merge": "merged with edits in SafetyAmp",
}
"""The policies as sentences."""


def render_explanation(found: Mapping[str, Any], timezone: str, *, name: str = "", every: bool = False) -> list[str]:
    """The document of `explain_stored`, for reading: the answer first, then the fields that differ, or all of them."""
    noun = BY_NAME[found["entity"]].noun
    who = f"{noun} {called(found['key'], name)}"
    as_of = local_time(found["plan"]["as_of"], timezone)
    lines = [*_answer(who, found), f"by plan {found['plan']['hash'][:12]} as of {as_of}"]
    if "fields" in found:
        lines += [*_changes(found, every=every), *_fields(found, every=every)]
    lines += _memory(found, timezone, every=every)
    return lines


def _answer(who: str, found: Mapping[str, Any]) -> Iterator[str]:
    if found["absent"]:
        yield f"{who}: {found['absent'][0]}" if who not in found["absent"][0] else found["absent"][0]
        yield from found["absent"][1:]
        return
    verdict = found["verdict"]
    if verdict is None:
        yield f"{who}: no verdict yet, the newest plan was made before it was there. Run `safetyamp plan`"
        return
    yield f"{who}: {verdict['outcome'].replace('_', ' ')} — {verdict['rule']}"
    for text in (*verdict["reasons"], *verdict["notes"]):
        yield f"  {text}"
    for text in found["guards"]:
        yield f"  held by a guard: {text}"
    for text in found["ways"]:
        yield f"  way out: {text}"


def _changes(found: Mapping[str, Any], *, every: bool) -> Iterator[str]:
    for change in found["change"]:
        yield f"planned: {change['action']}, {change['cause']}"
        yield from render_fields(change, every=every)


def _fields(found: Mapping[str, Any], *, every: bool) -> Iterator[str]:
    there = found["safetyamp_id"]
    shown = [field for field in found["fields"] if every or (there is not None and differs(field))]
    alike = len(found["fields"]) - len(shown)
    yield f"fields (SafetyAmp id {there})" if there is not None else "fields (not in SafetyAmp)"
    for field in shown:
        by = f" from {field['from']}" if field["from"] else ""
        safetyamp = f"; SafetyAmp says {render_value(field['safetyamp'])}" if there is not None else ""
        taken = ", and did not take what was sent" if field["not_taken"] else ""
        empty = f", an empty source: {field['when_empty']}" if field["value"] is None else ""
        rules = f"cleaned as {field['cleaned_as']}, {POLICIES[field['policy']]}{empty}"
        yield f"  {field['label']}: {render_value(field['value'])}{by} [{rules}]{safetyamp}{taken}"
        for source in field["sources"]:
            if source["trouble"] or (source["raw"] is not None and source["source"] != field["from"]):
                yield f"    {source['source']} {source['trouble'] or 'says ' + repr(source['raw'])}"
    if alike:
        yield f"  {alike} {'fields do not differ' if there is not None else 'fields'}: --all shows them"


def differs(field: Mapping[str, Any]) -> bool:
    """Whether SafetyAmp has another value than it should; an empty source requires none."""
    return field["value"] is not None and field["value"] != field["safetyamp"]


def _memory(found: Mapping[str, Any], timezone: str, *, every: bool) -> Iterator[str]:
    if (link := found["link"]) is not None:
        yield f"linked to SafetyAmp id {link['safetyamp_id']} since {local_time(link['updated_at'], timezone)}"
    yield from (render_decision(one, timezone) for one in found["decisions"])
    if found["failure"] is not None:
        yield from render_failure(found["failure"], timezone)
    if found["history"]:
        yield "last runs"
    for one in found["history"]:
        pushed = "" if one["was_pushed"] else " (planned only)"
        why = "; ".join(one["reasons"]) or one["rule"]
        outcome = (one["outcome"] or "not in the source").replace("_", " ")
        at, since = (local_time(one[name], timezone) for name in ("at", "since"))
        yield f"  {at}  {outcome}{pushed} — {why}, so since {since}"
    if found["calls"]:
        yield "last calls"
    for call in found["calls"]:
        yield from render_call(call, timezone, every=every)
