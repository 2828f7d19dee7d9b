"""A budget of calls per period, shared by every thread and process that opens the same file. Sends nothing itself.

pyrate-limiter's SQLiteBucket was measured first (4.5.1; three processes of four threads, 20 calls a second). It kept
the limit, but used 80 % of it, took 0.6 ms a call and counts the whole window for every one. It also books a call at
the moment it was asked for: when the way to the server is slow, the server sees more calls in a window than were
booked. Hence this smaller bucket: one row a call, one look-up, and the row is moved to the call's answer.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.settings.private import private_folder
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.systems.http.clock import SYSTEM_CLOCK, Clock

log = get_logger(__name__)

LONGEST_SETTLE = 0.25
"""Seconds a booking may be moved by a slow answer: enough for the way there, too little to waste the budget on a
server that thinks for three seconds."""

LOGGED_WAIT = 5.0
"""Seconds: a longer wait for the budget is logged, about once a period; shorter ones are the ordinary pace."""

LONGEST_HOLD = 300.0
"""Seconds: what asks for a longer pause fails for the one who called; the others may find out for themselves."""

HOLD = -1
"""The number under which the end of a pause is kept; calls are numbered from 1."""

DAY = 86_400.0
CLEAN_EVERY = 256
_BUSY_SECONDS = 60.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (budget TEXT, number INTEGER, at REAL, PRIMARY KEY (budget, number)) WITHOUT ROWID
"""


class Claim(NamedTuple):
    """Either the call's `number` in the budget, or the seconds to wait before asking again."""

    number: int | None
    wait: float


class Bucket(Protocol):
    """Where the calls of one budget are booked; processes that share it share the budget."""

    def claim(self, calls: int, period: float) -> Claim:
        """Book a call now if fewer than `calls` were booked in the last `period` seconds."""
        ...

    def settle(self, number: int, at: float) -> None:
        """Move a booked call to `at`, the time by which the server has surely seen it."""
        ...

    def hold(self, seconds: float) -> None:
        """Let nobody make a call for so long."""
        ...

    def booked(self) -> list[float]:
        """When the calls still on record were made, oldest first: those of the last window, and some before."""
        ...

    def close(self) -> None:
        """Let go of the storage; bookings stay."""
        ...


