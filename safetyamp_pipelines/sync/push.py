"""Carrying a plan out: the intent before each call, the answer after it, and a verdict for every change."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from safetyamp_pipelines.sync.bodies import Unresolved, build_body, compare_answer, row_after
from safetyamp_pipelines.sync.differ import offered
from safetyamp_pipelines.sync.errors import AnswerLost, FatalCall, RecordRefused, RetriableCall, SyncError
from safetyamp_pipelines.sync.journal import Journal, Target
from safetyamp_pipelines.sync.names import Names
from safetyamp_pipelines.sync.plan import OUTCOME_OF, Action, Change, Outcome, Plan, Verdict
from safetyamp_pipelines.sync.push_result import Progress, PushOptions, PushResult, Refusals, no_progress
from safetyamp_pipelines.sync.settle import settle
from safetyamp_pipelines.sync.snapshot import Record
from safetyamp_pipelines.sync.spec import EntitySpec
from safetyamp_pipelines.sync.tables import Id, References


@dataclass(frozen=True)
class _Call:
    """One call under way. `left_out` holds the values of optional fields dropped after a first refusal."""

    change: Change
    intent: int
    body: dict[str, Any]
    left_out: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Push:
    """One push of one plan.

    `references` are the observed tables the plan was made from; what was pushed since is asked of the journal.
    No call is made before its intent is in the journal, and no create is ever sent twice without a look in between.
    """

    spec: EntitySpec
    plan: Plan
    target: Target
    journal: Journal
    references: References
    options: PushOptions = field(default_factory=PushOptions)
    progress: Progress = no_progress

    def run(self) -> PushResult:
        """Carry the plan out and settle what stayed unanswered. Once it writes, no failed call raises."""
        self._outcomes: dict[str, tuple[Outcome, str]] = {}
        self._notes: dict[str, tuple[str, ...]] = {}
        self._lost: list[_Call] = []
        self._refusals = Refusals(self.options)
        self._settled = 0
        self._result = PushResult([], dict(self.references[self.spec.table].rows))
        self._settle_earlier()
        self.journal.agree(self.plan.agreed)
        self._names = self._known_names()
        self._had_link = {link.source_key for link in self.journal.linked(self.spec.table)}
        with ThreadPoolExecutor(self.options.in_flight, thread_name_prefix="push") as pool:
            for _, wave in groupby(self.plan.changes, key=lambda change: change.wave):
                self._run_wave(pool, list(wave))
        self._settle_lost()
        self._result.verdicts = [self._verdict(verdict) for verdict in self.plan.verdicts]
        return self._result

    def _known_names(self) -> Names:
        links = {table: self.journal.linked(table) for table in self.references.tables}
        return Names(self.references, links, since=datetime.fromisoformat(self.plan.as_of))

    def _settle_earlier(self) -> None:
        """What earlier pushes left open is looked up in the observed rows; what was sent after they were read (the same
        plan is pushed again) needs a fresh read. Raises SyncError when that fails: nothing was written yet."""
        if not (intents := self.journal.open_intents()):
            return
        if any(intent.at >= datetime.fromisoformat(self.plan.as_of) for intent in intents):
            self._result.rows = {row["id"]: row for row in self.target.read(self.spec.table)}
        settle(self.spec, self.journal, intents, self._result.rows.values(), self._known_names())

    def _run_wave(self, pool: ThreadPoolExecutor, wave: Sequence[Change]) -> None:
        queue, flying = deque(wave), dict[Future[Record], _Call]()
        while queue or flying:
            # Calls may wait for minutes, for the budget or after a 429: the lease must not run out meanwhile.
            self.journal.beat()
            while queue and len(flying) < self.options.in_flight and not self._must_stop():
                if (call := self._prepare(queue.popleft())) is not None:
                    flying[self._send(pool, call)] = call
            if self._result.stopped and queue:
                self._not_sent(list(queue), Outcome.NOT_ATTEMPTED, f"stopped: {self._result.stopped}")
                queue.clear()
            for future in wait(flying, self.options.beat_every, FIRST_COMPLETED).done if flying else ():
                if (again := self._take(flying.pop(future), future)) is not None:
                    flying[self._send(pool, again)] = again

    def _must_stop(self) -> bool:
        if self._result.stopped is None:
            self._result.stopped = self._result.paused = self.journal.why_stop()
        return self._result.stopped is not None

    def _prepare(self, change: Change) -> _Call | None:
        """The call to make, its intent written; None for a change that cannot be sent."""
        is_new = change.action is Action.CREATE
        try:
            body = build_body(self.spec, change, self._row(change), self._names.id_of)
        except Unresolved as missing:
            self._not_sent([change], Outcome.BLOCKED, str(missing))
        else:
            if is_new and change.source_key in self._had_link:
                self._not_sent([change], Outcome.STALE, "it was created after this plan was made")
            elif not is_new and self._target_id(change) is None:
                self._not_sent([change], Outcome.BLOCKED, "the record itself could not be created")
            else:
                return _Call(change, self.journal.intend(change), body)
        return None

    def _not_sent(self, changes: Sequence[Change], outcome: Outcome, rule: str) -> None:
        self.journal.unsent(changes, outcome, rule)
        for change in changes:
            self._end(change, outcome, rule)

    def _send(self, pool: ThreadPoolExecutor, call: _Call) -> Future[Record]:
        self._result.attempts += 1
        context = copy_context()  # what is logged of the call in its thread bears this push's run and session
        if call.change.action is Action.CREATE:
            return pool.submit(context.run, self.target.create, self.spec.table, call.body)
        target_id = self._target_id(call.change)
        assert target_id is not None
        return pool.submit(context.run, self.target.update, self.spec.table, target_id, call.body)

    def _take(self, call: _Call, future: Future[Record]) -> _Call | None:
        """Settle one answer; returns the call to make next when optional fields can be left out."""
        try:
            self._done(call, future.result())
        except RecordRefused as refusal:
            return self._refused(call, refusal)
        except AnswerLost:
            self._lost.append(call)
        except (FatalCall, RetriableCall) as error:
            self.journal.undone(call.intent, str(error))
            self._end(call.change, Outcome.NOT_ATTEMPTED, str(error))
            if isinstance(error, FatalCall):
                self._result.fatal = error
                self._result.stopped = self._result.stopped or str(error)
        return None

    def _done(self, call: _Call, answer: Record) -> None:
        change = call.change
        target_id = self._target_id(change) if change.action is not Action.CREATE else answer.get("id")
        if target_id is None:
            # An answer without an id is no proof of a record; the closing look-up will tell.
            self._lost.append(call)
            return
        not_taken, labels = compare_answer(self.spec, change, call.body, answer, self._names.references)
        notes = [f"SafetyAmp did not take: {', '.join(labels)}"] if labels else []
        if call.left_out:
            refused = ", ".join(self.spec.field(name).label for name in call.left_out)
            notes.append(f"left out, since SafetyAmp refused it: {refused}")
            not_taken |= {name: offered(value) for name, value in call.left_out.items()}
        self._notes[change.source_key] = (*self._notes.get(change.source_key, ()), *notes)
        self.journal.done(call.intent, target_id, change.after(), not_taken, "; ".join(notes))
        self._result.writes += 1
        self._result.rows[target_id] = row_after(
            self.spec, change, call.body, self._result.rows.get(target_id), answer, target_id
        )
        self._names.learn(self.spec.table, change.natural_key, target_id)
        self._refusals.count(refused=False)
        self._end(change, OUTCOME_OF[change.action], change.cause)

    def _refused(self, call: _Call, refusal: RecordRefused) -> _Call | None:
        optional = self._droppable(call, refusal)
        self.journal.refused(call.intent, call.change, refusal, remember=not optional)
        if optional:
            left_out = {name: value for name, value in call.change.after().items() if name in optional}
            kept = {name: pair for name, pair in call.change.fields.items() if name not in optional}
            body = {name: value for name, value in call.body.items() if name not in optional}
            reduced = replace(call.change, fields=kept)
            return _Call(reduced, self.journal.intend(reduced), body, left_out)
        labels = {field.name: field.label for field in self.spec.fields}
        named = ", ".join(sorted(labels.get(name, name) for name in refusal.errors)) or f"status {refusal.status}"
        self._end(call.change, Outcome.FAILED, f"SafetyAmp refused: {named}")
        if (stop := self._refusals.count(refused=True)) is not None:
            self._result.stopped = self._result.stopped or stop
        return None

    def _droppable(self, call: _Call, refusal: RecordRefused) -> tuple[str, ...]:
        """The offending fields of a create, when all of them are optional and this is the first refusal."""
        if call.change.action is not Action.CREATE or call.left_out or refusal.status != 422 or not refusal.errors:
            return ()
        optional = {declared.name for declared in self.spec.fields if not declared.required}
        offending = [name for name in refusal.errors if name in call.body]
        return tuple(sorted(offending)) if set(refusal.errors) <= optional and offending else ()

    def _settle_lost(self) -> None:
        """Look up what was sent and never answered, with one fresh read of the table; unread, it stays open."""
        if not self._lost:
            return
        try:
            rows: Iterable[Record] = self.target.read(self.spec.table)
        except SyncError as error:
            for call in self._lost:
                self._end(call.change, Outcome.FAILED, "the answer was lost; the next run looks it up")
            self._result.stopped = self._result.stopped or f"SafetyAmp could not be read again: {error}"
            return
        self._result.rows = {row["id"]: row for row in rows}
        wanted = {call.intent: call for call in self._lost}
        intents = [intent for intent in self.journal.open_intents() if intent.id in wanted]
        found = settle(self.spec, self.journal, intents, self._result.rows.values(), self._names)
        for intent, is_done in found.items():
            change = wanted[intent].change
            self._result.writes += is_done
            if is_done:
                self._end(change, OUTCOME_OF[change.action], "the answer was lost; a fresh read shows it was done")
            else:
                self._end(change, Outcome.FAILED, "the answer was lost; a fresh read shows it was not done")

    def _end(self, change: Change, outcome: Outcome, rule: str) -> None:
        """A record of two changes keeps the outcome that went wrong."""
        so_far = self._outcomes.get(change.source_key)
        if so_far is None or so_far[0] in OUTCOME_OF.values():
            kept = so_far[0] if so_far is not None and outcome in OUTCOME_OF.values() else outcome
            self._outcomes[change.source_key] = (kept, rule)
        self._settled += 1
        self.progress(self._settled, len(self.plan.changes))

    def _verdict(self, planned: Verdict) -> Verdict:
        if planned.source_key not in self._outcomes:
            return planned
        outcome, rule = self._outcomes[planned.source_key]
        notes = (*planned.notes, *self._notes.get(planned.source_key, ()))
        return replace(planned, outcome=outcome, rule=rule, notes=notes)

    def _target_id(self, change: Change) -> Id | None:
        if change.target_id is not None:
            return change.target_id
        return self._names.id_of(self.spec.table, change.natural_key)

    def _row(self, change: Change) -> Record | None:
        target_id = self._target_id(change) if change.action is not Action.CREATE else None
        return self._result.rows.get(target_id) if target_id is not None else None
