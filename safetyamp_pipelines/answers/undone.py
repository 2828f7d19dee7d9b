"""`safetyamp undo`: what is told of a planned or carried out undo. Only its dry run tells values, as a plan does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from safetyamp_pipelines.operations.explain.calls import render_value
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Plan, Verdict

if TYPE_CHECKING:
    from safetyamp_pipelines.operations.undo_step import PlannedUndo, Undone

DONE_OR_LEFT = {*map(str, OUTCOME_OF.values()), "unchanged", "held"}


def undo_document(planned: PlannedUndo, undone: Undone | None) -> dict[str, Any]:
    """The document of `undo --json`, without values. `undone` is None for a dry run."""
    pushed = undone.pushed if undone is not None else None
    verdicts = planned.plan.verdicts if pushed is None else pushed.result.verdicts
    counts = dict(sorted(Counter(str(verdict.outcome) for verdict in verdicts).items()))
    stopped = None if pushed is None or pushed.error is None else str(pushed.error)
    is_over = set(counts) <= DONE_OR_LEFT and not (pushed is not None and planned.unanswered)
    return {
        "undoes": planned.session.id,
        "entity": planned.session.entity,
        "session": undone.session_id if undone is not None else None,
        "plan": planned.plan.hash,
        "verdicts": counts,
        "changes": _changes(planned.plan),
        "left_alone": _left_alone(verdicts),
        "unanswered": planned.unanswered,
        "refused": plain(planned.plan.refused),
        "writes": 0 if pushed is None else pushed.result.writes,
        "paused": plain(undone.pause) if undone is not None else None,
        "errors": [] if stopped is None else [{"error": stopped}],
        "exit_code": 0 if stopped is None and is_over else 1,
    }


def _changes(plan: Plan) -> list[dict[str, Any]]:
    labels = {field.name: field.label for field in BY_NAME[plan.entity].fields}
    return [
        {"key": change.source_key, "action": str(change.action), "fields": [labels[name] for name in change.fields]}
        for change in plan.changes
    ]


def _left_alone(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Every record of which something was left as it is, or that did not end as planned, with the reasons."""
    found = []
    for verdict in verdicts:
        why = [*verdict.reasons, *verdict.notes]
        if why or str(verdict.outcome) not in DONE_OR_LEFT:
            found.append({"key": verdict.source_key, "verdict": str(verdict.outcome), "why": why or [verdict.rule]})
    return found


def told_plan(plan: Plan) -> Iterator[str]:
    """What would be set back, now → before. Shows values."""
    labels = {field.name: field.label for field in BY_NAME[plan.entity].fields}
    for change in plan.changes:
        yield f"{change.source_key} — {change.action}"
        for name, (now, before) in change.fields.items():
            yield f"  {labels[name]}: {render_value(now)} → {render_value(before)}"


def told_undo(document: dict[str, Any]) -> Iterator[str]:
    """The lines of `undo_document`."""
    for left in document["left_alone"]:
        yield f"{left['key']} {left['verdict']}: {'; '.join(left['why'])}"
    for refused in document["refused"]:
        yield f"refused by a guard: {refused['guard']}: {refused['figures']} [{refused['setting']}]"
    counts = ", ".join(f"{number} {name}" for name, number in document["verdicts"].items()) or "nothing was done"
    if document["session"] is None:
        yield f"undo of session {document['undoes']} of {document['entity']}: {counts}; nothing was written"
    else:
        yield (
            f"session {document['session']} takes back session {document['undoes']} of {document['entity']}: {counts}, "
            f"{document['writes']} writes"
        )
    if document["unanswered"]:
        yield (
            f"{document['unanswered']} calls of that session had no answer when this was planned; the push of an undo "
            f"looks them up: `safetyamp undo {document['undoes']}` once more takes back what they did"
        )
    if document["paused"] is not None:
        yield (
            f"syncing is paused by {document['paused']['who']}: {document['paused']['reason']}. The next sync would "
            "write again what the sources say: correct that first, then `safetyamp resume`"
        )
    for error in document["errors"]:
        yield error["error"]