class Budget:
    """Never more than `calls` in any `period_seconds`, over all who share the bucket. Thread-safe; one a process."""

    def __init__(self, calls: int, period_seconds: float, bucket: Bucket, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.period_seconds = period_seconds
        self._calls, self._bucket, self._clock = calls, bucket, clock
        # One thread of a process asks and waits at a time: the others could not be served earlier, and so
        # take their turns without all of them polling the file.
        self._turn = threading.Lock()

    @contextmanager
    def call(self) -> Iterator[float]:
        """Wait until a call may be made, then hold its place while the body makes it; gives the seconds waited."""
        asked_at = self._clock.now()
        number = self._take()
        started_at = self._clock.now()
        try:
            yield max(0.0, started_at - asked_at)
        finally:
            self._settle(number, min(self._clock.now(), started_at + LONGEST_SETTLE))

    def _settle(self, number: int, at: float) -> None:
        try:
            self._bucket.settle(number, at)
        except Refusal as refusal:
            # The call was made and has its answer; losing that for a booking a quarter of a second off would be worse.
            log.warning("budget_not_settled", reason=str(refusal))

    def hold(self, seconds: float) -> None:
        """The system asked for a pause: it holds for everybody who shares the bucket."""
        with suppress(Refusal):  # a call that was refused waits on its own anyway
            self._bucket.hold(min(seconds, LONGEST_HOLD))

    def _take(self) -> int:
        with self._turn:
            while True:
                claim = self._bucket.claim(self._calls, self.period_seconds)
                if claim.number is not None:
                    return claim.number
                if claim.wait >= LOGGED_WAIT:
                    log.info("waits_for_budget", seconds=round(claim.wait, 1), calls=self._calls)
                self._clock.sleep(claim.wait)

    def close(self) -> None:
        """Close the bucket."""
        self._bucket.close()


def budget_key(base_url: str, token: str) -> str:
    """The name of a token's budget: two tenants do not share one, and the file does not hold the token."""
    return hashlib.sha256(f"{base_url.rstrip('/')}\n{token}".encode()).hexdigest()


class SqliteBucket:
    """A bucket in an SQLite file, for all processes of a machine.

    Calls are numbered; call n may go when call n - `calls` left the window. So each claim looks at one row, however
    large the budget. A killed process leaves no lock behind: SQLite's locks end with it, and the claim was committed.
    """

    def __init__(self, path: Path, key: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._path, self._key, self._clock = path, key, clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def claim(self, calls: int, period: float) -> Claim:
        """Book a call if the window has room. Raises Refusal when the file cannot be used."""
        with self._writing() as connection:
            newest = connection.execute("SELECT max(number) FROM calls WHERE budget = ?", (self._key,)).fetchone()[0]
            number = (newest or 0) + 1
            now = self._clock.now()  # read after the lock was got: waiting for it takes time
            wait = max(
                self._wait_for_room(connection, number - calls, period, now),
                min(self._wait_for_room(connection, HOLD, 0.0, now), LONGEST_HOLD),
            )
            if wait > 0:
                return Claim(None, wait)
            connection.execute("INSERT INTO calls VALUES (?, ?, ?)", (self._key, number, now))
            if number % CLEAN_EVERY == 0:
                connection.execute(
                    "DELETE FROM calls WHERE budget = ? AND number < ? AND at < ?",
                    (self._key, number - calls, now - period),
                )
            return Claim(number, 0.0)

    def _wait_for_room(self, connection: sqlite3.Connection, number: int, period: float, now: float) -> float:
        """Seconds until the call booked under this number is `period` ago."""
        row = connection.execute("SELECT at FROM calls WHERE budget = ? AND number = ?", (self._key, number)).fetchone()
        if row is None:
            return 0.0
        booked_at = float(row[0])
        if number != HOLD and booked_at > now:  # the clock was set back: nobody could call until it caught up
            connection.execute("UPDATE calls SET at = ? WHERE budget = ? AND at > ?", (now, self._key, now))
            booked_at = now
        return booked_at + period - now

    def settle(self, number: int, at: float) -> None:
        """Move a booking to its call's answer."""
        with self._writing() as connection:
            connection.execute("UPDATE calls SET at = ? WHERE budget = ? AND number = ?", (at, self._key, number))

    def hold(self, seconds: float) -> None:
        """Keep the later end of this pause and one that holds already."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO calls VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET at = max(at, ?3)",
                (self._key, HOLD, self._clock.now() + seconds),
            )

    def booked(self) -> list[float]:
        """The bookings on record. Raises Refusal when the file cannot be used."""
        with self._writing() as connection:
            rows = connection.execute(
                "SELECT at FROM calls WHERE budget = ? AND number > 0 ORDER BY at", (self._key,)
            ).fetchall()
        return [float(at) for (at,) in rows]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                connection = self._connection or self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise Refusal(
                    f"the file of the call budget cannot be used ({error}): make {self._path.parent} writable, "
                    f"or delete {self._path.name} while nothing runs"
                ) from error

    def _open(self) -> sqlite3.Connection:
        try:
            private_folder(self._path.parent)
            self._path.touch(mode=0o600)
        except OSError as error:
            raise Refusal(
                f"the folder {self._path.parent} of the call budget cannot be made: {error.strerror}"
            ) from error
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        # A rollback journal, not WAL: every transaction here writes, and switching to WAL fails when two processes
        # start at once. Not synced to the disk: after a power cut the window is over anyway, and a kill loses nothing.
        connection.execute("PRAGMA journal_mode = PERSIST")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_SCHEMA)
        connection.execute("DELETE FROM calls WHERE at < ?", (self._clock.now() - DAY,))
        self._connection = connection
        return connection

    def close(self) -> None:
        """Close the connection; the next claim opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


BucketFactory = Callable[[str], Bucket]
"""Gives the bucket of a budget key: a file, or a database where several machines share one token."""
