"""Undoing one session: read SafetyAmp again, plan, pause the syncs, push, report.

The next sync would write the values of the sources again, so syncing is paused first, until a person resumes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from safetyamp_pipelines.ledger import Ledger, Pause, Session
from safetyamp_pipelines.operations.direct_push import DirectPush
from safetyamp_pipelines.operations.explain.calls import render_value
from safetyamp_pipelines.operations.lease import who_pushes
from safetyamp_pipelines.operations.local_time import local_time
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.operations.plan_step import is_approved, log_plan
from safetyamp_pipelines.operations.push_step import Pushed
from safetyamp_pipelines.settings.logs import get_logger, log_context
from safetyamp_pipelines.sync.entities.registry import BY_NAME, references
from safetyamp_pipelines.sync.model.errors import PlanRefused, Refusal
from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Plan, Verdict, counts_of
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.planning.guards import SECOND
from safetyamp_pipelines.sync.planning.reversal import Ground, plan_undo

log = get_logger(__name__)

DONE_OR_LEFT = {*map(str, OUTCOME_OF.values()), "unchanged", "held"}


@dataclass(frozen=True)
class PlannedUndo:
    """What undoing a session would change. `unanswered` counts its calls without an answer yet."""

    session: Session
    plan: Plan
    observed: Mapping[str, Snapshot]
    unanswered: int


@dataclass(frozen=True)
class Undone:
    """An undo that was carried out. Without anything to send or to look up nothing was pushed, and nothing is paused
    for it; `pause` is the one that lasts, ours or an earlier one."""

    planned: PlannedUndo
    pushed: Pushed | None
    session_id: int | None
    pause: Pause | None


@dataclass(frozen=True)
class Undoing(DirectPush):
    """Plans an undo and carries it out."""

    def plan(self, session_id: int) -> PlannedUndo:
        """Read SafetyAmp, plan the inverse and keep the plan, so that it can be approved. Writes nothing to SafetyAmp.

        Raises Refusal when there is no such session or it still goes on, ReadError when SafetyAmp cannot be read.
        """
        session = self._session(session_id)
        spec, config = BY_NAME[session.entity], self.settings.sync_config()
        changes = self.ledger.changes(session_id=session_id)
        observed = self.read_observed(spec)
        own = observed[spec.table].certificate
        hashes = {taken.table: taken.certificate.content_hash for taken in observed.values() if taken.certificate}
        shown = references({table: taken.records for table, taken in observed.items()})
        ground = Ground(shown, self.ledger.links(spec.name), own.read_at if own else "", hashes)
        plan = plan_undo(spec, session_id, self.ledger.changes_done(session_id), ground, config)
        name = f"undo/{spec.name}"
        self.store.publish(name, self.run_id, plan.to_bytes(), plan.manifest(), kind="Plan")
        self.store.prune(name)
        with log_context(run_id=self.run_id, entity=spec.name):
            log_plan(plan)
        return PlannedUndo(session, plan, observed, sum(change.status is None for change in changes))

    def undo(self, session_id: int, who: str, reason: str) -> Undone:
        """Take the session back. Raises as `plan` does, and PlanRefused when a guard or another push is in the way.

        After an undo that was killed, the same again goes on: what is set back already is left. Calls without an
        answer are looked up by a push even when there is nothing else to do: they could never be taken back otherwise.
        """
        self._session(session_id)
        pushed = None
        with self._paused(session_id, who, reason) as keep:
            planned = self.plan(session_id)
            refuse_guarded(planned, self.ledger)
            if planned.plan.changes or planned.unanswered:
                keep()
            if planned.plan.changes or self.ledger.open_intents(planned.session.entity):
                pushed = self._push(planned)
        session = next(iter(self.ledger.sessions(1, run_id=self.run_id)), None)
        return Undone(planned, pushed, None if session is None else session.id, self.ledger.pause_state())

    def _session(self, session_id: int) -> Session:
        session, holder = self.ledger.session(session_id), who_pushes(self.ledger)
        if session is None:
            raise Refusal(f"there is no session {session_id}: `safetyamp history` lists them")
        if holder is not None:
            timezone = self.settings.sync_config().schedule.timezone
            raise PlanRefused(f"{holder[0]} is pushing since {local_time(holder[1], timezone)}: wait for it to end")
        return session

    def _push(self, planned: PlannedUndo) -> Pushed:
        return self.push(BY_NAME[planned.session.entity], planned.plan, planned.observed, undoes=planned.session.id)

    @contextmanager
    def _paused(self, session_id: int, who: str, reason: str) -> Iterator[Callable[[], None]]:
        """Pause before anything is read, so that no sync comes in between. Unless kept, a pause of ours ends again."""
        was_paused = self.ledger.pause_state() is not None
        if not was_paused:
            self.ledger.pause(who, f"undo of session {session_id}" + (f": {reason}" if reason.strip() else ""))
        is_kept = was_paused

        def keep() -> None:
            nonlocal is_kept
            is_kept = True

        try:
            yield keep
        finally:
            if not is_kept:
                self.ledger.resume(who)


def refuse_guarded(planned: PlannedUndo, ledger: Ledger) -> None:
    """PlanRefused when a guard refuses the undo and nobody has approved exactly this plan, or not as many people as
    sync.yaml requires."""
    plan, number = planned.plan, planned.session.id
    if plan.refused and not is_approved(plan, ledger):
        second = f"; {SECOND}" if ledger.approval(plan.hash) is not None else ""
        why = "; ".join(map(str, plan.refused)) + second
        raise PlanRefused(
            f"undoing session {number} is refused by the guards: {why}. Look at it with "
            f"`safetyamp undo {number} --dry-run`; if it is right: `safetyamp approve {plan.hash[:12]} --reason …`, "
            "then undo again"
        )


def undo_document(planned: PlannedUndo, undone: Undone | None) -> dict[str, Any]:
    """The document of `undo --json`, without values. `undone` is None for a dry run."""
    pushed = undone.pushed if undone is not None else None
    verdicts = planned.plan.verdicts if pushed is None else pushed.result.verdicts
    counts = counts_of(verdicts)
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
    spec = BY_NAME[plan.entity]
    return [
        {
            "key": change.source_key,
            "action": str(change.action),
            "fields": [spec.field(name).label for name in change.fields],
        }
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


def render_plan(plan: Plan) -> Iterator[str]:
    """What would be set back, now → before. Shows values."""
    spec = BY_NAME[plan.entity]
    for change in plan.changes:
        yield f"{change.source_key} — {change.action}"
        for name, (now, before) in change.fields.items():
            yield f"  {spec.field(name).label}: {render_value(now)} → {render_value(before)}"


def render_undo(document: dict[str, Any]) -> Iterator[str]:
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
            "write the values of the sources again: correct them first, then `safetyamp resume`"
        )
    for error in document["errors"]:
        yield error["error"]
