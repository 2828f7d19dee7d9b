"""Calls: when each was made, to which endpoint, with which status, and how long it took and waited. No values.

Single calls are kept for a month; what they add up to by system and status is kept for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select

from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.schema import CallRow, CallTotalRow, as_record

KEPT = timedelta(days=30)
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
            db.add_all(CallRow(**vars(call)) for call in calls)
            for system, status in sorted({(call.system, call.status or NO_ANSWER) for call in calls}):
                own = [call for call in calls if (call.system, call.status or NO_ANSWER) == (system, status)]
                row = db.get(CallTotalRow, (system, status), with_for_update=True)
                if row is None:
                    row = CallTotalRow(system=system, status=status, calls=0, seconds=0.0, waited=0.0)
                    db.add(row)
                row.calls += len(own)
                row.seconds += sum(call.seconds for call in own)
                row.waited += sum(call.waited for call in own)
            db.execute(delete(CallRow).where(CallRow.at < self._clock() - KEPT))

    def calls_of(self, run_id: str | None = None, limit: int = 200) -> list[LoggedCall]:
        """The newest calls, of one run if given, newest first."""
        query = select(CallRow).order_by(CallRow.id.desc()).limit(limit)
        if run_id is not None:
            query = query.where(CallRow.run_id == run_id)
        with self._reading() as db:
            return [as_record(LoggedCall, row) for row in db.scalars(query)]

    def last_calls(self) -> Iterable[LoggedCall]:
        """The newest call to each system."""
        newest = select(func.max(CallRow.id)).group_by(CallRow.system)
        with self._reading() as db:
            return [as_record(LoggedCall, row) for row in db.scalars(select(CallRow).where(CallRow.id.in_(newest)))]

    def call_totals(self) -> list[CallTotal]:
        """By system and status, over everything that was ever logged."""
        with self._reading() as db:
            rows = db.scalars(select(CallTotalRow).order_by(CallTotalRow.system, CallTotalRow.status))
            return [as_record(CallTotal, row, status=row.status or None) for row in rows]
