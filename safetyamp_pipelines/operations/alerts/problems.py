"""What is wrong, and what was reported of it: problems keyed by cause, opened by a `Red` and ended by a `Green`.

Pure: no clock, no event log, no sending. What is sent next, and when, is decided in delivery.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum

MOST_PROBLEMS = 50
"""Problems remembered at once: they are kept in the sensor's cursor, which is stored with every tick."""
MOST_NEEDS = 20
LONGEST = {"title": 200, "detail": 400, "advice": 320, "right": 320, "wrong": 320, "keys": 320}
"""Characters of each text that are remembered."""


class Level(IntEnum):
    """How soon people are notified: in the digest of the hour, or at once."""

    DIGEST = 1
    CRITICAL = 2


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What a message reports of a problem. `right` and `wrong` are the two ways out where people decide, else `advice`
    is the one; `page` is where the desk shows it, `keys` the records. `size` counts these: people are notified again
    once there are more than they know of."""

    level: Level
    title: str
    detail: str = ""
    advice: str = ""
    right: str = ""
    wrong: str = ""
    keys: str = ""
    page: str = ""
    run_id: str = ""
    asset: str = ""
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class Red(_Facts):
    """Something is wrong. `problem` names the cause; `needs` are the tokens that must turn green to end it. What
    `is_standing` is a state, found at every look; it counts once while it lasts."""

    problem: str
    needs: frozenset[str]
    at: float
    is_standing: bool = False


@dataclass(frozen=True)
class Green:
    """What these tokens name is in order: a step succeeded, a check passed, an asset is fresh."""

    tokens: frozenset[str]
    at: float


Signal = Red | Green


@dataclass(frozen=True, kw_only=True)
class Problem(_Facts):
    """One problem that is open, or whose end was not reported yet (`recovered_at`).

    `notified` is the level at which it was reported, None when it was not, and `notified_size` the most records
    reported. `waits_since` is when that which was not reported yet began.
    """

    needs: tuple[str, ...]
    count: int
    first: float
    last: float
    waits_since: float
    notified: Level | None = None
    notified_size: int = 0
    recovered_at: float | None = None

    @property
    def is_news(self) -> bool:
        """Whether it was not reported yet, or was reported as less urgent or smaller than it is now."""
        return self.notified is None or self.notified < self.level or self.size > self.notified_size

    @property
    def is_over(self) -> bool:
        """Whether it was reported, and its end was not."""
        return not self.is_news and self.recovered_at is not None


@dataclass(frozen=True)
class Deferred:
    """A message that some receivers, as the channel names them, deferred; when it was first and last tried."""

    receivers: tuple[str, ...]
    subject: str
    paragraphs: tuple[str, ...]
    first: float
    last: float


@dataclass(frozen=True)
class State:
    """The state of one channel.

    `sent` are the times of the last hour's messages, `digest_hour` is the hour of the last digest, `unlisted` counts
    problems for which there was no room, and `deferred` are messages that some receivers still wait for.
    """

    problems: Mapping[str, Problem] = field(default_factory=dict)
    sent: tuple[float, ...] = ()
    digest_hour: int = 0
    unlisted: int = 0
    deferred: tuple[Deferred, ...] = ()


def absorb(state: State, signals: Iterable[Signal]) -> State:
    """The state after these signals, in their order. Nothing is sent here.

    A problem that ends and comes back before its end was reported has never ended for people. One that ends before it
    was reported at all stays, to be reported as over.
    """
    problems, unlisted = dict(state.problems), state.unlisted
    for signal in signals:
        if isinstance(signal, Green):
            for name, problem in problems.items():
                problems[name] = _without_met_needs(problem, signal)
        elif (known := problems.get(signal.problem)) is not None:
            if not signal.is_standing or known.recovered_at is not None:
                problems[signal.problem] = _again(known, signal)
        elif _has_room(problems):
            problems[signal.problem] = _opened(signal)
        else:
            unlisted += 1
    return replace(state, problems=problems, unlisted=unlisted)


def _has_room(problems: dict[str, Problem]) -> bool:
    """Whether one more fits; the oldest one makes room, never one that is still to be reported."""
    if len(problems) < MOST_PROBLEMS:
        return True
    known = [name for name, problem in problems.items() if not problem.is_news and not problem.is_over]
    if not known:
        return False
    del problems[min(known, key=lambda name: problems[name].last)]
    return True


def _opened(red: Red) -> Problem:
    facts = {one.name: getattr(red, one.name) for one in fields(_Facts)}
    facts |= {name: _cut(facts[name], longest) for name, longest in LONGEST.items()}
    needs = _some(red.needs)
    return Problem(**facts, needs=needs, count=1, first=red.at, last=red.at, waits_since=red.at)


def _again(known: Problem, red: Red) -> Problem:
    """Seen once more: reported again only when it became critical, or concerns more records than were reported."""
    fresh = _opened(red)
    grew = red.level > known.level or red.size > known.notified_size
    return replace(
        fresh,
        level=max(known.level, red.level),
        needs=_some({*(known.needs if known.recovered_at is None else ()), *red.needs}),
        count=known.count + 1,
        first=known.first,
        waits_since=red.at if grew and not known.is_news else known.waits_since,
        notified=known.notified,
        notified_size=known.notified_size,
    )


def _without_met_needs(problem: Problem, green: Green) -> Problem:
    """Without the needs that are met now; the problem ends once none is left."""
    if problem.recovered_at is not None or green.tokens.isdisjoint(problem.needs):
        return problem
    needs = tuple(need for need in problem.needs if need not in green.tokens)
    if needs:
        return replace(problem, needs=needs)
    waits_since = problem.waits_since if problem.is_news else green.at
    return replace(problem, needs=(), recovered_at=green.at, waits_since=waits_since)


def _some(needs: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(needs)[:MOST_NEEDS])


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
