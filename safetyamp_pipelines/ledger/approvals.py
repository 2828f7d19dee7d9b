"""Approvals: a person's leave to push what a guard holds (`sync/planning/guards.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Connection, exists, insert, or_, select, update

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.records import Approval, ChangeApproval
from safetyamp_pipelines.ledger.statements import many, put, records, row_at

CLOCK = "latest"


class Approvals(Store):
    """Give, find and use approvals. One is bound to the hash of the plan that was reviewed, and expires."""

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
            approval = Approval(
                plan_hash=plan_hash,
                entity=entity,
                who=who,
                login=login or who,
                reason=reason,
                at=now,
                expires_at=now + valid_for,
                used_at=None,
            )
            db.execute(insert(t.approvals).values(**vars(approval)))
            return approval

    def approval(self, plan_hash: str, *, logins: int = 1) -> Approval | None:
        """The newest approval of exactly this plan that stands now, given by at least so many different people.

        One that was used, or has expired, never stands again, also when the clock is set back.
        """
        with self._writing() as db:
            standing = t.approvals.c.used_at.is_(None), t.approvals.c.expires_at > latest_time(db, self._clock())
            query = select(t.approvals).where(t.approvals.c.plan_hash == plan_hash, *standing)
            found = records(Approval, db, query.order_by(t.approvals.c.id.desc()))
            return found[0] if len({person_of(one.login) for one in found}) >= max(logins, 1) else None

    def use_approval(self, plan_hash: str) -> None:
        """Use the approvals of this plan up: it was pushed."""
        with self._writing() as db:
            unused = update(t.approvals).where(t.approvals.c.plan_hash == plan_hash, t.approvals.c.used_at.is_(None))
            db.execute(unused.values(used_at=latest_time(db, self._clock())))

    def standing_approvals(self) -> tuple[list[Approval], list[ChangeApproval]]:
        """The approvals of plans, and of changes, that stand now; newest first."""
        with self._writing() as db:
            now = latest_time(db, self._clock())
            plans = select(t.approvals).where(t.approvals.c.used_at.is_(None), t.approvals.c.expires_at > now)
            changes = select(t.change_approvals).where(
                t.change_approvals.c.used_at.is_(None), t.change_approvals.c.expires_at > now
            )
            return (
                records(Approval, db, plans.order_by(t.approvals.c.id.desc())),
                records(ChangeApproval, db, changes.order_by(t.change_approvals.c.id.desc())),
            )

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
        """Let these changes, (source key, hash), be pushed although the guard holds them. A refusal before ends.

        `who` is who asked, `login` who was logged in. Raises ValueError when one of them, or the reason, is empty.
        """
        if not (who.strip() and login.strip() and reason.strip()):
            raise ValueError("an approval names who gives it, who is logged in, and why")
        with self._writing() as db:
            now = latest_time(db, self._clock())
            approved = [
                ChangeApproval(
                    entity=entity,
                    source_key=key,
                    change_hash=change_hash,
                    guard=guard,
                    who=who,
                    login=login,
                    reason=reason,
                    at=now,
                    expires_at=now + lasts,
                    used_at=None,
                )
                for key, change_hash in changes
            ]
            many(db, insert(t.change_approvals), [vars(one) for one in approved])
            concerned = t.decisions.c.about.in_([one.change_hash for one in approved])
            still = (t.decisions.c.entity == entity, t.decisions.c.ended_at.is_(None), concerned)
            db.execute(update(t.decisions).where(*still).values(ended_at=now, ended=f"approved by {who}"))
            return approved

    def approved(self, entity: str, logins: int = 1) -> frozenset[str]:
        """The hashes of the entity's changes that are approved now, by at least so many different people."""
        return frozenset(about for about, people in self.approvers(entity).items() if len(people) >= logins)

    def approvers(self, entity: str) -> dict[str, set[str]]:
        """Hash → the people (`person_of` their logins) whose approval of that change stands now.

        An approval that was used, or has expired, never stands again, also when the clock is set back. One whose call
        has no answer yet still stands: the push looks first what became of that call.
        """
        own = t.changes.c.entity == entity, t.changes.c.source_key == t.change_approvals.c.source_key
        is_open = exists().where(
            *own, t.changes.c.intended_at == t.change_approvals.c.used_at, t.changes.c.status.is_(None)
        )
        with self._writing() as db:
            in_force = select(t.change_approvals.c.change_hash, t.change_approvals.c.login).where(
                t.change_approvals.c.entity == entity,
                or_(t.change_approvals.c.used_at.is_(None), is_open),
                t.change_approvals.c.expires_at > latest_time(db, self._clock()),
            )
            found: dict[str, set[str]] = {}
            for change_hash, login in db.execute(in_force.distinct()):
                found.setdefault(change_hash, set()).add(person_of(login))
            return found

    def use_approvals(self, entity: str, change_hashes: Iterable[str]) -> None:
        """Use the approvals of these changes up: they were pushed."""
        hashes = t.change_approvals.c.change_hash.in_(list(change_hashes))
        unused = (t.change_approvals.c.entity == entity, t.change_approvals.c.used_at.is_(None), hashes)
        with self._writing() as db:
            now = latest_time(db, self._clock())
            db.execute(update(t.change_approvals).where(*unused).values(used_at=now))


def withdraw_approvals(db: Connection, entity: str, change_hashes: Iterable[str], now: datetime) -> None:
    """Somebody decided otherwise about these changes: the approvals of them that are not used end now."""
    table = t.change_approvals
    meant = table.c.entity == entity, table.c.change_hash.in_(list(change_hashes)), table.c.used_at.is_(None)
    db.execute(update(table).where(*meant, table.c.expires_at > now).values(expires_at=now))


def person_of(login: str) -> str:
    """Who that is: the same person is `kim` in a shell, and `Kim@firm.example` or `FIRM\\kim` to a login proxy."""
    return login.rpartition("\\")[2].partition("@")[0].casefold()


def use_approval(db: Connection, entity: str, source_key: str, change_hash: str, now: datetime) -> None:
    """A call is about to be made that this approval is for."""
    table = t.change_approvals
    meant = table.c.entity == entity, table.c.source_key == source_key, table.c.change_hash == change_hash
    db.execute(update(table).where(*meant, table.c.used_at.is_(None)).values(used_at=now))


def give_back_approval(db: Connection, entity: str, source_key: str, used_at: datetime) -> None:
    """The call that used it at that time changed nothing."""
    table = t.change_approvals
    meant = table.c.entity == entity, table.c.source_key == source_key, table.c.used_at == used_at
    db.execute(update(table).where(*meant).values(used_at=None))


def latest_time(db: Connection, now: datetime) -> datetime:
    """The time, never earlier than any that the ledger has seen before."""
    seen = row_at(db, t.clock, CLOCK, lock=True)
    if seen is not None and seen["at"] >= now:
        return cast("datetime", seen["at"])
    put(db, t.clock, [CLOCK], {"at": now}, known=seen is not None)
    return now
