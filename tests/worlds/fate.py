"""Virtual time, and what goes wrong in it: SafetyAmp's rules behind a network that fails on schedule, and a process
that dies between any two operations. No threads, no sleeping; the same story meets the same fate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from safetyamp_pipelines.sandbox.safetyamp_rules import Refused
from safetyamp_pipelines.sandbox.safetyamp_state import SafetyAmpState
from safetyamp_pipelines.sync.model.errors import (
    AnswerLost,
    AuthRefused,
    CallError,
    CircuitOpen,
    NotSent,
    RateLimited,
    ReadError,
    RecordRefused,
)
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.tables import Id
from worlds.story import Run

Answer = TypeVar("Answer")
BEGIN = datetime(2026, 11, 20, 10, tzinfo=UTC)
SECONDS_PER_CALL = 1
READ_ONLY = frozenset({"open_intents", "linked", "has_written_since", "beat", "pause_reason", "interrupt_reason"})
"""What a journal is asked without writing: a process that dies there dies as it would at the next call."""


class Killed(BaseException):
    """The process died here: nothing of it runs any more."""


@dataclass
class Clock:
    """A clock that goes on only when told to, and then does what has come due."""

    now: datetime = BEGIN
    due: list[tuple[datetime, Callable[[], object]]] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass; whatever comes due meanwhile happens at its own moment."""
        until = self.now + timedelta(seconds=seconds)
        while self.due and (first := min(self.due, key=lambda item: item[0]))[0] <= until:
            self.due.remove(first)
            self.now = max(self.now, first[0])
            first[1]()
        self.now = until

    def set_back(self, hours: float) -> None:
        """Somebody sets the clock back; what is on its way arrives as soon as it would have."""
        by = timedelta(hours=hours)
        self.now, self.due = self.now - by, [(moment - by, act) for moment, act in self.due]

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Have something happen in that many seconds."""
        self.due.append((self.now + timedelta(seconds=seconds), act))

    def today(self, hours: float = 0) -> str:
        """The company's date in so many hours."""
        return (self.now + timedelta(hours=hours)).astimezone(ZoneInfo("America/Chicago")).date().isoformat()

    def text(self) -> str:
        """The moment as snapshots carry it."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Write:
    """One write on which SafetyAmp acted: the stored row before it (None: a create) and after it."""

    table: str
    id: Id
    body: Mapping[str, Any]
    before: Record | None
    after: Record


class Fate:
    """Counts the operations of one run and says which of them goes wrong, and how. `met` is what did go wrong."""

    def __init__(self, run: Run) -> None:
        self._faults = {(fault.on, fault.nth): fault for fault in run.faults}
        self._meanwhile = {event.nth: event.human for event in run.meanwhile}
        self._counts = Counter[str]()
        self.is_dead = False
        self.met = Counter[str]()

    def next(self, on: str) -> tuple[str, int]:
        """The fault of the next operation of that sort (empty: none) and its seconds."""
        if self.is_dead:
            raise Killed
        self._counts[on] += 1
        fault = self._faults.get((on, self._counts[on]))
        if fault is None:
            return "", 0
        self.met[f"{on} {fault.kind}"] += 1
        return fault.kind, fault.seconds

    def meanwhile(self) -> Any:
        """What a person does just before the call under way."""
        human = self._meanwhile.get(self._counts["call"])
        self.met["a person meanwhile"] += human is not None
        return human

    def die(self) -> None:
        """From here on every operation of this process is Killed."""
        self.is_dead = True
        raise Killed


@dataclass
class Target:
    """`sync.journal.Target` over the sandbox's SafetyAmp. `writes` holds every write it acted on, `calls` all calls.

    A call whose intent `is_intended` does not find in the ledger is an AssertionError, whatever becomes of it.
    """

    state: SafetyAmpState
    clock: Clock
    fate: Fate
    human: Callable[[Any], None]
    is_intended: Callable[[str], bool]
    writes: list[Write] = field(default_factory=list)
    calls: int = 0

    def create(self, table: str, body: Mapping[str, Any]) -> Record:
        return self._call("POST", table, lambda: self._created(table, body))

    def update(self, table: str, target_id: Id, body: Mapping[str, Any]) -> Record:
        return self._call("PUT", table, lambda: self._updated(table, target_id, body))

    def read(self, table: str) -> tuple[Record, ...]:
        self.clock.pass_seconds(SECONDS_PER_CALL)
        kind, _ = self.fate.next("read")
        if kind == "killed before":
            self.fate.die()
        if kind == "read error":
            raise ReadError(f"safetyamp_observed/{table}", "a page was cut")
        return tuple(self.state.shown(table, row) for row in self.state.listing(table))

    def _created(self, table: str, body: Mapping[str, Any]) -> Record:
        answer = self.state.create(table, body)
        self.writes.append(Write(table, answer["id"], body, None, dict(self._stored(table, answer["id"]))))
        return answer

    def _updated(self, table: str, target_id: Id, body: Mapping[str, Any]) -> Record:
        before = dict(self.state.row(table, target_id) or {})
        answer = self.state.update(table, target_id, body)
        self.writes.append(Write(table, target_id, body, before, dict(self._stored(table, target_id))))
        return answer

    def _stored(self, table: str, row_id: Id) -> Record:
        row = self.state.row(table, row_id)
        assert row is not None
        return row

    def _call(self, method: str, table: str, act: Callable[[], Record]) -> Record:
        endpoint = f"/api/{table}"
        assert self.is_intended(table), f"{method} {endpoint} without an intent in the ledger"
        self.calls += 1
        self.clock.pass_seconds(SECONDS_PER_CALL)
        kind, seconds = self.fate.next("call")
        if (human := self.fate.meanwhile()) is not None:
            self.human(human)
        if kind in ("late", "killed, acts late"):
            self.clock.later(seconds, lambda: _unanswered(act))
        if kind in ("killed before", "killed, acts late"):
            self.fate.die()
        if error := {"not sent": NotSent, "rate limited": RateLimited, "fatal": CircuitOpen, "auth": AuthRefused}.get(
            kind
        ):
            raise error("SafetyAmp", method, endpoint)
        if kind in ("lost, not acted", "late"):
            raise AnswerLost("SafetyAmp", method, endpoint)
        answer = _answered(method, endpoint, act, AnswerLost if kind == "lost, acted" else None)
        if kind == "killed after":
            self.fate.die()
        if kind == "lost, acted":
            raise AnswerLost("SafetyAmp", method, endpoint)
        return {} if kind == "empty answer" else answer


def _answered(method: str, endpoint: str, act: Callable[[], Record], lost: type[CallError] | None) -> Record:
    """What SafetyAmp answers, its refusals as the client raises them, or lost like any other answer."""
    try:
        return act()
    except Refused as refused:
        if lost is not None:
            raise lost("SafetyAmp", method, endpoint) from refused
        raise RecordRefused("SafetyAmp", method, endpoint, status=422, errors=refused.errors) from refused
    except KeyError as unknown:
        raise RecordRefused("SafetyAmp", method, endpoint, status=404) from unknown


def _unanswered(act: Callable[[], Record]) -> None:
    """SafetyAmp acts, or refuses, and nobody hears of it."""
    try:
        act()
    except (Refused, KeyError):
        return


class MortalJournal:
    """A journal whose process may die before or after any entry."""

    def __init__(self, journal: Any, fate: Fate) -> None:
        self._journal, self._fate = journal, fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._journal, name)
        if name in READ_ONLY:
            return method

        def entered(*arguments: Any, **named: Any) -> Any:
            kind, _ = self._fate.next("journal")
            if kind == "killed before":
                self._fate.die()
            answer = method(*arguments, **named)
            if kind == "killed after":
                self._fate.die()
            return answer

        return entered
