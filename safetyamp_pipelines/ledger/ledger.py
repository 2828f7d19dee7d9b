"""The ledger as one object: opening it, closing it, and its keyed hash. The themes are in the modules beside it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from sqlalchemy import URL, Engine

from safetyamp_pipelines.ledger.approvals import Approvals
from safetyamp_pipelines.ledger.changes import Changes
from safetyamp_pipelines.ledger.daily_figures import Reporting
from safetyamp_pipelines.ledger.database import described, open_engine
from safetyamp_pipelines.ledger.failures import Failures
from safetyamp_pipelines.ledger.ledger_errors import LedgerConflict
from safetyamp_pipelines.ledger.links import Links
from safetyamp_pipelines.ledger.locks import Locks
from safetyamp_pipelines.ledger.observations import Observations
from safetyamp_pipelines.ledger.removal import Forgetting
from safetyamp_pipelines.ledger.schema import KeyRow
from safetyamp_pipelines.ledger.sessions import Sessions
from safetyamp_pipelines.ledger.transactions import Clock, utc_now
from safetyamp_pipelines.ledger.verdict_log import Verdicts
from safetyamp_pipelines.sync.model.snapshot import canonical_json

HASH_KEY = "keyed_hash"
HASH_KEY_BYTES = 32


class Ledger(Sessions, Changes, Links, Failures, Locks, Observations, Approvals, Verdicts, Forgetting, Reporting):
    """What was intended, sent and answered. Safe to use from several threads; every call is one short transaction."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Use `Ledger.open`; the engine must be on a migrated database."""
        super().__init__(engine, clock)
        self._hash_key = self._the_hash_key()

    @classmethod
    def open(cls, url: str | URL, *, clock: Clock = utc_now) -> Self:
        """The ledger at a SQLAlchemy URL of a SQLite file or a PostgreSQL database, made or migrated as needed.

        Raises LedgerUnusable, whose message says what is wrong and holds no password.
        """
        return cls(open_engine(url), clock)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{described(self._engine.url)}>"

    def keyed_hash(self, value: Any) -> str:
        """HMAC-SHA256 of a JSON value, in hex, with this ledger's own key.

        Equal values give equal hashes in this ledger and in no other; without the key nobody can find a value, not
        even one of few possible ones, by hashing guesses.
        """
        return hmac.new(self._hash_key, canonical_json(value).encode(), hashlib.sha256).hexdigest()

    def _the_hash_key(self) -> bytes:
        """The key of this ledger, made by whoever opens it first."""
        key = self._stored_hash_key()
        if key is None:
            # A conflict: another process opened the fresh ledger at the same moment. Its key is the one that counts.
            with suppress(LedgerConflict), self._writing() as db:
                db.add(KeyRow(name=HASH_KEY, secret=secrets.token_bytes(HASH_KEY_BYTES)))
            key = self._stored_hash_key()
            assert key is not None
        return key

    def _stored_hash_key(self) -> bytes | None:
        with self._reading() as db:
            row = db.get(KeyRow, HASH_KEY)
            return None if row is None else row.secret
