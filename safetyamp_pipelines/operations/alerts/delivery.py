"""What is sent next: at most one message at a time, and what people know once it has arrived. Pure, as problems.py.

Critical problems, and the end of those, are reported at once; the rest waits for the digest of the hour. A message that
was not delivered leaves the state before it as it is, and the next look makes the same message again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from safetyamp_pipelines.operations.alerts.problems import Level, Problem, State

HOUR = 3600.0
MOST_MESSAGES = 12
"""Messages in any hour. What does not fit waits, and is counted in the next one."""
MOST_ITEMS = 10
"""Problems in one message; a chat system cuts what is longer (Teams at 28 KB)."""

Kind = Literal["alert", "recovery", "digest"]


@dataclass(frozen=True)
class Message:
    """One message: these problems, `held_back` more that follow later, `unlisted` that were too many to remember."""

    kind: Kind
    problems: tuple[Problem, ...]
    held_back: int = 0
    unlisted: int = 0


def next_message(state: State, now: float) -> tuple[Message | None, State]:
    """The message that is due, and the state once it has arrived; None while nothing is due or the hour is full."""
    recent = tuple(at for at in state.sent if at > now - HOUR)
    state = replace(state, sent=recent)
    due = _due(state, now) if len(recent) < MOST_MESSAGES else None
    if due is None:
        return None, state
    kind, waiting = due
    # Urgent ones first, then the longest waiting: the order must not depend on how events were cut into looks.
    names = sorted(waiting, key=lambda name: (-waiting[name].level, waiting[name].waits_since, name))
    listed = names[:MOST_ITEMS]
    message = Message(kind, tuple(waiting[name] for name in listed), len(names) - len(listed), state.unlisted)
    problems = {name: _delivered(problem) if name in listed else problem for name, problem in state.problems.items()}
    return message, State(
        problems={name: problem for name, problem in problems.items() if problem is not None},
        sent=(*recent, now),
        digest_hour=_hour(now) if kind == "digest" else state.digest_hour,
        deferred=state.deferred,
    )


def _due(state: State, now: float) -> tuple[Kind, Mapping[str, Problem]] | None:
    news = {name: problem for name, problem in state.problems.items() if problem.is_news or problem.is_over}
    urgent = {name: p for name, p in news.items() if p.level is Level.CRITICAL}
    if alerts := {name: p for name, p in urgent.items() if p.is_news}:
        return "alert", alerts
    if urgent:
        return "recovery", urgent
    if news and _hour(now) > max(state.digest_hour, _hour(min(p.waits_since for p in news.values()))):
        return "digest", news
    return None


def _delivered(problem: Problem) -> Problem | None:
    """What is remembered of a problem that was reported: nothing once it is over, else without its text."""
    if problem.recovered_at is not None:
        return None
    notified_size = max(problem.notified_size, problem.size)
    bare = replace(problem, detail="", advice="", right="", wrong="", keys="")
    return replace(bare, notified=problem.level, notified_size=notified_size)


def _hour(moment: float) -> int:
    return int(moment // HOUR)
