"""When an outside call is tried again, how long it waits before, and when the system is left alone. Makes no call."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

import tenacity

from safetyamp_pipelines.sync.model.errors import (
    AnswerLost,
    AuthRefused,
    CallError,
    CircuitOpen,
    KeyRefused,
    NotSent,
    RateLimited,
)
from safetyamp_pipelines.systems.http.clock import SYSTEM_CLOCK, Clock


class Busy(AnswerLost):
    """503 or another 5xx with the time after which to try again. `retry_after` in seconds."""

    def __init__(self, system: str, method: str, endpoint: str, *, status: int, retry_after: float) -> None:
        super().__init__(system, method, endpoint, status=status)
        self.retry_after = retry_after


@dataclass(frozen=True)
class RetryPolicy:
    """Bounds of the retries of one call; times in seconds.

    `base` doubles from attempt to attempt up to `cap`. `window` is waited after a 429 without Retry-After.
    A wait that would bring all waits of the call over `total_wait` is not begun: the call fails at once.
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 60.0
    total_wait: float = 300.0
    window: float = 61.0
    jitter: Callable[[], float] = random.random

    def wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds before the next attempt: what the server asked for, or half to all of the doubled base."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RateLimited):
            asked = self.window if error.retry_after is None else error.retry_after
        elif isinstance(error, Busy):
            asked = error.retry_after
        else:
            backoff = min(self.cap, self.base * 2.0 ** (state.attempt_number - 1))
            return backoff * (1 + self.jitter()) / 2
        # Never less than asked; a little more, so that those who were refused together do not come back together.
        return asked + min(asked, self.base) * self.jitter()

    def stop(self, state: tenacity.RetryCallState) -> bool:
        """Whether the last attempt was the last one allowed."""
        return state.attempt_number >= self.attempts or state.idle_for + state.upcoming_sleep > self.total_wait


class Circuit:
    """After `failures` failed attempts in a row the system is left alone for `reset_seconds`, then tried again. With
    `one_key`, a key that cannot be renewed, it is left alone for good once it has answered 401 or 403.

    A library's breaker (pybreaker) holds one lock for as long as a call runs, which would let a single call be in
    flight; a count and a time are all there is to it.
    """

    def __init__(
        self, failures: int = 10, reset_seconds: float = 60.0, *, one_key: bool = False, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._failures, self._reset_seconds, self._one_key, self._clock = failures, reset_seconds, one_key, clock
        self._refused: CallError | None = None
        self._in_a_row = 0
        self._opened_at = -math.inf
        self._lock = threading.Lock()

    def admit(self, system: str, method: str, endpoint: str) -> None:
        """Raise CircuitOpen while the system is left alone, KeyRefused once it has refused the one key."""
        if self._refused is not None:
            detail = f"no call was made: it answered {self._refused.status} to the same key before"
            raise KeyRefused(system, method, endpoint, detail=detail)
        if 0 <= self._clock.now() - self._opened_at < self._reset_seconds:  # below 0: the clock was set back
            raise CircuitOpen(
                system, method, endpoint, detail=f"no call was made: it failed {self._failures} times in a row"
            )

    def report(self, error: CallError | None) -> None:
        """Count how a call ended. Only failures of the system count; a refused record shows that it works."""
        if self._one_key and isinstance(error, AuthRefused):
            self._refused = error
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if isinstance(error, AnswerLost | NotSent) else 0
            if self._in_a_row >= self._failures:
                self._opened_at = self._clock.now()
