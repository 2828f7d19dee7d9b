"""Every way out of a push: the counts and the exit code are those of what SafetyAmp really has, whatever broke.

2 means that nothing was written, 1 that something failed or is left and the rest was written.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest
from commands import in_this_process
from postgresql_server import Postgresql
from sqlalchemy import create_engine, make_url, text

from safetyamp_pipelines.cli.running import FAILED, IN_STEP, REFUSED, Ran, run_entities
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.ledger.database import ledger_address
from safetyamp_pipelines.operations.progress import LogProgress
from safetyamp_pipelines.sandbox import FaultRule, Sandbox, TargetOptions, WorldSpec

TITLES = WorldSpec(employees=30, jobs=3, vehicles=1, titles=12, present=0.0, mess=False)
AFTER = 3
"""Changes that are settled when it happens."""

pytestmark = pytest.mark.xdist_group("ways out")


@dataclass
class Company:
    """A sandbox, with what can befall a sync of it."""

    box: Sandbox
    environment: dict[str, str]

    def sql(self, *statements: str) -> None:
        """What somebody else does to the ledger's database."""
        engine = create_engine(ledger_address(self.environment["LEDGER_URL"]))
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()

    def fault(self, **rule: object) -> None:
        """SafetyAmp answers so from now on."""
        self.box.faults.add(FaultRule(system="safetyamp", method="POST", times=None, **rule))

    def pause(self) -> None:
        with Ledger.open(self.environment["LEDGER_URL"]) as ledger:
            ledger.pause("Kim", "an audit")

    def titles(self) -> int:
        return len(self.box.safetyamp.tables()["user_titles"])


@dataclass
class Trap(LogProgress):
    """Has it happen once so many changes are settled, or, before the first, once the table is read."""

    happen: Callable[[], object]
    after: int = AFTER
    has_happened: bool = field(default=False, init=False)

    def read(self, table: str, rows: int, calls: int) -> None:
        if self.after == 0 and table == "user_titles":
            self._spring()

    def of(self, entity: str, calls: Callable[[], int]) -> Callable[[int, int], None]:
        return lambda settled, _: self._spring() if settled == self.after else None

    def _spring(self) -> None:
        if not self.has_happened:
            self.has_happened = True
            self.happen()


Way = Callable[[Company], object]

WAYS: dict[str, Way] = {
    "the ledger's tables are gone": lambda one: one.sql("DROP TABLE ledger_links", "DROP TABLE ledger_changes"),
    "the lease is lost": lambda one: one.sql("UPDATE ledger_leases SET token = token + 1, holder = 'another'"),
    "the session was declared over": lambda one: one.sql("UPDATE ledger_sessions SET status = 'abandoned'"),
    "a pause": Company.pause,
    "SafetyAmp answers 503 for good": lambda one: one.fault(kind="status", status=503),
    "SafetyAmp acts and answers 504": lambda one: one.fault(kind="status", status=504, acts=True),
    "the token is revoked": lambda one: one.fault(kind="status", status=401),
    "every record is refused": lambda one: one.fault(kind="status", status=422),
    "the snapshots' disk is gone": lambda one: gone(Path(one.environment["SNAPSHOT_URL"])),
    "SIGTERM": lambda _: os.kill(os.getpid(), signal.SIGTERM),
}
BEFORE = ("the ledger's tables are gone", "a pause", "SafetyAmp answers 503 for good", "the token is revoked")


def gone(folder: Path) -> None:
    """Nothing can be written below it any more."""
    shutil.rmtree(folder)
    folder.touch()


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with Sandbox(TITLES, TargetOptions(calls=100_000), home=tmp_path / "home") as box:
        rules = tmp_path / "sync.yaml"
        rules.write_text('{"target": {"late_arrival_seconds": 1}}')
        url = {"LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db", "SNAPSHOT_URL": str(tmp_path / "snapshots")}
        url["SYNC_CONFIG"] = str(rules)
        yield Company(box, {**box.environment, **url, "SYNC_CALLS_IN_FLIGHT": "2"})


def synced(company: Company, trap: Trap) -> Ran:
    """A sync of the titles into which the trap was laid."""
    return run_entities(["titles"], push=True, environ=company.environment, progress=trap)


def judged(company: Company, ran: Ran, before: int) -> None:
    """The document and the exit code against SafetyAmp's own table."""
    document, written = ran.as_json(), company.titles() - before
    counts = document["entities"].get("titles", {})
    assert document["writes"] == counts.get("created", 0) == written, document
    is_whole = not document["errors"] and written == sum(counts.values())
    assert document["exit_code"] == (IN_STEP if is_whole else FAILED if written else REFUSED), document
    assert is_whole or document["errors"] or counts.get("failed"), "it says why"


@pytest.mark.parametrize("name", WAYS)
def test_a_push_that_something_ends_counts_what_safetyamp_has(company: Company, name: str) -> None:
    before, trap = company.titles(), Trap(lambda: WAYS[name](company))

    ran = synced(company, trap)

    assert trap.has_happened
    judged(company, ran, before)
    assert company.titles() - before >= AFTER


