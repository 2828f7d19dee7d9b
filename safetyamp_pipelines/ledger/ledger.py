"""The ledger as one object: opening it and closing it. The themes are in the modules beside it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from sqlalchemy import URL, update

from safetyamp_pipelines.ledger.approvals import Approvals
from safetyamp_pipelines.ledger.call_log import CallLog
from safetyamp_pipelines.ledger.changes import Changes
from safetyamp_pipelines.ledger.choices import Decisions
from safetyamp_pipelines.ledger.database import Clock, described, open_engine, utc_now
from safetyamp_pipelines.ledger.failures import Failures
from safetyamp_pipelines.ledger.links import Links
from safetyamp_pipelines.ledger.locks import Locks
from safetyamp_pipelines.ledger.look_log import LookLog
from safetyamp_pipelines.ledger.observations import Observations
from safetyamp_pipelines.ledger.removal import Removal
from safetyamp_pipelines.ledger.schema import keys
from safetyamp_pipelines.ledger.sessions import Sessions
from safetyamp_pipelines.ledger.totals import Totals
from safetyamp_pipelines.ledger.verdict_log import Verdicts


class Ledger(
    Sessions,
    Changes,
    Links,
    Failures,
    Locks,
    Observations,
    Approvals,
    Decisions,
    Verdicts,
    Removal,
    CallLog,
    LookLog,
    Totals,
):
    """What was intended, sent and answered. Safe to use from several threads; every call is one short transaction."""

    @classmethod
    def open(
        cls,
        url: str | URL,
        *,
        create: bool = True,
        writes: bool = True,
        migrates: bool = True,
        clock: Clock = utc_now,
    ) -> Self:
        """The ledger at a SQLAlchemy URL of a SQLite file or a PostgreSQL database, migrated as needed, and made where
        none ever was, if `create` allows that.

        Raises LedgerUnusable, whose message has the cause and no password; for who `writes`, also when it is read-only;
        without `migrates`, when it is of another revision.
        """
        return cls(open_engine(url, create=create, writes=writes, migrates=migrates), clock)

    @property
    def name(self) -> str:
        """Which ledger it is: its file, or database and host."""
        return described(self._engine.url).removeprefix("the ledger ")

    def try_write(self) -> None:
        """Write, and change nothing. Raises LedgerUnusable where a push could not begin."""
        with self._writing() as db:
            db.execute(update(keys).values(name=keys.c.name))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{described(self._engine.url)}>"
