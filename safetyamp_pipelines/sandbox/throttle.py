"""A budget of calls: so many in any sliding period. What a refusal looks like is not known here."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable


class Throttle:
    """Counts calls in a sliding window; a call that is refused does not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._calls: deque[float] = deque()

    def admit(self, calls: int, period: float) -> bool:
        """Whether one more call fits into `calls` in the last `period` seconds; if so it is counted."""
        with self._lock:
            now = self._forget(period)
            if len(self._calls) >= calls:
                return False
            self._calls.append(now)
            return True

    def remaining(self, calls: int, period: float) -> int:
        """How many calls would be admitted now."""
        with self._lock:
            self._forget(period)
            return max(0, calls - len(self._calls))

    def wait(self, calls: int, period: float) -> float:
        """Seconds until one call would be admitted."""
        with self._lock:
            now = self._forget(period)
            if len(self._calls) < calls:
                return 0.0
            if calls <= 0:
                return period
            return self._calls[len(self._calls) - calls] + period - now

    def _forget(self, period: float) -> float:
        now = self._clock()
        while self._calls and self._calls[0] <= now - period:
            self._calls.popleft()
        return now
