"""A budget of calls in the ledger's PostgreSQL, for pods that share no disk; and the choice between it and a file.

The rule is that of budget.py: calls are numbered, and call n may go when call n - `calls` left the window. Here
the server's clock decides when that is, because the clocks of two machines differ; and a claim is one message that the
server carries out alone, lock and all, so that no process can die or hang while it keeps the others waiting.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Executable,
    Float,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    func,
    inspect,
    select,
    text,
    update,
)

from safetyamp_pipelines.ledger.database import ledger_address, postgresql_engine, translated
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.systems.http.budget import (
    CLEAN_EVERY,
    DAY,
    LONGEST_HOLD,
    BucketFactory,
    Budget,
    Claim,
    SqliteBucket,
    budget_key,
)
from safetyamp_pipelines.systems.http.clock import SYSTEM_CLOCK, Clock

PACE_CALLS, PACE_SECONDS = 20, 1.0

# Not one of the ledger's tables: the budget also holds for calls made before a ledger of this release was ever opened.
calls_table = Table(
    "safetyamp_calls",
    MetaData(),
    Column("budget", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

# SQLAlchemy sends one statement a message; this is two. The second sees all that was booked until the first got the
# lock, which ends with the message. `booked` adds no row while the window is full. Number -1 is HOLD.
CLAIM = text("""
    SELECT pg_advisory_xact_lock(:lock);
    WITH next AS (
        SELECT coalesce(max(number), 0) + 1 AS number, clock_timestamp() AS now
        FROM safetyamp_calls WHERE budget = :budget
    ), due AS (
        SELECT number, now, greatest(coalesce(extract(epoch FROM (
            SELECT at FROM safetyamp_calls WHERE budget = :budget AND number = next.number - :calls
        ) + make_interval(secs => :period) - now), 0), coalesce(extract(epoch FROM (
            SELECT at FROM safetyamp_calls WHERE budget = :budget AND number = -1
        ) - now), 0)) AS wait
        FROM next
    ), booked AS (
        INSERT INTO safetyamp_calls SELECT :budget, number, now FROM due WHERE wait <= 0 RETURNING number
    )
    SELECT booked.number, due.wait FROM due LEFT JOIN booked ON true
""")

NOW = func.clock_timestamp(type_=DateTime(timezone=True))
AGO = NOW - func.make_interval(0, 0, 0, 0, 0, 0, bindparam("seconds", type_=Float))
OWN = calls_table.c.budget == bindparam("own")
SETTLE = (
    update(calls_table)
    .where(OWN, calls_table.c.number == bindparam("settled"))
    .values(at=func.greatest(calls_table.c.at, AGO))
)
BOOKED = select(calls_table.c.at).where(OWN, calls_table.c.number > 0).order_by(calls_table.c.at)
# As text: the construct for it loads PostgreSQL's dialect, also where a file is asked. Number -1 is HOLD.
HELD = text("""
    INSERT INTO safetyamp_calls (budget, number, at)
    VALUES (:own, -1, clock_timestamp() - make_interval(secs => :seconds))
    ON CONFLICT (budget, number) DO UPDATE SET at = greatest(safetyamp_calls.at, excluded.at)
