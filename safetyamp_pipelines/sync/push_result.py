"""What a push is given and what it gives: its bounds, its result, and when refused records stop it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from safetyamp_pipelines.sync.errors import CallError
from safetyamp_pipelines.sync.plan import Outcome, Verdict
from safetyamp_pipelines.sync.snapshot import Record
from safetyamp_pipelines.sync.tables import Id


@dataclass(frozen=True)
class PushOptions:
    """Bounds of one push: calls in flight at once, when refusals stop the entity (sync.yaml `target`), and the seconds
    between two signs of life while answers are awaited."""

    in_flight: int = 4
    refusals_in_a_row: int = 10
    refusals_share: float = 0.2
    refusals_share_after: int = 20
    beat_every: float = 10.0


@dataclass
class PushResult:
    """What became of a plan. `rows` is the table after the push; `writes` counts changes SafetyAmp carried out."""

    verdicts: list[Verdict]
    rows: dict[Id, Record]
    writes: int = 0
    attempts: int = 0
    stopped: str | None = None
    paused: str | None = None
    fatal: CallError | None = None

    def counts(self) -> dict[str, int]:
        """Source records by verdict, sorted."""
        return dict(sorted(Counter(str(verdict.outcome) for verdict in self.verdicts).items()))

    def has_failed(self) -> bool:
        """Whether any change did not end as planned."""
        bad = {Outcome.FAILED, Outcome.BLOCKED, Outcome.STALE, Outcome.NOT_ATTEMPTED}
        return any(verdict.outcome in bad for verdict in self.verdicts)


Progress = Callable[[int, int], None]
"""Called with changes settled and changes planned."""


def no_progress(_settled: int, _planned: int) -> None:
    """For a push nobody watches."""


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
