"""Leases and pauses: who may push now. Times come from the ledger's clock, so the machines' clocks must agree."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.ledger_errors import LeaseHeld, LeaseLost
from safetyamp_pipelines.ledger.records import Lease, Pause
from safetyamp_pipelines.ledger.statements import as_record, of_key, put, row_at

RUN = "run "
"""What the name of a lease begins with that is not a lock, but shows that the process of a run lives."""


class Locks(Store):
    """One holder per lease name, one pause at a time."""

    def acquire_lease(
        self, name: str, holder: str, ttl_seconds: float, is_gone: Callable[[str], bool] = lambda _: False
    ) -> Lease:
        """Take the lease, also from a holder whose time ran out, or that `is_gone`. Raises LeaseHeld while another's
        time runs.

        The token of the new lease is greater than every earlier one of this name.
        """
        with self._writing() as db:
            row = locked_lease(db, name)
            now, expires_at = self._clock(), self._clock() + timedelta(seconds=ttl_seconds)
            holder_now, since = row["holder"], row["since"]
            if (
                holder_now is not None
                and since is not None
                and row["expires_at"] is not None
                and row["expires_at"] > now
                and not is_gone(holder_now)
            ):
                # More time than any lease gets: the clock was set back. A holder that lives prolongs it by itself.
                put(db, t.leases, [name], {"expires_at": min(row["expires_at"], expires_at)}, known=True)
                held = LeaseHeld(name, holder_now, since)
            else:
                held = None
                taken = {"token": row["token"] + 1, "holder": holder, "since": now, "expires_at": expires_at}
                put(db, t.leases, [name], taken, known=True)
                lease = Lease(name=name, **taken, ttl_seconds=ttl_seconds, dead_holder=holder_now)
        if held is not None:
            raise held
        return lease

    def heartbeat(self, lease: Lease) -> Lease:
        """Renew the lease for its full time. Raises LeaseLost when it was released or taken over.

        A lease that ran out and that nobody took is still its holder's.
        """
        with self._writing() as db:
            row = locked_lease(db, lease.name)
            if not is_held_by(row, lease):
                raise LeaseLost(lease.name, lease.holder)
            expires_at = self._clock() + timedelta(seconds=lease.ttl_seconds)
            put(db, t.leases, [lease.name], {"expires_at": expires_at}, known=True)
            return replace(lease, expires_at=expires_at)

    def release(self, lease: Lease) -> None:
        """Give the lease back. A lease that was taken over meanwhile stays with its new holder."""
        with self._writing() as db:
            row = locked_lease(db, lease.name)
            if is_held_by(row, lease):
                put(db, t.leases, [lease.name], dict.fromkeys(("holder", "since", "expires_at")), known=True)

    def lease_holder(self, name: str) -> tuple[str, datetime] | None:
        """Who holds the lease now and since when; None when nobody does, or the holder's time ran out."""
        with self._reading() as db:
            row = row_at(db, t.leases, name)
            if row is None or None in (row["holder"], row["since"], row["expires_at"]):
                return None
            return (row["holder"], row["since"]) if row["expires_at"] > self._clock() else None

    def beat(self, run_id: str, holder: str, ttl_seconds: float) -> None:
        """The run lives, as its process says every few seconds: it counts as silent after so many without."""
        with self._writing() as db:
            now, is_known = self._clock(), row_at(db, t.leases, RUN + run_id, lock=True) is not None
            kept = {"token": 0, "holder": holder, "since": now, "expires_at": now + timedelta(seconds=ttl_seconds)}
            put(db, t.leases, [RUN + run_id], kept, known=is_known)

    def end_beats(self, run_id: str) -> None:
        """The run is over; with it go runs that have been silent for a day."""
        with self._writing() as db:
            long_silent = t.leases.c.expires_at < self._clock() - timedelta(days=1)
            is_run = t.leases.c.name.startswith(RUN, autoescape=True)
            db.execute(delete(t.leases).where(is_run, or_(t.leases.c.name == RUN + run_id, long_silent)))

    def pause(self, who: str, reason: str) -> Pause:
        """Stop pushes from starting or going on. A pause that lasts is kept as it is, and returned."""
        with self._writing() as db:
            pause = current_pause(db)
            if pause is None:
                pause = Pause(who=who, reason=reason, at=self._clock(), resumed_by=None, resumed_at=None)
                db.execute(insert(t.pauses).values(**vars(pause)))
            return pause

    def resume(self, who: str) -> Pause | None:
        """End the pause and return it; None when there was none."""
        with self._writing() as db:
            pause = current_pause(db)
            if pause is None:
                return None
            now = self._clock()
            # Two pauses can begin at the same moment on PostgreSQL: end them all.
            db.execute(update(t.pauses).where(t.pauses.c.resumed_at.is_(None)).values(resumed_by=who, resumed_at=now))
            return replace(pause, resumed_by=who, resumed_at=now)

    def pause_state(self) -> Pause | None:
        """The pause that lasts, or None."""
        with self._reading() as db:
            return current_pause(db)


def locked_lease(db: Connection, name: str) -> RowMapping:
    """The row of this name as it is once nobody else is at it, made on first use, locked until the transaction ends."""
    row = row_at(db, t.leases, name, lock=True)
    if row is None:
        # On PostgreSQL another process may make the row between the look and the insert. Then that one will do.
        with suppress(IntegrityError), db.begin_nested():
            db.execute(insert(t.leases).values(name=name, token=0))
        row = db.execute(select(t.leases).where(of_key(t.leases, name)).with_for_update()).mappings().one()
    return row


def is_held_by(row: RowMapping, lease: Lease) -> bool:
    """Is this very acquisition still the newest, and not given back?"""
    return bool(row["token"] == lease.token and row["holder"] == lease.holder)


def current_pause(db: Connection) -> Pause | None:
    """The oldest pause that nobody ended."""
    query = select(t.pauses).where(t.pauses.c.resumed_at.is_(None)).order_by(t.pauses.c.id).limit(1)
    row = db.execute(query).mappings().one_or_none()
    return None if row is None else as_record(Pause, row)
