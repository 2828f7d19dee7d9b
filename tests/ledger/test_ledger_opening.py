"""Opening a ledger: it makes and migrates itself, or says in one sentence without secrets why it cannot."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from safetyamp_pipelines.ledger import Intent, Ledger, LedgerUnusable
from safetyamp_pipelines.ledger.database import VERSION_TABLE, ledger_address, open_engine
from safetyamp_pipelines.ledger.schema import Base
from safetyamp_pipelines.sync.model.errors import Refusal


def test_a_fresh_database_becomes_a_ledger_and_stays_one(url: str) -> None:
    # given a ledger that was made and written
    with Ledger.open(url) as first:
        session = first.start_session("run-1", "jobs", "hash", {"create": 1})

    # when it is opened again
    with Ledger.open(url) as second:
        # then it still knows
        assert [found.id for found in second.sessions()] == [session]


def test_models_and_migrations_agree(url: str) -> None:
    # given a database made by the migrations alone
    engine = open_engine(url)

    # when it is compared with the models
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        )
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()

    # then there is nothing left to migrate
    assert differences == []


def test_a_ledger_of_the_first_release_is_brought_up_to_date_with_all_it_holds(url: str) -> None:
    # given a ledger that the first release made and wrote
    migrated_to("0001", url)
    engine = create_engine(ledger_address(url))
    at = "2026-11-20 10:00:00.000000" if url.startswith("sqlite") else "2026-11-20 10:00:00+00"
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO ledger_sessions (id, run_id, entity, plan_hash, planned, status, started_at)"
            " VALUES (1, 'run-1', 'employees', 'hash', '{}', 'running', :at)",
            "INSERT INTO ledger_failures (entity, source_key, action, payload_hash, fields, first_seen, last_seen,"
            " attempts, expires_at, state)"
            " VALUES ('employees', '100482', 'create', 'p1', '{}', :at, :at, 3, :at, 'dismissed')",
            "INSERT INTO ledger_links (entity, source_key, target_id, natural_key, pushed, not_taken, updated_at)"
            " VALUES ('employees', '100482', '\"aB3dE\"', '100482', '{}', '{}', :at)",
        ):
            connection.execute(text(statement), {"at": at})
    engine.dispose()

    # when this release opens it, then all of it is there
    with Ledger.open(url) as ledger:
        failure = ledger.failures("employees", now=datetime(2026, 11, 20, tzinfo=UTC))["100482"]
        assert (failure.attempts, failure.state, failure.cause) == (3, "dismissed", {})
        assert ledger.links("employees")["100482"].target_id == "aB3dE"
        assert ledger.open_session("employees") is not None

        # and what is new can be used
        ledger.approve("hash", "employees", "h.reyes", "reviewed", timedelta(days=1))

    # and it is brought up to date once
    with Ledger.open(url) as ledger:
        assert ledger.approval("hash") is not None


def migrated_to(revision: str, url: str) -> None:
    """A database as an earlier release left it."""
    config = Config()
    config.set_main_option("script_location", "safetyamp_pipelines.ledger:migrations")
    address = ledger_address(url)
    if address.get_backend_name() == "sqlite":
        Path(str(address.database)).parent.mkdir(parents=True)
    engine = create_engine(address)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


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
    assert tables == {*Base.metadata.tables, VERSION_TABLE}
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
    Base.metadata.drop_all(engine)
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


def test_an_error_in_the_middle_names_no_value(ledger: Ledger, session: int, intent: Callable[..., Intent]) -> None:
    # given a ledger whose table vanished under it
    with ledger._engine.begin() as connection:
        connection.execute(text("DROP TABLE ledger_changes"))

    # when an intent with a person's values is written
    with pytest.raises(LedgerUnusable) as refused:
        ledger.intend(session, intent(payload={"first_name": "Marked-Value"}))

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
