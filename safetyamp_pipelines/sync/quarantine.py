"""Quarantine: after unhealthy syncs in a row the schedule waits longer and longer, until one is good. No clock.

Trying every quarter of an hour what cannot work spends the call budget, and hides the first failure among copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

WAITS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""The first wait, and one longer for each further failure; the last stays."""


@dataclass(frozen=True)
class Ended:
    """One sync that came to its end. Refused by a guard is unhealthy too: a person has to look."""

    is_healthy: bool
    at: datetime


@dataclass(frozen=True)
class Quarantine:
    """So many failures in a row, and until when the schedule waits for that."""

    failures: int
    wait: timedelta
    until: datetime

    def holds(self, now: datetime, interval: timedelta) -> bool:
        """Whether a tick at `now` is skipped. The tick nearest to `until` is not: else a wait of one hour would skip
        every second tick of an hourly rhythm, since a run ends some minutes after its tick."""
        return now < self.until - interval / 2


def quarantine_after(newest_first: Iterable[Ended], allowed: int) -> Quarantine | None:
    """The quarantine that these syncs call for: from the failure number `allowed` in a row on; None before."""
    failed = list(takewhile(lambda ended: not ended.is_healthy, newest_first))
    if len(failed) < allowed:
        return None
    wait = WAITS[min(len(failed) - allowed, len(WAITS) - 1)]
    return Quarantine(len(failed), wait, failed[0].at + wait)