@pytest.mark.parametrize("name", BEFORE)
def test_a_push_that_could_not_begin_wrote_nothing_and_says_so(company: Company, name: str) -> None:
    before, trap = company.titles(), Trap(lambda: WAYS[name](company), after=0)

    ran = synced(company, trap)

    assert trap.has_happened
    judged(company, ran, before)
    assert company.titles() == before


# --- a ledger on PostgreSQL ---


@contextmanager
def restarted(server: Postgresql, _: str) -> Iterator[None]:
    """As after an update of the server."""
    server.restart()
    yield


@contextmanager
def frozen(server: Postgresql, _: str) -> Iterator[None]:
    """Until the push has ended."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def table_locked(_: Postgresql, url: str) -> Iterator[None]:
    """Somebody works on the table of changes until the push has ended."""
    engine = create_engine(ledger_address(url))
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE ledger_changes"))
        yield
    engine.dispose()


SERVER_WAYS = {
    restarted: r"^$|administrator command|closed the connection|starting up|shutting down|No such file",
    frozen: "is it frozen|timeout expired",
    table_locked: "lock timeout",
}
LONGEST = 60.0
"""Seconds of a push whose ledger waits one second for a statement and two for a connection."""


@pytest.mark.parametrize("befalls", SERVER_WAYS, ids=lambda befalls: befalls.__name__)
def test_a_push_whose_server_of_the_ledger_fails_ends_says_why_and_heals(
    company: Company, own_postgresql: Postgresql, befalls: Callable[[Postgresql, str], AbstractContextManager[None]]
) -> None:
    url = make_url(own_postgresql.database(f"ledger_{befalls.__name__}"))
    options = "-c statement_timeout=1s -c lock_timeout=500ms"
    url = url.update_query_dict({"options": options, "connect_timeout": "2"})
    company.environment["LEDGER_URL"] = url.render_as_string(False)
    before = company.titles()

    begun = time.monotonic()
    with ExitStack() as stack:
        trap = Trap(lambda: stack.enter_context(befalls(own_postgresql, company.environment["LEDGER_URL"])))
        ran = synced(company, trap)
        took = time.monotonic() - begun

    assert trap.has_happened
    judged(company, ran, before)
    said = " ".join(error["error"] for error in ran.as_json()["errors"])
    assert re.search(SERVER_WAYS[befalls], said), said
    assert took < LONGEST
    company.sql("UPDATE ledger_leases SET expires_at = since")  # it could not be given back: two minutes later
    again = synced(company, Trap(lambda: None))
    assert again.as_json()["exit_code"] == IN_STEP, again.as_json()
    assert company.titles() - before == TITLES.titles


# --- Dagster's own storage ---


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(Path(__file__).parents[2] / "dagster.yaml", home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return home


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Another process holds Dagster's files."""
    with ExitStack() as held:
        for file in home.rglob("*.db"):
            connection = held.enter_context(closing(sqlite3.connect(file, timeout=60, isolation_level=None)))
            connection.execute("BEGIN IMMEDIATE")
        yield


def test_a_locked_or_unreachable_storage_of_dagster_is_one_sentence_and_leaves_no_run(
    home: Path, company: Company, closed_port: int
) -> None:
    changes = {name: company.environment[name] for name in ("LEDGER_URL", "SNAPSHOT_URL")} | {"DAGSTER_HOME": str(home)}
    away = {**changes, "DAGSTER_POSTGRES_URL": f"postgresql://sync:hush@127.0.0.1:{closed_port}/dagster"}
    with dg.DagsterInstance.get():
        pass

    with locked(home):
        answer = in_this_process(company.box, "sync", "titles", "--json", **changes)
        checked = in_this_process(company.box, "doctor", "--json", **changes).document()["dagster home"]
    unreachable = in_this_process(company.box, "sync", "titles", "--json", **away)
    well = in_this_process(company.box, "doctor", "--json", **changes).document()["dagster home"]

    for refused, words in ((answer, "is locked"), (unreachable, "Check DAGSTER_POSTGRES_URL")):
        assert (refused.exit_code, refused.document()["exit_code"], refused.writes) == (2, 2, [])
        (error,) = refused.document()["errors"]
        assert words in error["error"]
        assert refused.told == [error["error"]], refused.stderr
        assert "hush" not in refused.stderr
    assert not checked["ok"]
    assert well == {"ok": True, "text": "can be written; the slot of pushes is free"}
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs() == []


def hold(home: Path, seconds: float) -> None:
    """Lock Dagster's files so long."""
    with locked(home):
        time.sleep(seconds)


def test_a_storage_of_dagster_that_is_locked_in_mid_push_is_waited_for(home: Path, company: Company) -> None:
    with dg.DagsterInstance.get():
        pass
    before, trap = company.titles(), Trap(lambda: threading.Thread(target=hold, args=(home, 8.0)).start())

    ran = synced(company, trap)

    assert trap.has_happened
    judged(company, ran, before)
    assert (ran.as_json()["exit_code"], company.titles() - before) == (IN_STEP, TITLES.titles)
