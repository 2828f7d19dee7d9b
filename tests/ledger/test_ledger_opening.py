"""Opening a ledger: it makes and migrates itself, or says in one sentence without secrets why it cannot."""

from __future__ import annotations

import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ledger_entries import link
from sqlalchemy import create_engine, inspect, text

from safetyamp_pipelines.ledger import Ledger, LedgerUnusable
from safetyamp_pipelines.ledger.database import VERSION_TABLE, VERSIONS, ledger_address, migrate, open_engine
from safetyamp_pipelines.ledger.schema import metadata
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.model.plan import Change


def test_a_fresh_database_becomes_a_ledger_and_stays_one(url: str) -> None:
    # given a ledger that was made and written
    with Ledger.open(url) as first:
        session = first.start_session("run-1", "jobs", "hash", {"create": 1})

    # when it is opened again
    with Ledger.open(url) as second:
        # then it still knows
        assert [found.id for found in second.sessions()] == [session]


LATER = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade():
    op.add_column("ledger_links", sa.Column("colour", sa.Text, nullable=False, server_default="red"))
"""


def test_a_later_release_brings_a_ledger_up_to_date_once_with_all_it_holds(url: str, tmp_path: Path) -> None:
    # given a ledger that this release made and wrote, and a release with one more revision
    with Ledger.open(url) as ledger:
        session = ledger.start_session("run-1", "employees", "hash", {})
        link(ledger, "employees", "100482", "aB3dE")
    later = shutil.copytree(VERSIONS, tmp_path / "versions", ignore=shutil.ignore_patterns("__pycache__"))
    (later / "v0002_colours.py").write_text(LATER)

    # when the later release only looks at it, it is refused and the ledger stays as it is
    with pytest.raises(LedgerUnusable, match="of revision 0001, and this release needs 0002"):
        open_engine(url, later, migrates=False)
    Ledger.open(url).close()

    # when the later release opens it, and opens it again
    engine = create_engine(ledger_address(url))
    for _ in range(2):
        migrate(engine, later)

    # then all of it is there, and what is new as well
    with engine.connect() as connection:
        links = connection.execute(text("SELECT source_key, colour FROM ledger_links")).all()
        sessions = connection.execute(text("SELECT id FROM ledger_sessions")).scalars().all()
        revision = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    engine.dispose()
    assert (links, sessions, revision) == ([("100482", "red")], [session], "0002")

    # and this release refuses what the later one wrote
    with pytest.raises(LedgerUnusable, match=r"later release \(revision 0002\)"):
        Ledger.open(url)


def test_models_and_migrations_agree(url: str) -> None:
    # given a database at the newest revision
    engine = open_engine(url)

    # when it is compared with the models
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()

    # then there is nothing left to migrate
    assert differences == []


def test_the_ledger_can_live_beside_dagsters_own_tables(url: str) -> None:
    # given a database in which another program keeps its own Alembic version
    other = create_engine(ledger_address(url)) if url.startswith("postgresql") else open_engine(url)
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of another program')"))

    # when the ledger is opened in it
    Ledger.open(url).close()

    # then the other program's version is untouched, and every table of ours bears our name
    with other.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "of another program"
    tables = set(inspect(other).get_table_names()) - {"alembic_version"}
    other.dispose()
    assert tables == {*metadata.tables, VERSION_TABLE}
    assert all(name.startswith("ledger_") for name in tables)


def test_the_ledger_of_a_later_release_is_refused(url: str) -> None:
    # given a database that a later release migrated
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()

    # when this release opens it, then it says so and touches nothing
    with pytest.raises(LedgerUnusable, match=r"later release \(revision 9999\)"):
        Ledger.open(url)


def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    # given a database in which the last table of the migration is already taken
    engine = open_engine(url)
    metadata.drop_all(engine)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
        connection.execute(text("CREATE TABLE ledger_keys (other TEXT)"))

    # when the ledger is opened
    with pytest.raises(LedgerUnusable, match="ledger_keys"):
        Ledger.open(url)

    # then the tables made before the failure are gone again
    assert set(inspect(engine).get_table_names()) <= {"ledger_keys"}
    engine.dispose()


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///ledger.db", "sqlite+pysqlite"),
        ("sqlite+aiosqlite:///ledger.db", "sqlite+pysqlite"),
        ("postgresql://host/ledger", "postgresql+psycopg2"),
        ("postgres://host/ledger", "postgresql+psycopg2"),
        ("postgresql+psycopg://host/ledger", "postgresql+psycopg2"),
    ],
)
def test_the_driver_is_the_ledgers_choice(given: str, driver: str) -> None:
    assert ledger_address(given).drivername == driver


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mysql://root:hunter2@host/ledger", "names mysql"),
        ("not a url hunter2", "not a SQLAlchemy URL"),
        ("postgresql://root:hunter2@host:port/ledger", "not a SQLAlchemy URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:ledger?mode=memory&uri=true", "names no file"),
    ],
)
def test_a_url_that_cannot_hold_a_ledger_is_refused(given: str, said: str) -> None:
    with pytest.raises(LedgerUnusable, match=said) as refused:
        Ledger.open(given)
    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("a diary, not a database; " * 100)
    with pytest.raises(LedgerUnusable, match="not a database"):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.db")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(LedgerUnusable, match="cannot be created"):
        Ledger.open(f"sqlite:///{tmp_path}/taken/ledger.db")


def test_an_unreachable_server_is_refused_without_the_password() -> None:
    # given a port that is taken, and on which nobody listens
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]

        # when the ledger is opened there, with a password in either place where one can be
        for url in (
            f"postgresql://robot:hunter2@127.0.0.1:{port}/ledger",
            f"postgresql://robot@127.0.0.1:{port}/ledger?password=hunter2",
        ):
            with pytest.raises(Refusal) as refused:
                Ledger.open(url)

            # then the message names database and host, and no password
            assert "ledger on 127.0.0.1" in str(refused.value)
            assert "hunter2" not in str(refused.value)


def test_an_error_in_the_middle_names_no_value(ledger: Ledger, session: int, change: Callable[..., Change]) -> None:
    # given a ledger whose table vanished under it
    with ledger._engine.begin() as connection:
        connection.execute(text("DROP TABLE ledger_changes"))

    # when an intent with a person's values is written
    with pytest.raises(LedgerUnusable) as refused:
        ledger.intend(session, change(after={"first_name": "Marked-Value"}))

    # then neither the refusal nor the error behind it repeats them
    assert "ledger_changes" in str(refused.value)
    assert "Marked-Value" not in f"{refused.value!r} {refused.value.__context__!r}"


def test_a_sqlite_ledger_keeps_its_promises_on_every_connection(new_sqlite: Callable[[], str]) -> None:
    engine = open_engine(new_sqlite())
    with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            pragmas = {
                name: connection.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            # synchronous 2 is FULL: a commit that returned survives a power failure
            assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    engine.dispose()


def test_a_new_sqlite_ledger_is_its_owners_alone(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/deep/down/ledger.db") as ledger:
        ledger.start_session("run-1", "jobs", "hash", {})
        files = list((tmp_path / "deep/down").iterdir())
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
