"""Connections to PostgreSQL that give up a server which stays silent, whatever its kernel still acknowledges.

The server's own time-outs live in the process that serves the connection; when that is frozen, only this side can end
the wait: the socket is shut, and the driver comes back from it with an error.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection, cursor

TICK_SECONDS = 1.0
FIRST_ANSWER_SECONDS = 10.0
GRACE_SECONDS = 5.0
"""By how much the server's own time-out comes first, where it lives: it says which statement, and cleans up."""


class WatchedConnection(connection):  # type: ignore[misc]
    """A connection of which each wait for the server ends `limit` seconds after it began; None never ends."""

    limit: float | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cursor_factory = WatchedCursor
        self.limit = FIRST_ANSWER_SECONDS
        with closing(self.cursor()) as asked:
            asked.execute("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'")
            milliseconds = asked.fetchone()[0]
        self.rollback()
        self.limit = milliseconds / 1000 + GRACE_SECONDS if milliseconds else None

    def commit(self) -> None:
        """As the driver's."""
        with WATCH.over(self):
            super().commit()

    def rollback(self) -> None:
        """As the driver's."""
        with WATCH.over(self):
            super().rollback()


class WatchedCursor(cursor):  # type: ignore[misc]
    """A cursor of a WatchedConnection; it holds all rows when a statement is done, so fetching waits for nothing."""

    def execute(self, *args: Any) -> None:
        """As the driver's."""
        with WATCH.over(self.connection):
            super().execute(*args)

    def executemany(self, *args: Any) -> None:
        """As the driver's."""
        with WATCH.over(self.connection):
            super().executemany(*args)


class Watch:
    """One thread that looks once a second, while there are waits, for those that last too long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[WatchedConnection, float] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, waiting: WatchedConnection) -> Iterator[None]:
        """Raises OperationalError in place of the driver's error when the wait had to be ended."""
        if waiting.limit is None:
            yield
            return
        with self._lock:
            self._ends[waiting] = time.monotonic() + waiting.limit
            if self._thread is None or not self._thread.is_alive():  # a fork takes no thread along
                self._thread = threading.Thread(target=self._look, name="frozen-server", daemon=True)
                self._thread.start()
        try:
            yield
        except psycopg2.Error:
            with self._lock:
                is_ended = waiting not in self._ends
            if is_ended:
                raise psycopg2.OperationalError(
                    f"it took a statement and said nothing for {waiting.limit:.0f} seconds: is it frozen?"
                ) from None
            raise
        finally:
            with self._lock:
                self._ends.pop(waiting, None)

    def _look(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            with self._lock:
                for waiting in [one for one, end in self._ends.items() if end <= time.monotonic()]:
                    del self._ends[waiting]
                    shut(waiting)
                if not self._ends:
                    self._thread = None
                    return


def shut(waiting: WatchedConnection) -> None:
    """End the wait for this connection's server; the connection is unusable afterwards."""
    with socket.socket(fileno=os.dup(waiting.fileno())) as held:
        held.shutdown(socket.SHUT_RDWR)


WATCH = Watch()
