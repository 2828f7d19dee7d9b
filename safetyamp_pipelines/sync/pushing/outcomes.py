"""What a push is given and what it gives: its bounds, its result, and when refused records stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from safetyamp_pipelines.sync.model.errors import CallError
from safetyamp_pipelines.sync.model.plan import NOT_DONE, OUTCOME_OF, Change, Outcome, Verdict, counts_of
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.tables import Id


@dataclass(frozen=True)
class PushOptions:
    """Bounds of one push: calls in flight at once, when refusals stop the entity (sync.yaml `target`), and in seconds:
    between two heartbeats while answers are awaited, how long a call whose answer was lost may still act
    (`target.late_arrival_seconds`), how long a call may wait for the budget between its intent and its sending, and for
    how long observed rows are trusted (OBSERVED_MAX_AGE_MINUTES). The `first` changes are read back before the rest is
    sent; None sends all at once."""

    in_flight: int = 4
    refusals_in_a_row: int = 10
    refusals_share: float = 0.2
    refusals_share_after: int = 20
    beat_every: float = 10.0
    late_arrival: float = 60.0
    longest_queue: float = 60.0
    observed_max_age: float = 900.0
    first: int | None = None


@dataclass
class PushResult:
    """What became of a plan. `rows` is the table after the push; `writes` counts changes SafetyAmp carried out;
    `stopped` is why it ended early, and `paused` the same where a pause or a freeze is why. `broke_off` is the error of
    the push itself, such as a ledger that is away."""

    verdicts: list[Verdict]
    rows: dict[Id, Record]
    writes: int = 0
    attempts: int = 0
    stopped: str | None = None
    paused: str | None = None
    fatal: CallError | None = None
    broke_off: Exception | None = None

    def counts(self) -> dict[str, int]:
        """Source records by verdict, sorted."""
        return counts_of(self.verdicts)

    def has_failed(self) -> bool:
        """Whether any change did not end as planned."""
        return any(verdict.outcome in NOT_DONE for verdict in self.verdicts)


Progress = Callable[[int, int], None]
"""Called with changes settled and changes planned."""


def no_progress(_settled: int, _planned: int) -> None:
    """For a push nobody watches."""


class Outcomes:
    """What each change ended as, put together by record: of two changes the outcome that went wrong is kept, and its
    rule says what was written nevertheless (`created, but …`)."""

    def __init__(self, planned: int, progress: Progress) -> None:
        self._planned, self._progress, self._settled = planned, progress, 0
        self._ended: set[tuple[str, int]] = set()
        self._ends: dict[str, tuple[Outcome, str]] = {}
        self._written: dict[str, Outcome] = {}
        self._notes: dict[str, tuple[str, ...]] = {}

    def end(self, change: Change, outcome: Outcome, rule: str, *, quietly: bool = False) -> None:
        """A change has ended; `quietly` without a word to who watches, where that may have failed itself."""
        self._ended.add((change.source_key, change.wave))
        if _weight(outcome) == 1:
            self._written.setdefault(change.source_key, outcome)
        so_far = self._ends.get(change.source_key)
        if so_far is None or _weight(outcome) > _weight(so_far[0]):
            self._ends[change.source_key] = (outcome, rule)
        elif _weight(outcome) == _weight(so_far[0]) == 1:
            self._ends[change.source_key] = (so_far[0], rule)
        self._settled += 1
        if not quietly:
            self._progress(self._settled, self._planned)

    def has_ended(self, change: Change) -> bool:
        """Whether this change has an end: a record of two changes has two."""
        return (change.source_key, change.wave) in self._ended

    def is_made(self, source_key: str) -> bool:
        """Whether every change of the record that has ended so far is as planned in SafetyAmp; one has ended."""
        return source_key in self._ends and _weight(self._ends[source_key][0]) < 2

    def note(self, change: Change, notes: Iterable[str]) -> None:
        """Something people should know of the record."""
        self._notes[change.source_key] = (*self._notes.get(change.source_key, ()), *notes)

    def verdict(self, planned: Verdict) -> Verdict:
        """The planned verdict as it came to be."""
        if planned.source_key not in self._ends:
            return planned
        outcome, rule = self._ends[planned.source_key]
        if _weight(outcome) == 2 and planned.source_key in self._written:
            rule = f"{self._written[planned.source_key]}, but {rule}"
        return replace(
            planned, outcome=outcome, rule=rule, notes=(*planned.notes, *self._notes.get(planned.source_key, ()))
        )


def _weight(outcome: Outcome) -> int:
    """2 for what went wrong, 1 for what was written, 0 for what was so already."""
    if outcome is Outcome.UNCHANGED:
        return 0
    return 1 if outcome in OUTCOME_OF.values() else 2


@dataclass
class Refusals:
    """When SafetyAmp refuses record after record, the plan or the mapping is wrong, not the records."""

    options: PushOptions
    in_a_row: int = 0
    refused: int = 0
    answered: int = 0

    def count(self, *, refused: bool) -> str | None:
        """Count one answer; the reason to stop, once there is one."""
        self.answered += 1
        self.refused += refused
        self.in_a_row = self.in_a_row + 1 if refused else 0
        if self.in_a_row >= self.options.refusals_in_a_row:
            return f"SafetyAmp refused {self.in_a_row} records in a row"
        share = self.refused / self.answered
        if self.answered > self.options.refusals_share_after and share > self.options.refusals_share:
            return f"SafetyAmp refused {self.refused} of {self.answered} records"
        return None
