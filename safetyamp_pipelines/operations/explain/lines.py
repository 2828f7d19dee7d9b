"""The lines in which `safetyamp explain` reports what it found. What is found: `explain.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safetyamp_pipelines.operations.decisions import render_failure
from safetyamp_pipelines.operations.explain.calls import render_call, render_value
from safetyamp_pipelines.sync.entities.registry import BY_NAME

POLICIES = {
    "source": "the source wins",
    "initial": "set on create only",
    "fill": "fills what is empty",
    "merge": "merged with edits in SafetyAmp",
}
"""The policies in words."""


def render_explanation(found: dict[str, Any]) -> list[str]:
    """The document of `explain_record`, for reading."""
    plan = found["plan"]
    noun = BY_NAME[found["entity"]].noun
    lines = [f"{noun} {found['key']}, by plan {plan['hash'][:12]} as of {plan['as_of']}"]
    lines += found["absent"]
    if "fields" in found:
        lines += [*_verdict(found), *_changes(found), *_fields(found)]
    lines += _memory(found)
    return lines


def _verdict(found: dict[str, Any]) -> Iterator[str]:
    verdict = found["verdict"]
    if verdict is None:
        yield "the newest plan gives it no verdict: it was made before this record was there. Run `safetyamp plan`"
        return
    yield f"verdict: {verdict['outcome']} — {verdict['rule']}"
    for text in (*verdict["reasons"], *verdict["notes"]):
        yield f"  {text}"
    for text in found["guards"]:
        yield f"  refused by a guard: {text}"


def _changes(found: dict[str, Any]) -> Iterator[str]:
    for change in found["change"]:
        yield f"planned: {change['action']}, {change['cause']}"
        for label, (before, after) in change["fields"].items():
            yield f"  {label}: {render_value(before)} → {render_value(after)}"


def _fields(found: dict[str, Any]) -> Iterator[str]:
    there = found["safetyamp_id"]
    yield "fields" + (f" (SafetyAmp id {there})" if there is not None else " (not in SafetyAmp)")
    for field in found["fields"]:
        by = f" from {field['from']}" if field["from"] else ""
        safetyamp = f"; SafetyAmp says {render_value(field['safetyamp'])}" if there is not None else ""
        taken = ", and did not take what was sent" if field["not_taken"] else ""
        rules = f"cleaned as {field['cleaned_as']}, {POLICIES[field['policy']]}"
        yield f"  {field['label']}: {render_value(field['value'])}{by} [{rules}]{safetyamp}{taken}"
        for source in field["sources"]:
            if source["trouble"] or (source["raw"] is not None and source["source"] != field["from"]):
                yield f"    {source['source']} {source['trouble'] or 'says ' + repr(source['raw'])}"


def _memory(found: dict[str, Any]) -> Iterator[str]:
    if (link := found["link"]) is not None:
        yield f"linked to SafetyAmp id {link['safetyamp_id']} since {link['updated_at']}"
    if found["failure"] is not None:
        yield from render_failure(found["failure"])
    if found["history"]:
        yield "last runs"
    for one in found["history"]:
        pushed = "" if one["was_pushed"] else " (planned only)"
        why = "; ".join(one["reasons"]) or one["rule"]
        yield f"  {one['at']}  {one['outcome'] or 'not in the source'}{pushed} — {why}, so since {one['since']}"
    if found["calls"]:
        yield "last calls"
    for call in found["calls"]:
        yield from render_call(call)
