"""Ledgers for worlds: the real one, in memory, each a copy of one that was migrated once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.ledger.database import Clock, begin_sqlite, prepare_sqlite
from safetyamp_pipelines.ledger.schema import metadata
from safetyamp_pipelines.sync.model.snapshot import canonical_json


class Ledgers:
    """Gives out one ledger at a time. What was committed stays when a process dies; what is open is rolled back.

    Migrating a file takes a tenth of a second, and waiting for the disk as long as a whole world: neither is what the
    worlds are about. All copies have one hash key, so that equal stories give equal ledgers.
    """

    def __init__(self, folder: Path) -> None:
        template = folder / "template.db"
        Ledger.open(f"sqlite:///{template}").close()
        self._template = sqlite3.connect(template)
        self._memory = sqlite3.connect(":memory:", check_same_thread=False)
        self._engine = create_engine(
            "sqlite://", creator=lambda: self._memory, poolclass=StaticPool, json_serializer=canonical_json
        )
        event.listen(self._engine, "connect", prepare_sqlite)
        event.listen(self._engine, "begin", begin_sqlite)

    def fresh(self, clock: Clock) -> Ledger:
        """An empty ledger; the one given out before is gone."""
        self._template.backup(self._memory)
        return self.again(clock)

    def again(self, clock: Clock) -> Ledger:
        """The same ledger as the next process opens it."""
        if self._memory.in_transaction:
            self._memory.rollback()
        return Ledger(self._engine, clock)

    def rows(self) -> dict[str, list[Any]]:
        """Everything it holds, table by table."""
        return {
            table: self._memory.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall() for table in metadata.tables
        }

    def close(self) -> None:
        """Free both databases."""
        self._engine.dispose()
        with closing(self._template), closing(self._memory):
            pass