""")
SET_BACK = update(calls_table).where(OWN, calls_table.c.number > 0, calls_table.c.at > NOW).values(at=NOW)
CLEAN = delete(calls_table).where(OWN, calls_table.c.number <= bindparam("last"), calls_table.c.at < AGO)
CLEAN_OLD = delete(calls_table).where(calls_table.c.at < AGO)


class PostgresBucket:
    """A bucket in a PostgreSQL database, for all processes that reach it. Connects at the first claim.

    Every method raises LedgerUnusable, without the password, when the database cannot be used.
    """

    def __init__(self, url: str, key: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """`clock` is the one of the times that `settle` is given; bookings go by the server's."""
        self._engine = postgresql_engine(ledger_address(url), isolation_level="AUTOCOMMIT")
        self._key, self._clock = key, clock
        self._preparing = threading.Lock()
        self._is_prepared = False

    def claim(self, calls: int, period: float) -> Claim:
        """Book a call if the window has room."""
        self._prepare()
        asked = {"lock": lock_of(self._key), "budget": self._key, "calls": calls, "period": period}
        with translated(self._engine), self._engine.connect() as connection:
            number, wait = connection.execute(CLAIM, asked).one()
        if number is None:
            if wait > max(
                period, LONGEST_HOLD
            ):  # the server's clock was set back: nobody could call until it caught up
                self._do(SET_BACK, own=self._key)
            return Claim(None, min(float(wait), period))
        if number % CLEAN_EVERY == 0:
            self._do(CLEAN, own=self._key, last=number - calls, seconds=period)
        return Claim(number, 0.0)

    def settle(self, number: int, at: float) -> None:
        """Move a booking to its call's answer: as long ago on the server's clock as `at` is on this machine's."""
        self._do(SETTLE, own=self._key, settled=number, seconds=max(0.0, self._clock.now() - at))

    def hold(self, seconds: float) -> None:
        """Keep the later end of this pause and one that holds already, by the server's clock."""
        self._prepare()
        self._do(HELD, own=self._key, seconds=-seconds)

    def booked(self) -> list[float]:
        """The bookings on record, by the server's clock. Only reads: a standby can be asked."""
        with translated(self._engine), self._engine.connect() as connection:
            if not inspect(connection).has_table(calls_table.name):
                return []
            return [at.timestamp() for at in connection.scalars(BOOKED, {"own": self._key})]

    def close(self) -> None:
        """Close the connections; the next claim opens them again."""
        self._engine.dispose()

    def _prepare(self) -> None:
        """Once: make the table, and take out what is left in it of budgets that nobody uses any more."""
        with self._preparing:
            if self._is_prepared:
                return
            with translated(self._engine), self._engine.connect() as connection:
                # Two processes that make the same table at once would both fail, even with IF NOT EXISTS.
                connection.execute(select(func.pg_advisory_lock(lock_of("the table itself"))))
                try:
                    calls_table.create(connection, checkfirst=True)
                finally:
                    connection.execute(select(func.pg_advisory_unlock(lock_of("the table itself"))))
            self._do(CLEAN_OLD, seconds=DAY)
            self._is_prepared = True

    def _do(self, statement: Executable, **values: str | float) -> None:
        with translated(self._engine), self._engine.connect() as connection:
            connection.execute(statement, values)


def lock_of(key: str) -> int:
    """The number of a budget's advisory lock: 64 bits, so that no other program is likely to use the same."""
    return int.from_bytes(hashlib.sha256(f"safetyamp_calls/{key}".encode()).digest()[:8], "big", signed=True)


def pace_of(settings: Settings, base_url: str, identity: str) -> Budget:
    """The budget of a system that publishes no figure for us to keep: below the limits that Samsara (25 a second) and
    Microsoft Graph (350 a second) are known to set, and shared, so that a pause they ask for holds for everybody.
    """
    make_bucket = bucket_factory(settings.ledger_url.get_secret_value(), settings.budget_path)
    return Budget(PACE_CALLS, PACE_SECONDS, make_bucket(budget_key(base_url, identity)))


def bucket_factory(ledger_url: str, budget_path: Path) -> BucketFactory:
    """Where budgets are booked: in the ledger's database if that is PostgreSQL, else in a file of this machine.

    Raises LedgerUnusable for an invalid URL. Opens nothing.
    """
    if ledger_address(ledger_url).get_backend_name() == "sqlite":
        return lambda key: SqliteBucket(budget_path, key)
    return lambda key: PostgresBucket(ledger_url, key)


def booked_calls(settings: Settings) -> list[float]:
    """When calls to SafetyAmp were made, as far as they are still on record, by whatever process or pod."""
    settings.require("safetyamp")
    assert settings.safetyamp_token is not None
    make_bucket = bucket_factory(settings.ledger_url.get_secret_value(), settings.budget_path)
    bucket = make_bucket(budget_key(settings.safetyamp_base_url, settings.safetyamp_token.get_secret_value()))
    try:
        return bucket.booked()
    finally:
        bucket.close()
