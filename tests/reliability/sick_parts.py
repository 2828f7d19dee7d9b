"""What befalls the ledger or the machine in the middle of a push, and is over when that has ended."""

from __future__ import annotations

import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from postgresql_server import Postgresql, running
from sqlalchemy import create_engine, make_url, text

from safetyamp_pipelines.ledger.database import ledger_address

Environment = Mapping[str, str]
DISK = "5m"
"""Room for a ledger and the calls of a few runs."""
TIMES = "-c statement_timeout=1s -c lock_timeout=500ms"


@dataclass
class Trouble:
    """Where a run finds the part, how that falls ill, and how it gets well."""

    environment: Environment
    begin: Callable[[], None]
    end: Callable[[], None] = lambda: None


def _on_postgresql(environment: Environment, server: Postgresql) -> dict[str, str]:
    url = make_url(server.database(f"ledger_{uuid.uuid4().hex}"))
    url = url.update_query_dict({"options": TIMES, "connect_timeout": "2"})
    return {**environment, "LEDGER_URL": url.render_as_string(False)}


@contextmanager
def ledger_restarted(environment: Environment) -> Iterator[Trouble]:
    with running() as server:
        yield Trouble(_on_postgresql(environment, server), server.restart)


@contextmanager
def ledger_frozen(environment: Environment) -> Iterator[Trouble]:
    with running() as server:
        yield Trouble(_on_postgresql(environment, server), server.freeze, server.thaw)


@contextmanager
def ledger_locked(environment: Environment) -> Iterator[Trouble]:
    with running() as server:
        elsewhere = _on_postgresql(environment, server)
        engine = create_engine(ledger_address(elsewhere["LEDGER_URL"]))
        with engine.connect() as holder:
            lock = text("LOCK TABLE ledger_changes")
            yield Trouble(elsewhere, lambda: holder.execute(lock) and None, holder.rollback)
        engine.dispose()


@contextmanager
def disk_full(environment: Environment) -> Iterator[Trouble]:
    """A disk of memory of its own, for which one must be root; the test is skipped elsewhere."""
    with tempfile.TemporaryDirectory(prefix="full-") as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=False)
        if mounted.returncode != 0:
            pytest.skip("no disk can be mounted here, so none can be filled")
        disk = Path(folder)

        def fill() -> None:
            with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
                while filler.write(bytes(4096)):
                    pass

        try:
            elsewhere = {**environment, "LEDGER_URL": f"sqlite:///{disk}/ledger.db", "SAFETYAMP_DATA_DIR": folder}
            yield Trouble(elsewhere, fill, (disk / "filler").unlink)
        finally:
            subprocess.run(["umount", folder], check=True)


@contextmanager
def clock_set_back(environment: Environment) -> Iterator[Trouble]:
    """By a day, and it stays so."""
    with ExitStack() as back:
        yesterday = time_machine.travel(datetime.now(UTC) - timedelta(days=1), tick=True)
        yield Trouble(environment, lambda: back.enter_context(yesterday) and None)


SICK_PARTS: Mapping[str, Callable[[Environment], AbstractContextManager[Trouble]]] = {
    "ledger restarted": ledger_restarted,
    "ledger frozen": ledger_frozen,
    "ledger locked": ledger_locked,
    "disk full": disk_full,
    "clock set back": clock_set_back,
}
