"""Carrying a plan out: the intent before each call, the answer after it, and a verdict for every change."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from safetyamp_pipelines.sync.model.errors import (
    AnswerLost,
    CallError,
    FatalCall,
    RecordRefused,
    RetriableCall,
    SyncError,
)
from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Action, Change, Outcome, Plan, payload_hash
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.model.tables import Id, References
from safetyamp_pipelines.sync.planning.circumstances import Circumstances
from safetyamp_pipelines.sync.planning.difference import NOT_SWITCHED_OFF, is_shown
from safetyamp_pipelines.sync.planning.only import MOST_NAMED, givers, unique_values
from safetyamp_pipelines.sync.pushing.bodies import Unresolved, build_body, compare_answer, row_after
from safetyamp_pipelines.sync.pushing.comparison import Comparison
from safetyamp_pipelines.sync.pushing.outcomes import Outcomes, Progress, PushOptions, PushResult, Refusals, no_progress
from safetyamp_pipelines.sync.pushing.ports import Journal, Target
from safetyamp_pipelines.sync.pushing.refusals import Explained, explain_refusal, with_known_names
from safetyamp_pipelines.sync.pushing.settling import (
    Awaited,
    fields_not_taken,
    is_as_written,
    not_taken_note,
    settle_in_time,
)
from safetyamp_pipelines.sync.pushing.sight import Sight

WAIT_STEP = 1.0
"""Seconds between two checks while waiting, so that a pause or an interrupt ends a wait as soon as it ends a push."""


UNANSWERED = "the answer was lost; the next run looks it up"


@dataclass(frozen=True)
class _Call:
    """One call under way. `left_out` names the optional fields dropped after a first refusal."""

    change: Change
    intent: int
    body: dict[str, Any]
    left_out: tuple[str, ...] = ()


def _without(change: Change, names: Collection[str]) -> Change:
    """The change less some of its fields, with the hash of the whole."""
    return replace(change, fields={name: pair for name, pair in change.fields.items() if name not in names})


def utc_now() -> datetime:
    """The moment, aware."""
    return datetime.now(UTC)


@dataclass
class Push:
    """One push of one plan.

    `references` are observed tables, those of the plan or newer; `observed_at` is when the entity's own was read (None:
    when the plan says). What was pushed since is asked of the journal, whose clock is `now`.
    No call is made before its intent is in the journal, and no create is ever sent twice without a look in between.
    """

    spec: EntitySpec
    plan: Plan
    target: Target
    journal: Journal
    references: References
    options: PushOptions = field(default_factory=PushOptions)
    progress: Progress = no_progress
    observed_at: datetime | None = None
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> PushResult:
        """Carry the plan out and settle what stayed unanswered. Once it writes nothing raises: what SafetyAmp did is
        reported whatever happens, also when the journal can no longer be written."""
        self._ends = Outcomes(len(self.plan.changes), self.progress)
        self._lost: list[tuple[_Call, datetime]] = []
        self._made: list[tuple[Change, Id]] = []
        self._kept: set[tuple[str, str]] = set()
        self._flying: dict[Future[Record], _Call] = {}
        self._refusals = Refusals(self.options)
        self._result = PushResult([], {})
        self._sight = self._first_sight()
        self._settle_earlier()
        self._givers = givers(self.spec, self.plan.changes)
        self._comparison = Comparison(self.spec, self.plan, self.journal, self._sight)
        self.journal.agree(self.plan.agreed)
        if self.plan.revived:
            self.journal.revive(self.plan.revived)
        self._sight.rename()
        try:
            with ThreadPoolExecutor(self.options.in_flight, thread_name_prefix="push") as pool:
                first, rest = self._canary()
                self._run_waves(pool, first)
                self._settle_lost()
                if rest:
                    self._read_back()
                    self._run_waves(pool, rest)
                    self._settle_lost()
        except Exception as error:  # noqa: BLE001 - whatever it is, what was written is known and is reported
            self._end_broken(error)
        self._result.rows = self._sight.rows
        self._result.verdicts = [self._ends.verdict(verdict) for verdict in self.plan.verdicts]
        return self._result

    def _first_sight(self) -> Sight:
        observed_at = self.observed_at or datetime.fromisoformat(self.plan.as_of)
        return Sight(self.plan, self.references, observed_at, self.target, self.journal, self.now, self.options)

    def _settle_earlier(self) -> None:
        """Settle what earlier pushes left open, and read the table again if people, or an interrupted push of the same
        plan, may have changed SafetyAmp since. Raises SyncError when that fails: nothing was written yet."""
        observed_at, has_written = self._sight.began, self.journal.has_written_since(self._sight.began)
        # When a process died, nobody knows whether the call had left yet: it may have waited for the budget first.
        latest = timedelta(seconds=self.options.longest_queue + self.options.late_arrival)
        awaited = [Awaited(intent, intent.intended_at + latest) for intent in self.journal.open_intents()]
        settle_in_time(self.spec, self.journal, awaited, self._sight, self._wait_until)
        is_outdated = has_written or self._sight.is_old()
        if self.plan.changes and is_outdated and self._sight.began == observed_at and not self._must_stop():
            self._sight.look()

    def _canary(self) -> tuple[Sequence[Change], Sequence[Change]]:
        """The changes that are pushed first, and those that wait until the first were read back."""
        number = self.options.first or len(self.plan.changes)
        return self.plan.changes[:number], self.plan.changes[number:]

    def _read_back(self) -> None:
        """Check whether SafetyAmp has what was written so far; if it does not, the rest is not attempted."""
        if self._must_stop():
            return
        try:
            self._sight.look()
        except SyncError as error:
            self._unread(error)
            return
        if not self._made:
            self._result.stopped = f"none of the first {self.options.first} changes ended as planned"
            return
        differ = sorted({change.source_key for change, row_id in self._made if not self._is_there(change, row_id)})
        if differ:
            named = ", ".join([*differ[:MOST_NAMED], *(["…"] if len(differ) > MOST_NAMED else [])])
            self._result.stopped = (
                f"read back after the first {self.options.first} changes, {len(differ)} of {len(self._made)} are not "
                f"as they were written: {named}"
            )

    def _is_there(self, change: Change, row_id: Id) -> bool:
        """Whether the row shows what was written, as far as it shows those fields at all."""
        if (row := self._sight.rows.get(row_id)) is None:
            return False
        is_silent = not any(is_shown(self.spec.field(name), row) for name in change.fields)
        return is_silent or is_as_written(self.spec, row, change.after(), self._sight.names)

    def _run_waves(self, pool: ThreadPoolExecutor, changes: Sequence[Change]) -> None:
        for _, wave in groupby(changes, key=lambda change: change.wave):
            self._run_wave(pool, list(wave))

    def _run_wave(self, pool: ThreadPoolExecutor, wave: Sequence[Change]) -> None:
        queue, flying = deque(wave), self._flying
        while queue or flying:
            # Calls may wait for minutes, for the budget or after a 429: the lease must not run out meanwhile.
            self.journal.beat()
            if queue and not flying:
                self._look_if_old()
            while queue and len(flying) < self.options.in_flight and not self._must_stop() and not self._sight.is_old():
                if (call := self._prepare(queue.popleft())) is not None:
                    flying[self._send(pool, call)] = call
            if self._result.stopped and queue:
                self._not_sent(list(queue), Outcome.NOT_ATTEMPTED, f"stopped: {self._result.stopped}")
                queue.clear()
            for future in wait(flying, self.options.beat_every, FIRST_COMPLETED).done if flying else ():
                call = flying[future]
                again = self._settle_answer(call, future)
                del flying[future]
                if again is not None:
                    flying[self._send(pool, again)] = again

    def _end_broken(self, error: Exception) -> None:
        """The journal failed, or this code did. All calls have ended by now, and every change gets the outcome known in
        memory; those whose intents stay open are looked up by the next push."""
        self._result.broke_off = error
        self._result.stopped = why = f"it broke off: {error}"
        for future, call in self._flying.items():
            if not self._ends.has_ended(call.change):
                self._end_unwritten(call, future)
        for call, _ in self._lost:
            if not self._ends.has_ended(call.change):
                self._ends.end(call.change, Outcome.FAILED, UNANSWERED, quietly=True)
        for change in self.plan.changes:
            if not self._ends.has_ended(change):
                self._ends.end(change, Outcome.NOT_ATTEMPTED, f"stopped: {why}", quietly=True)

    def _end_unwritten(self, call: _Call, future: Future[Record]) -> None:
        """The outcome of an answer that could not be recorded."""
        try:
            answer = future.result()
        except RecordRefused:
            self._ends.end(call.change, Outcome.FAILED, "SafetyAmp refused it", quietly=True)
        except AnswerLost:
            self._ends.end(call.change, Outcome.FAILED, UNANSWERED, quietly=True)
        except CallError as error:
            self._ends.end(call.change, Outcome.NOT_ATTEMPTED, str(error), quietly=True)
        else:
            if call.change.action is Action.CREATE and answer.get("id") is None:
                self._ends.end(call.change, Outcome.FAILED, UNANSWERED, quietly=True)
                return
            self._result.writes += 1
            self._ends.end(call.change, OUTCOME_OF[call.change.action], call.change.cause, quietly=True)

    def _must_stop(self) -> bool:
        if self._result.stopped is None:
            self._result.paused = self.journal.pause_reason()
            self._result.stopped = self._result.paused or self.journal.interrupt_reason()
        return self._result.stopped is not None

    def _look_if_old(self) -> None:
        """A long push reads the table again now and then, since people change SafetyAmp meanwhile."""
        if self._must_stop() or not self._sight.is_old():
            return
        try:
            self._sight.look()
        except SyncError as error:
            self._unread(error)

    def _unread(self, error: SyncError) -> None:
        self._result.stopped = self._result.stopped or f"SafetyAmp could not be read again: {error}"

    def _wait_until(self, moment: datetime) -> bool:
        """Whether the moment has come; False when the push has to stop before."""
        while (left := (moment - self.now()).total_seconds()) > 0:
            self.journal.beat()
            if self._must_stop():
                return False
            self.sleep(min(left, WAIT_STEP))
        return True

    def _prepare(self, change: Change) -> _Call | None:
        """The call to make, its intent written; None for a change that cannot or need not be sent."""
        if (found := self._comparison.found(change)) is not None:
            self._not_sent([change], *found)
            return None
        if taken := self._taken(change):
            if not taken.keys() <= self._optional(change) or change.fields.keys() <= taken.keys():
                self._not_sent([change], Outcome.BLOCKED, next(iter(taken.values())))
                return None
            change = _without(change, taken)
            # A refusal must be remembered of what was sent: the whole may well be taken once the value is free.
            change = replace(change, payload_hash=payload_hash(self.spec.name, change.action, change.after()))
            self._ends.note(change, taken.values())
            self._kept |= {(change.source_key, name) for name in taken}
        is_new = change.action is Action.CREATE
        known = change if is_new else replace(change, target_id=self._sight.id_of(change))
        try:
            body = build_body(self.spec, known, self._sight.row(known), self._sight.names.id_of)
        except Unresolved as missing:
            self._not_sent([change], Outcome.BLOCKED, str(missing))
        else:
            if is_new or known.target_id is not None:
                return _Call(known, self.journal.intend(known), body)
            self._not_sent([change], Outcome.BLOCKED, "the record itself could not be created")
        return None

    def _taken(self, change: Change) -> dict[str, str]:
        """Unique values that are not free yet, although the plan frees them before, each with why: sent all the same,
        they would be refused, and remembered for something that is not the record's own fault."""
        found: dict[str, str] = {}
        for name, value in sorted(unique_values(self.spec, change.after())):
            giver = self._givers.get((name, value), change.source_key)
            is_made = self._ends.is_made(giver) and (giver, name) not in self._kept
            if giver != change.source_key and not is_made:
                label, whose = self.spec.label(name), f"{self.spec.noun} {giver}"
                found[name] = f"{label} is not free yet: the change of {whose}, who gives it up, is not confirmed"
        return found

    def _not_sent(self, changes: Sequence[Change], outcome: Outcome, rule: str) -> None:
        if outcome is not Outcome.UNCHANGED:  # a change that another run overtook is a stale one
            self.journal.unsent(changes, Outcome.STALE if outcome is Outcome.SKIPPED else outcome, rule)
        for change in changes:
            self._ends.end(change, outcome, rule)

    def _send(self, pool: ThreadPoolExecutor, call: _Call) -> Future[Record]:
        self._result.attempts += 1
        context = copy_context()  # log lines of the call in its thread carry this push's run and session
        if call.change.action is Action.CREATE:
            return pool.submit(context.run, self.target.create, self.spec.table, call.body)
        assert call.change.target_id is not None
        return pool.submit(context.run, self.target.update, self.spec.table, call.change.target_id, call.body)

    def _settle_answer(self, call: _Call, future: Future[Record]) -> _Call | None:
        """Settle one answer; returns the call to make next when optional fields can be left out."""
        try:
            self._done(call, future.result())
        except RecordRefused as refusal:
            return self._refused(call, refusal)
        except AnswerLost:
            self._lost.append((call, self.now()))
        except (FatalCall, RetriableCall) as error:
            self.journal.undone(call.intent, str(error))
            self._ends.end(call.change, Outcome.NOT_ATTEMPTED, str(error))
            if isinstance(error, FatalCall):
                self._result.fatal = error
                self._result.stopped = self._result.stopped or str(error)
        return None

    def _done(self, call: _Call, answer: Record) -> None:
        change = call.change
        target_id = change.target_id if change.action is not Action.CREATE else answer.get("id")
        if target_id is None:
            # An answer without an id does not prove a record; the final look-up will show.
            self._lost.append((call, self.now()))
            return
        not_taken, instead = compare_answer(self.spec, change, call.body, answer, self._sight.names.references)
        notes = [not_taken_note(self.spec, instead)] if instead else []
        if call.left_out:
            refused = ", ".join(self.spec.field(name).label for name in call.left_out)
            notes.append(f"left out, since SafetyAmp refused it: {refused}")
            self._kept |= {(change.source_key, name) for name in call.left_out}
        self._ends.note(change, notes)
        self.journal.done(call.intent, target_id, {**change.after(), **instead}, not_taken, "; ".join(notes))
        self._result.writes += 1
        self._made.append((change, target_id))
        self._sight.rows[target_id] = row_after(
            self.spec, change, call.body, self._sight.rows.get(target_id), answer, target_id
        )
        self._sight.names.learn(self.spec.table, change.natural_key, target_id)
        self._refusals.count(refused=False)
        if change.action is Action.DEACTIVATE and self.spec.access in instead:
            self._ends.end(change, Outcome.FAILED, f"{change.cause}; {NOT_SWITCHED_OFF}")
            return
        self._ends.end(change, OUTCOME_OF[change.action], change.cause)

    def _refused(self, call: _Call, refusal: RecordRefused) -> _Call | None:
        refusal = with_known_names(refusal, self.spec)
        optional = self._droppable(call, refusal)
        explained = self._explained(call.change, refusal)
        self.journal.refused(call.intent, call.change, refusal, explained)
        self._ends.note(call.change, [str(offence) for offence in explained.offences.values()])
        if optional:
            reduced = _without(call.change, optional)
            body = build_body(self.spec, reduced, self._sight.row(reduced), self._sight.names.id_of)
            return _Call(reduced, self.journal.intend(reduced), body, optional)
        labels = {field.name: field.label for field in self.spec.fields}
        named = ", ".join(sorted(labels.get(name, name) for name in refusal.fields)) or f"status {refusal.status}"
        self._ends.end(call.change, Outcome.FAILED, f"SafetyAmp refused: {named}")
        if (stop := self._refusals.count(refused=True)) is not None:
            self._result.stopped = self._result.stopped or stop
        return None

    def _explained(self, change: Change, refusal: RecordRefused) -> Explained:
        """The refusal field by field, and what it depends on as far as this push can see."""
        linked = {link.target_id: link.source_key for link in self.journal.links()}
        now = Circumstances(self.spec, self.plan.mapping_hash, self._sight.rows, self._sight.names.id_of)
        return explain_refusal(change, refusal, now, linked.get)

    def _droppable(self, call: _Call, refusal: RecordRefused) -> tuple[str, ...]:
        """The offending fields, when the record can do without all of them, others are left and this is the first
        refusal. One that is there keeps the values that it has."""
        refused = refusal.fields.keys()
        if call.left_out or refusal.status != 422 or call.change.fields.keys() <= refused:
            return ()
        offending = [name for name in refused if name in call.body]
        return tuple(sorted(offending)) if refused <= self._optional(call.change) and offending else ()

    def _optional(self, change: Change) -> set[str]:
        """The fields that the change can do without: one of a record that is there keeps the value that it has."""
        can_keep = change.action in (Action.UPDATE, Action.REACTIVATE)
        optional = {declared.name for declared in self.spec.fields if can_keep or not declared.required}
        if change.action is not Action.CREATE:
            optional.discard(str(self.spec.access))  # a change of access without it would be called done, and is not
        return optional

    def _settle_lost(self) -> None:
        """Look up what was sent and never answered. What a push that had to stop leaves open, the next one settles."""
        if not self._lost:
            return
        intents = {intent.id: intent for intent in self.journal.open_intents()}
        latest = timedelta(seconds=self.options.late_arrival)
        awaited = [Awaited(intents[call.intent], lost_at + latest) for call, lost_at in self._lost]
        settled: Mapping[int, Id | None] = {}
        if self._result.stopped is None:
            try:
                settled = settle_in_time(self.spec, self.journal, awaited, self._sight, self._wait_until)
            except SyncError as error:
                self._unread(error)
        for call, _ in self._lost:
            if call.intent not in settled:
                self._ends.end(call.change, Outcome.FAILED, UNANSWERED)
            elif (row_id := settled[call.intent]) is not None:
                self._result.writes += 1
                if other := fields_not_taken(self.spec, call.change, self._sight.rows[row_id], self._sight.names):
                    self._ends.note(call.change, [not_taken_note(self.spec, other)])
                rule = "the answer was lost; a fresh read shows it was done"
                self._ends.end(call.change, OUTCOME_OF[call.change.action], rule)
            else:
                self._ends.end(call.change, Outcome.FAILED, "the answer was lost; a fresh read shows it was not done")
        self._lost = []
