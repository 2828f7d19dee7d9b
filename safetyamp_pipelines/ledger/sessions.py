"""Sessions: one push of one entity in one run, from its start to its end. Their changes are in `changes.py`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import insert, select

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.ledger_errors import SessionEnded
from safetyamp_pipelines.ledger.locks import RUN
from safetyamp_pipelines.ledger.records import Lease, Session, SessionStatus
from safetyamp_pipelines.ledger.statements import as_record, newest, put, records, row_at


class Sessions(Store):
    """Start, end and list sessions."""

    def start_session(
        self,
        run_id: str,
        entity: str,
        plan_hash: str,
        planned: Mapping[str, int],
        lease: Lease | None = None,
        *,
        is_whole: bool = True,
        undoes: int | None = None,
    ) -> int:
        """Open a session and return its id. With a lease, every intent is refused once the lease is lost."""
        started = insert(t.sessions).values(
            run_id=run_id,
            entity=entity,
            plan_hash=plan_hash,
            planned=dict(planned),
            status="running",
            started_at=self._clock(),
            lease_name=lease.name if lease else None,
            lease_token=lease.token if lease else None,
            is_whole=is_whole,
            undoes=undoes,
        )
        with self._writing() as db:
            return int(db.execute(started.returning(t.sessions.c.id)).scalar_one())

    def end_session(self, session_id: int, status: SessionStatus, counts: Mapping[str, int], calls: int) -> None:
        """Close a running session with its counts by status and the calls it made. Raises SessionEnded."""
        with self._writing() as db:
            row = row_at(db, t.sessions, session_id, lock=True)
            if row is None:
                raise LookupError(f"session {session_id} is not in the ledger")
            if row["status"] != "running":
                raise SessionEnded(session_id, row["status"])
            ended = {"status": status, "counts": dict(counts), "calls": calls, "ended_at": self._clock()}
            put(db, t.sessions, [session_id], ended, known=True)

    def open_session(self, entity: str) -> Session | None:
        """The newest session of the entity that never ended: the holder of the lease knows that its push died."""
        with self._reading() as db:
            return next(iter(newest(db, Session, t.sessions, 1, entity=entity, status="running")), None)

    def session(self, session_id: int) -> Session | None:
        """One session; None when there is no such."""
        with self._reading() as db:
            row = row_at(db, t.sessions, session_id)
            return None if row is None else as_record(Session, row)

    def was_pushed_whole(self, entity: str) -> bool:
        """Whether any session of the entity carried out a whole plan, and came to its end."""
        query = select(t.sessions.c.id).where(
            t.sessions.c.entity == entity, t.sessions.c.is_whole, t.sessions.c.status == "done"
        )
        with self._reading() as db:
            return db.scalar(query.limit(1)) is not None

    def sessions(self, limit: int = 50, *, entity: str | None = None, run_id: str | None = None) -> list[Session]:
        """The newest sessions, newest first."""
        with self._reading() as db:
            return newest(db, Session, t.sessions, limit, entity=entity, run_id=run_id)

    def silent_runs(self) -> frozenset[str]:
        """Runs that still go on by the ledger, and whose process has not been heard of for as long as a lease lasts,
        wherever it is: their beats stopped, or the lease of their push ran out."""
        held = (t.leases.c.name == t.sessions.c.lease_name) & (t.leases.c.token == t.sessions.c.lease_token)
        query = select(t.sessions.c.run_id).join(t.leases, held).where(t.sessions.c.status == "running")
        over = t.leases.c.holder.is_not(None), t.leases.c.expires_at <= self._clock()
        with self._reading() as db:
            pushing = frozenset(db.scalars(query.where(*over)))
            names = db.scalars(select(t.leases.c.name).where(t.leases.c.name.startswith(RUN, autoescape=True), *over))
            return pushing | {name.removeprefix(RUN) for name in names}

    def sessions_started(self, start: datetime, end: datetime) -> list[Session]:
        """The sessions started from `start` until, and without, `end`, oldest first."""
        query = select(t.sessions).where(t.sessions.c.started_at >= start, t.sessions.c.started_at < end)
        with self._reading() as db:
            return records(Session, db, query.order_by(t.sessions.c.id))
