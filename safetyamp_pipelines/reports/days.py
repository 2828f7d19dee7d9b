"""Calendar days of the company and the moments they begin and end. Nothing of the ledger is known here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def day_begins(day: date, timezone: str) -> datetime:
    """Midnight in the company's time zone, in UTC. A day of a clock change has 23 or 25 hours."""
    return datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC)


def day_of(moment: datetime, timezone: str) -> date:
    """The company's calendar day at that moment."""
    return moment.astimezone(ZoneInfo(timezone)).date()


def each_day(first: date, last: date) -> Iterator[date]:
    """Every day from the first to the last, both included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
