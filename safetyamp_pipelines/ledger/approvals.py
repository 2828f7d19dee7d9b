"""Approvals: a person's leave to push one plan that a guard refused (`sync/planning/guards.py`)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.records import Approval
from safetyamp_pipelines.ledger.schema import ApprovalRow, as_record


class Approvals(Store):
    """Give, find and list approvals. One is bound to the hash of the plan that was reviewed, and expires."""

    def approve(self, plan_hash: str, entity: str, who: str, reason: str, valid_for: timedelta) -> Approval:
        """Approve the plan from now on. Raises ValueError when nobody, or nothing as a reason, is named."""
        if not who.strip() or not reason.strip():
            raise ValueError("an approval names who gives it and why")
        with self._writing() as db:
            now = self._clock()
            row = ApprovalRow(
                plan_hash=plan_hash, entity=entity, who=who, reason=reason, at=now, expires_at=now + valid_for
            )
            db.add(row)
            return as_record(Approval, row)

    def approval(self, plan_hash: str, *, now: datetime | None = None) -> Approval | None:
        """The newest approval of exactly this plan that has not expired at `now` (default: the ledger's clock)."""
        query = select(ApprovalRow).where(ApprovalRow.plan_hash == plan_hash)
        valid = query.where(ApprovalRow.expires_at > (now or self._clock()))
        with self._reading() as db:
            row = db.scalars(valid.order_by(ApprovalRow.id.desc()).limit(1)).one_or_none()
            return None if row is None else as_record(Approval, row)

    def approvals(self, limit: int = 50) -> list[Approval]:
        """The newest approvals, newest first, also those that expired."""
        with self._reading() as db:
            rows = db.scalars(select(ApprovalRow).order_by(ApprovalRow.id.desc()).limit(limit))
            return [as_record(Approval, row) for row in rows]
