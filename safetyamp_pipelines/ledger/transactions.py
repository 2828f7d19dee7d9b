"""The ground the ledger's themes stand on: short transactions and one clock. No table is known here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session as Transaction

from safetyamp_pipelines.ledger.database import WRITES, translated

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The moment, aware, in UTC."""
    return datetime.now(UTC)


class Store:
    """One engine and one clock, shared by the themes. Safe to use from several threads."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._clock = clock

    def now(self) -> datetime:
        """The moment by the ledger's clock: what is compared with its times has to come from here."""
        return self._clock()

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        """One consistent view; nothing is kept."""
        with translated(self._engine), Transaction(self._engine) as transaction:
            yield transaction

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        """All or nothing, on the disk when the block is left."""
        engine = self._engine.execution_options(**{WRITES: True})
        with translated(self._engine), Transaction(engine) as transaction, transaction.begin():
            yield transaction
