"""What tests of every room share: which are slow, a PostgreSQL server for each worker, scripted HTTP servers."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import settings
from once import made_once
from postgresql_server import Postgresql, administer, running
from scripted_server import FakeTime, ScriptedServer
from sqlalchemy import make_url

from safetyamp_pipelines.sandbox import Sandbox

if TYPE_CHECKING:
    import dagster as dg

LONGEST_STORY = "control room"
POSTGRESQL = {"postgresql", "own_postgresql"}
SLOW_ROOMS = {"automation", "checks", "cli", "control_room", "deployment", "desk", "hostile", "jira", "load", "oracle"}
SLOW_ROOMS |= {"reliability", "resources", "worlds"}

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 8 * 2**30
"""As much as several runs leave, which pytest keeps for whoever looks for the cause of a failure."""

# Thousands of small databases are written, each commit to the disk. The tests kill processes, not the machine: where
# memory can hold the files, no disk is waited for. Workers and the processes of the tests inherit it.
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

gc.set_threshold(200_000)  # as the command does, in whose place these processes run it

read_migrations = ScriptDirectory.from_config
migrations_of: dict[tuple[str | None, ...], ScriptDirectory] = {}


def migrations_read_once(config: Config) -> ScriptDirectory:
    """Dagster reads all its migrations for the file of every run: a tenth of what a small one costs."""
    place = tuple(config.get_main_option(name) for name in ("script_location", "version_locations"))
    if place not in migrations_of:
        migrations_of[place] = read_migrations(config)
    return migrations_of[place]


ScriptDirectory.from_config = migrations_read_once  # type: ignore[method-assign,assignment]

settings.register_profile("untimed", deadline=None)  # a machine that is busy is not a fault of the code
settings.load_profile("untimed")


def pytest_cmdline_main(config: pytest.Config) -> None:
    """However many workers `-n` asks for, the tests of one story stay with one of them; without `-n` there are none."""
    if not config.getoption("numprocesses", None) and not config.getoption("tx", None):
        config.option.dist = "no"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a server beyond the sandbox, runs Dagster or commands, or tells one long story (`xdist_group`), is
    slow; `-m "not slow"` leaves it out. Stories begin first, the longest before all others, so that none is waited for:
    pytest-xdist would begin with those of the most tests."""
    for item in items:
        if groups_of(item) or SLOW_ROOMS & set(item.path.parts) or POSTGRESQL & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: (LONGEST_STORY not in groups_of(item), not groups_of(item)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Thousands of collected tests are looked through for garbage no more.

    Some pytest-xdist do not know where some pytest keeps the name of a test, and then scatter every group."""
    gc.freeze()
    if session.config.getoption("loadgroup", False):
        scattered = [item.nodeid for item in session.items if groups_of(item) and "@" not in item.nodeid]
        if scattered:
            raise pytest.UsageError(f"this pytest-xdist does not keep groups of tests together: {scattered[0]}")


def groups_of(item: pytest.Item) -> list[str]:
    """The stories that a test belongs to."""
    return [str(mark.args[0]) for mark in item.iter_markers("xdist_group")]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of the `postgres` database of a real server of this worker's own, stopped and removed at the end."""
    with running() as server:
        yield server.url


@pytest.fixture(scope="module")
def own_postgresql() -> Iterator[Postgresql]:
    """A server that the tests of a module may restart and freeze."""
    with running() as server:
        yield server


@pytest.fixture
def new_postgresql(postgresql: str) -> Callable[[], str]:
    """Makes URLs of empty schemas of the worker's server: as separate as databases, and a hundred times cheaper."""

    def make() -> str:
        name = f"ledger_{uuid.uuid4().hex}"
        administer(postgresql, f"CREATE SCHEMA {name}")
        return make_url(postgresql).update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(False)

    return make


@pytest.fixture
def postgres_url(new_postgresql: Callable[[], str]) -> str:
    """One empty schema of the server."""
    return new_postgresql()


@pytest.fixture(scope="session")
def synced_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small world after its first sync; tests open copies of it."""
    from commands import in_this_process, small_world  # Dagster's seconds, for those who ask for this alone

    def sync(home: Path) -> None:
        with small_world(home=home) as box:
            in_this_process(box, "sync")

    return made_once("synced-world", sync, tmp_path_factory)


@pytest.fixture
def synced_box(synced_home: Path, tmp_path: Path) -> Iterator[Sandbox]:
    """The small world after its first sync, for this test alone."""
    from commands import small_world

    with small_world(home=shutil.copytree(synced_home, tmp_path / "home")) as box:
        yield box


@pytest.fixture(scope="session")
def dagster_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a Dagster in which nothing ever ran: copied, they cost a fifth of what their migrations do."""
    import dagster as dg  # a second, for those who ask for this alone

    def make(folder: Path) -> None:
        folder.mkdir()
        with dg.DagsterInstance.local_temp(str(folder)):
            pass

    return made_once("dagster-files", make, tmp_path_factory)


@pytest.fixture
def kept_instance(dagster_files: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster with files of its own, in which nothing ever ran."""
    import dagster as dg  # as above

    with dg.DagsterInstance.local_temp(str(shutil.copytree(dagster_files, tmp_path / "dagster-files"))) as one:
        yield one


@pytest.fixture
def memory_instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster in which nothing ever ran, that keeps what runs in memory: a third of what one with files costs."""
    from safetyamp_pipelines.resources.run_memory import instance_in_memory  # as above

    with instance_in_memory() as one:
        yield one


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections for as long as the test runs: held, but nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
