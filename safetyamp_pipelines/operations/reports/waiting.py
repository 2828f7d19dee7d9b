"""How long a change waited from the source to SafetyAmp, as far as the ledger knows.

No source says when a value changed, and snapshots are not kept for ever. What the ledger has for good is the verdict
log: for every run, when it looked at the sources and whether it found the record in need of a change. So the source
changed between two looks, and the wait is known to lie between two figures:

- *at least*: from the first look that asked for the change. Looks in which it was held up (a guard, a pause, a missing
  reference, a lost answer, a plan that nobody pushed) count, for the person at the other end waited through them.
- *at most*: from the look before that one, which did not ask for it yet.

A look at which SafetyAmp had refused the record ends the chain: what is accepted later is a correction, made after it.
The first look of all has none before it: then no "at most" is known. A day on which someone ceases to be employed comes
by itself, so a future date of leaving is measured from its day, one entered late from when it was entered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from safetyamp_pipelines.ledger.records import LoggedChange
from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Outcome

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger.verdict_log import Attempt, Look, Trail

ASKED = frozenset({*OUTCOME_OF.values(), Outcome.BLOCKED, Outcome.STALE, Outcome.NOT_ATTEMPTED, Outcome.NOT_PUSHED})
"""Verdicts of a look that wanted a change, whether or not it was carried out."""


@dataclass(frozen=True)
class Wait:
    """The bounds of one wait; None where the ledger does not know."""

    at_least: timedelta | None = None
    at_most: timedelta | None = None


def wait_of(change: LoggedChange, trail: Trail) -> Wait:
    """How long the change waited until SafetyAmp had it; unknown unless it was done after a logged look."""
    if change.status != "done" or change.answered_at is None:
        return Wait()
    place = trail.places.get(change.run_id)
    if place is None:  # a push without a look, such as an undo
        return Wait()
    earlier = [
        attempt
        for attempt in trail.attempts.get(change.source_key, ())
        if attempt.id < change.id and attempt.run_id != change.run_id
    ]
    done_before = _place_of_last_done(trail, earlier)
    first = place
    while first - 1 > done_before and _asked(trail, change.source_key, trail.looks[first - 1], earlier):
        first -= 1
    at_least = _since(trail.looks[first], change.answered_at)
    return Wait(at_least, _since(trail.looks[first - 1], change.answered_at) if first > 0 else None)


def _since(look: Look, answered_at: datetime) -> timedelta:
    """Never negative: the clocks of two machines may differ."""
    return max(answered_at - look.at, timedelta(0))


def _place_of_last_done(trail: Trail, earlier: list[Attempt]) -> int:
    return max((trail.places.get(attempt.run_id, -1) for attempt in earlier if attempt.status == "done"), default=-1)


def _asked(trail: Trail, key: str, look: Look, earlier: list[Attempt]) -> bool:
    """Whether that look already wanted the record changed and SafetyAmp had not refused it."""
    outcome = next(
        (
            one.outcome
            for one in trail.standing.get(key, ())
            if one.since <= look.number and (one.until is None or look.number < one.until)
        ),
        None,
    )
    if outcome == Outcome.FAILED:
        answers = [attempt for attempt in earlier if attempt.run_id == look.run_id and attempt.status == "failed"]
        return bool(answers) and all(attempt.http_status is None for attempt in answers)
    return outcome in ASKED
