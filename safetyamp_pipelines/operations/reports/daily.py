"""The report of a day: its changes, and the figures people ask for. How it is drawn or written down is elsewhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from safetyamp_pipelines.ledger.records import Session
from safetyamp_pipelines.operations.reports.rows import ReportedChange, reported
from safetyamp_pipelines.operations.reports.waiting import wait_of

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger

LEAVERS = ("employees", "deactivate")
MOST_CAUSES, MOST_KEYS = 10, 10


@dataclass(frozen=True)
class DailyReport:
    """What was changed on one calendar day of the company, the pushes that began on it, and the calls of its reads."""

    day: date
    changes: tuple[ReportedChange, ...]
    sessions: tuple[Session, ...]
    calls_reading: int = 0

    @property
    def done(self) -> int:
        """Changes that SafetyAmp has."""
        return sum(change.status == "done" for change in self.changes)

    @property
    def calls_writing(self) -> int:
        """Changes that the pushes sent; a call that was made again counts once."""
        return sum(session.calls or 0 for session in self.sessions)

    @property
    def calls(self) -> int:
        """How much of the budget was used, as far as reads and pushes that ended have reported."""
        return self.calls_reading + self.calls_writing


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


def daily_reports(ledger: Ledger, first: date, last: date, timezone: str) -> list[DailyReport]:
    """The reports of all days from the first to the last, in order; a day without changes has an empty one."""
    start, end = day_begins(first, timezone), day_begins(last + timedelta(days=1), timezone)
    found = ledger.changes_intended(start, end)
    trails = {entity: ledger.trail(entity, start, end) for entity in {change.entity for change in found}}
    changes, sessions = defaultdict(list), defaultdict(list)
    for change in found:
        row = reported(change, wait_of(change, trails[change.entity]))
        changes[day_of(change.intended_at, timezone)].append(row)
    for session in ledger.sessions_started(start, end):
        sessions[day_of(session.started_at, timezone)].append(session)
    reads: Counter[date] = Counter()
    for at, calls in ledger.reads_noted(start, end):
        reads[day_of(at, timezone)] += calls
    return [DailyReport(day, tuple(changes[day]), tuple(sessions[day]), reads[day]) for day in each_day(first, last)]


def summary_of(report: DailyReport) -> dict[str, Any]:
    """The day in figures, as plain JSON values. Waits are those of `waiting.py`: at most, from look to answer."""
    leavers = [change for change in report.changes if (change.entity, change.action) == LEAVERS]
    return {
        "day": report.day.isoformat(),
        "changes": len(report.changes),
        "done": report.done,
        "sessions": len(report.sessions),
        "calls": {"reading": report.calls_reading, "writing": report.calls_writing, "all": report.calls},
        "entities": counts_by_entity(report.changes),
        "wait_minutes": waits(report.changes, 60.0),
        "leavers": {
            "off": sum(change.status == "done" for change in leavers),
            "not_off": len({c.key for c in leavers} - {c.key for c in leavers if c.status == "done"}),
            "hours": waits(leavers, 3600.0),
        },
        "causes": causes_of_failure(report.changes),
    }


def counts_by_entity(changes: Iterable[ReportedChange]) -> dict[str, dict[str, int]]:
    """Entity → "create done" → number, sorted."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for change in changes:
        counts[change.entity][f"{change.action} {change.status}"] += 1
    return {entity: dict(sorted(counted.items())) for entity, counted in sorted(counts.items())}


def waits(changes: Iterable[ReportedChange], unit: float) -> dict[str, float | int | None]:
    """How long the changes that were done waited, in units of so many seconds.

    `measured` counts those whose wait is known both ways; p50, p95 and longest are of the "at most" of these, and
    `at_least_p50` of their "at least": the truth lies between.
    """
    done = [change for change in changes if change.status == "done"]
    pairs = ((change.waited_at_least_seconds, change.waited_at_most_seconds) for change in done)
    known = [(least / unit, most / unit) for least, most in pairs if least is not None and most is not None]
    at_least, at_most = sorted(least for least, _ in known), sorted(most for _, most in known)
    return {
        "measured": len(known),
        "not_known": len(done) - len(known),
        "p50": percentile(at_most, 0.5),
        "p95": percentile(at_most, 0.95),
        "longest": percentile(at_most, 1.0),
        "at_least_p50": percentile(at_least, 0.5),
    }


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest of the figures that so large a share of them does not exceed; None without any."""
    return round(ordered[ceil(share * len(ordered)) - 1], 2) if ordered else None


def causes_of_failure(changes: Iterable[ReportedChange]) -> list[dict[str, Any]]:
    """What kept changes from being done, the most frequent first, each with some of the records it hit."""
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for change in changes:
        if change.status != "done":
            groups[change.entity, change.status, _why(change)].append(change.key)
    causes = [
        {"entity": entity, "status": status, "why": why, "changes": len(keys), "keys": _some(keys)}
        for (entity, status, why), keys in groups.items()
    ]
    return sorted(causes, key=_most_first)[:MOST_CAUSES]


def _why(change: ReportedChange) -> str:
    """Refused records are explained by their fields: the rule is no more than "refused"."""
    if change.refused_fields:
        return f"SafetyAmp refused {', '.join(change.refused_fields)} (status {change.http_status})"
    if change.http_status is not None:
        return f"SafetyAmp answered with status {change.http_status}"
    return change.rule or "no answer is known: the next push looks it up"


def _some(keys: Iterable[str]) -> list[str]:
    return sorted(set(keys))[:MOST_KEYS]


def _most_first(cause: Mapping[str, Any]) -> tuple[int, str, str]:
    return -cause["changes"], cause["entity"], cause["why"]
