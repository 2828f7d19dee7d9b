"""Calls: when each was made, to which endpoint, with which status, and how long it took and waited. No values.

Single calls are kept for a month; what they add up to by system and status is kept for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.statements import as_record, newest, put, records, row_at

KEPT = timedelta(days=30)
MOST = 200
"""Calls that are listed at once."""
NO_ANSWER = 0
"""How a total without a status is keyed."""


@dataclass(frozen=True, kw_only=True)
class LoggedCall:
    """One call. `path` names the endpoint, without ids; `waited` are seconds spent waiting for the budget before it."""

    run_id: str
    at: datetime
    system: str
    method: str
    path: str
    status: int | None
    seconds: float
    waited: float


@dataclass(frozen=True, kw_only=True)
class CallTotal:
    """All calls to one system that ended with one status."""

    system: str
    status: int | None
    calls: int
    seconds: float
    waited: float


class CallLog(Store):
    """Log calls in batches, list them, add them up."""

    def log_calls(self, calls: Sequence[LoggedCall]) -> None:
        """Add calls and what they add up to, and drop those that are over a month old."""
        if not calls:
            return
        with self._writing() as db:
            db.execute(insert(t.calls), [vars(call) for call in calls])
            for system, status in sorted({(call.system, call.status or NO_ANSWER) for call in calls}):
                own = [call for call in calls if (call.system, call.status or NO_ANSWER) == (system, status)]
                before = row_at(db, t.call_totals, system, status, lock=True)
                total = {
                    "calls": len(own),
                    "seconds": sum(call.seconds for call in own),
                    "waited": sum(call.waited for call in own),
                }
                if before is not None:
                    total = {name: before[name] + added for name, added in total.items()}
                put(db, t.call_totals, [system, status], total, known=before is not None)
            db.execute(delete(t.calls).where(t.calls.c.at < self._clock() - KEPT))

    def calls_of(self, run_id: str | None = None) -> list[LoggedCall]:
        """The newest calls, of one run if given, newest first."""
        with self._reading() as db:
            return newest(db, LoggedCall, t.calls, MOST, run_id=run_id)

    def last_calls(self) -> Iterable[LoggedCall]:
        """The newest call to each system."""
        newest = select(func.max(t.calls.c.id)).group_by(t.calls.c.system)
        with self._reading() as db:
            return records(LoggedCall, db, select(t.calls).where(t.calls.c.id.in_(newest)))

    def call_totals(self) -> list[CallTotal]:
        """By system and status, over everything that was ever logged."""
        with self._reading() as db:
            rows = db.execute(select(t.call_totals).order_by(*t.call_totals.primary_key)).mappings()
            return [as_record(CallTotal, row, status=row["status"] or None) for row in rows]
