"""Approvals: a person's leave to push what a guard holds (`sync/planning/guards.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as Transaction

from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.records import Approval, ChangeApproval
from safetyamp_pipelines.ledger.schema import ApprovalRow, ChangeApprovalRow, ClockRow, as_record

CLOCK = "latest"


class Approvals(Store):
    """Give, find and list approvals. One is bound to the hash of the plan that was reviewed, and expires."""

    def approve(
        self, plan_hash: str, entity: str, who: str, reason: str, valid_for: timedelta, *, login: str = ""
    ) -> Approval:
        """Approve the plan from now on. `who` asks for it, `login` (default: the same) is who is logged in.

        Raises ValueError when nobody, or nothing as a reason, is named.
        """
        if not who.strip() or not reason.strip():
            raise ValueError("an approval names who gives it and why")
        with self._writing() as db:
            now = latest_time(db, self._clock())
            said = {"who": who, "login": login or who, "reason": reason, "at": now, "expires_at": now + valid_for}
            row = ApprovalRow(plan_hash=plan_hash, entity=entity, **said)
            db.add(row)
            return as_record(Approval, row)

    def approval(self, plan_hash: str, *, logins: int = 1) -> Approval | None:
        """The newest approval of exactly this plan that stands now, given by at least so many different logins.

        One that was used, or has expired, never stands again, also when the clock is set back.
        """
        with self._writing() as db:
            standing = ApprovalRow.used_at.is_(None), ApprovalRow.expires_at > latest_time(db, self._clock())
            query = select(ApprovalRow).where(ApprovalRow.plan_hash == plan_hash, *standing)
            rows = list(db.scalars(query.order_by(ApprovalRow.id.desc())))
            return as_record(Approval, rows[0]) if len({row.login for row in rows}) >= logins else None

    def use_approval(self, plan_hash: str) -> None:
        """Use the approvals of this plan up: it was pushed."""
        with self._writing() as db:
            unused = update(ApprovalRow).where(ApprovalRow.plan_hash == plan_hash, ApprovalRow.used_at.is_(None))
            db.execute(unused.values(used_at=latest_time(db, self._clock())))

    def standing_approvals(self) -> tuple[list[Approval], list[ChangeApproval]]:
        """The approvals of plans, and of changes, that stand now; newest first."""
        with self._writing() as db:
            now = latest_time(db, self._clock())
            plans = select(ApprovalRow).where(ApprovalRow.used_at.is_(None), ApprovalRow.expires_at > now)
            changes = select(ChangeApprovalRow).where(
                ChangeApprovalRow.used_at.is_(None), ChangeApprovalRow.expires_at > now
            )
            return (
                [as_record(Approval, row) for row in db.scalars(plans.order_by(ApprovalRow.id.desc()))],
                [as_record(ChangeApproval, row) for row in db.scalars(changes.order_by(ChangeApprovalRow.id.desc()))],
            )

    def approvals(self, limit: int = 50) -> list[Approval]:
        """The newest approvals, newest first, also those that expired."""
        with self._reading() as db:
            rows = db.scalars(select(ApprovalRow).order_by(ApprovalRow.id.desc()).limit(limit))
            return [as_record(Approval, row) for row in rows]

    def approve_changes(
        self,
        entity: str,
        changes: Iterable[tuple[str, str]],
        *,
        guard: str,
        who: str,
        login: str,
        reason: str,
        lasts: timedelta,
    ) -> list[ChangeApproval]:
        """Let these changes, (source key, hash), be pushed although the guard holds them.

        `who` is who asked, `login` who was logged in. Raises ValueError when one of them, or the reason, is empty.
        """
        if not (who.strip() and login.strip() and reason.strip()):
            raise ValueError("an approval names who gives it, who is logged in, and why")
        with self._writing() as db:
            now = latest_time(db, self._clock())
            rows = [
                ChangeApprovalRow(
                    entity=entity,
                    source_key=key,
                    change_hash=change_hash,
                    guard=guard,
                    who=who,
                    login=login,
                    reason=reason,
                    at=now,
                    expires_at=now + lasts,
                )
                for key, change_hash in changes
            ]
            db.add_all(rows)
            return [as_record(ChangeApproval, row) for row in rows]

    def approved(self, entity: str, logins: int = 1) -> frozenset[str]:
        """The hashes of the entity's changes that are approved now, by at least so many different logins.

        An approval that was used, or has expired, never stands again, also when the clock is set back.
        """
        with self._writing() as db:
            in_force = select(ChangeApprovalRow.change_hash).where(
                ChangeApprovalRow.entity == entity,
                ChangeApprovalRow.used_at.is_(None),
                ChangeApprovalRow.expires_at > latest_time(db, self._clock()),
            )
            enough = func.count(ChangeApprovalRow.login.distinct()) >= logins
            return frozenset(db.scalars(in_force.group_by(ChangeApprovalRow.change_hash).having(enough)))

    def use_approvals(self, entity: str, change_hashes: Iterable[str]) -> None:
        """Use the approvals of these changes up: they were pushed."""
        hashes = ChangeApprovalRow.change_hash.in_(list(change_hashes))
        unused = (ChangeApprovalRow.entity == entity, ChangeApprovalRow.used_at.is_(None), hashes)
        with self._writing() as db:
            now = latest_time(db, self._clock())
            db.execute(update(ChangeApprovalRow).where(*unused).values(used_at=now))

    def change_approvals(self, entity: str | None = None, limit: int = 50) -> list[ChangeApproval]:
        """The newest approvals of changes, newest first, also those that were used or have expired."""
        query = select(ChangeApprovalRow).order_by(ChangeApprovalRow.id.desc()).limit(limit)
        if entity is not None:
            query = query.where(ChangeApprovalRow.entity == entity)
        with self._reading() as db:
            return [as_record(ChangeApproval, row) for row in db.scalars(query)]


def latest_time(db: Transaction, now: datetime) -> datetime:
    """The time, never earlier than any that the ledger has seen before."""
    row = db.get(ClockRow, CLOCK, with_for_update=True) or ClockRow(name=CLOCK, at=now)
    row.at = max(row.at, now)
    db.add(row)
    return row.at
