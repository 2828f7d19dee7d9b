"""The ledger's database: the engine, its promises of durability, its migrations, and short transactions. No queries."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import sqlalchemy
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    MetaData,
    column,
    create_engine,
    event,
    exc,
    func,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from safetyamp_pipelines.ledger import schema
from safetyamp_pipelines.ledger.ledger_errors import LedgerConflict, LedgerUnusable, NoLedger
from safetyamp_pipelines.settings.private import private_folder

# Dagster keeps a table called alembic_version; the ledger may live in the same PostgreSQL database.
VERSION_TABLE = "ledger_version"
WRITES = "ledger_writes"
"""Execution option of an engine whose transactions write; SQLite then locks at the start of the transaction."""
LOCK_WAIT_SECONDS = 30
CONNECT_SECONDS = 10
STATEMENT_SECONDS = 120
ERASE_WAIT_SECONDS = 5
FREED = 1
"""`user_version` of a SQLite file whose freed pages may hold values that were taken out."""
SESSION: dict[str, int | str] = {
    "client_encoding": "utf8",
    "connect_timeout": CONNECT_SECONDS,
    # A server that went away without a word is noticed: by probes where we wait for it, by the kernel where we send.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Parameters of a connection to PostgreSQL, above all how long which part is waited for; LEDGER_URL's own stand."""
OPTIONS = (
    f"-c lock_timeout={LOCK_WAIT_SECONDS}s -c statement_timeout={STATEMENT_SECONDS}s"
    f" -c idle_in_transaction_session_timeout={2 * STATEMENT_SECONDS}s"
)
"""The server's own time-outs. LEDGER_URL's `options` come after them, so each that they name stands."""
MIGRATION_LOCK = 5_309_771_204_117_063_281
"""Key of the PostgreSQL advisory lock; any number no other program of the database uses."""

HASH_KEY = "keyed_hash"
"""Name of the random key of the keyed hashes, made with the ledger."""
MIGRATIONS = Path(__file__).parent / "migrations"
VERSIONS = MIGRATIONS / "versions"

Clock = Callable[[], datetime]

NONE_YET = (
    "go to the folder, or set SAFETYAMP_DATA_DIR or LEDGER_URL, of the ledger that is meant; the first "
    "`safetyamp plan` or `sync` makes one"
)
READ_ONLY = (
    "is read-only (a standby, or default_transaction_read_only is on): name the server that takes writes in LEDGER_URL"
)
READ_ONLY_STATE = "25006"
_migrating = threading.Lock()


def utc_now() -> datetime:
    """The moment, aware, in UTC."""
    return datetime.now(UTC)


def open_engine(
    url: str | URL,
    versions: Path = VERSIONS,
    table: str = VERSION_TABLE,
    models: MetaData = schema.metadata,
    *,
    create: bool = True,
    writes: bool = True,
    migrates: bool = True,
) -> Engine:
    """An engine on a migrated database: the ledger's, or one with these revisions, version table and models. With
    `create` it is made where there is none; who `writes` is refused a read-only one, and who does not `migrate` one of
    another revision.

    Raises LedgerUnusable, without the password, when that cannot be had.
    """
    address = ledger_address(url)
    if address.get_backend_name() == "sqlite":
        _refuse_another_beginning(address, create)
    engine = sqlite_engine(address) if address.get_backend_name() == "sqlite" else postgresql_engine(address)
    try:
        with translated(engine):
            if engine.dialect.name == "sqlite":
                write_ahead(str(engine.url.database))
            else:
                _refuse_unfit(engine, writes)
                if not create and revision_of(engine, table) is None:
                    raise NoLedger(f"{described(engine.url)} does not exist: {NONE_YET}")
            if not migrates:
                _refuse_another_revision(engine, versions, table)
            migrate(engine, versions, table, models)
        if engine.dialect.name == "sqlite":
            with suppress(OSError):  # a folder that became read-only keeps its ledger readable
                _beginning_of(address).touch(mode=0o600)
            with suppress(sqlite3.Error):
                erase_freed(engine, wait=0)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _refuse_another_revision(engine: Engine, versions: Path, table: str) -> None:
    found, needed = revision_of(engine, table), _revisions(versions)[-1]
    if found != needed:
        raise LedgerUnusable(
            f"{described(engine.url)} is of revision {found}, and this release needs {needed}: nothing migrates it "
            "just to look, because the release that uses it could not go on; name a restored copy of it in LEDGER_URL"
        )


def _refuse_unfit(engine: Engine, writes: bool) -> None:
    """A database of PostgreSQL that could not keep every text, or refuses writes to a process that needs to write."""
    asked = select(func.current_setting("server_encoding"), func.current_setting("transaction_read_only"))
    with engine.connect() as connection:
        encoding, read_only = connection.execute(asked).one()
    if encoding != "UTF8":
        raise LedgerUnusable(
            f"{described(engine.url)} keeps texts as {encoding}, which cannot hold them all: "
            "make a database with ENCODING 'UTF8' TEMPLATE template0, and name it in LEDGER_URL"
        )
    if writes and read_only == "on":
        raise LedgerUnusable(f"{described(engine.url)} {READ_ONLY}")


def _refuse_another_beginning(address: URL, create: bool) -> None:
    """A command that asks or decides must not do so in a new, empty ledger; and where one was, none begins unasked."""
    path = Path(address.database or "")
    if path.exists() and path.stat().st_size > 0:
        return
    state = "is empty" if path.exists() else "is missing"
    if _beginning_of(address).exists():
        raise LedgerUnusable(
            f"the ledger {path} {state}, and there was one: restore it from a backup, or delete "
            f"{_beginning_of(address)} to begin a new one, which knows of no link, pause or decision"
        )
    if not create:
        raise NoLedger(f"the ledger {path} {state}: {NONE_YET}")


def folder_of(url: str) -> Path | None:
    """The folder of a SQLite ledger; None for one of PostgreSQL."""
    address = ledger_address(url)
    return Path(address.database or "").parent if address.get_backend_name() == "sqlite" else None


def _beginning_of(address: URL) -> Path:
    """The file beside a ledger that lasts longer than it: one was begun here."""
    return Path(f"{address.database}.begun")


def ledger_address(url: str | URL) -> URL:
    """The URL with the driver the ledger uses: pysqlite or psycopg2, whatever driver was named or implied."""
    try:
        address = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise LedgerUnusable("LEDGER_URL is not a SQLAlchemy URL; give sqlite:///… or postgresql://…") from None
    match address.get_backend_name():
        case "sqlite":
            return address.set(drivername="sqlite+pysqlite")
        case "postgresql" | "postgres":
            # SQLAlchemy 2.1 takes psycopg 3 by default; psycopg2 is the one that Dagster brings.
            return address.set(drivername="postgresql+psycopg2")
        case other:
            raise LedgerUnusable(f"LEDGER_URL names {other}; the ledger needs sqlite:///… or postgresql://…")


def sqlite_engine(address: URL) -> Engine:
    """One file, shared by threads and processes of one machine. Its folder is created."""
    path = Path(address.database or "")
    if not address.database or address.database.startswith((":memory:", "file:")):
        raise LedgerUnusable("LEDGER_URL names no file; the ledger must survive the process: give sqlite:///<path>")
    try:
        private_folder(path.parent)
        if not path.exists():
            # It will hold payloads with personal data; SQLite gives its -wal and -shm files the same mode.
            path.touch(mode=0o600)
    except OSError as error:
        raise LedgerUnusable(f"the ledger {path} cannot be created: {error.strerror}") from None
    engine = create_engine(
        address, connect_args={"timeout": LOCK_WAIT_SECONDS}, json_serializer=schema.stored_json, hide_parameters=True
    )
    event.listen(engine, "connect", prepare_sqlite)
    event.listen(engine, "begin", begin_sqlite)
    return engine


def prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """Take the transactions out of the driver's hands, and make a commit mean that it is on the disk."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # With write-ahead logging, NORMAL may lose the last commits at a power failure: an intent would be forgotten.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def begin_sqlite(connection: Connection) -> None:
    """Begin reads at once and writes with the lock in hand.

    A transaction that reads first and then wants to write fails with "database is locked" without waiting when
    another process wrote in between; one that asks for the lock at its start waits its turn.
    """
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def is_busy(error: BaseException) -> bool:
    """Does another process stand in the way for a moment?"""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY


def write_ahead(path: str) -> None:
    """Switch the file to write-ahead logging, which lasts. SQLite does not wait for other openers here, so we do."""
    until = monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=LOCK_WAIT_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or monotonic() > until:
                raise
            sleep(0.02)
        else:
            return


def mark_freed(connection: Connection) -> None:
    """In the transaction that erases values: until `erase_freed` succeeded, the next one to open the file does it."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version = {FREED}")


def erase_freed(engine: Engine, wait: float = ERASE_WAIT_SECONDS) -> bool:
    """Have a SQLite file hold nothing that was overwritten or deleted: it keeps such bytes until it needs the room.
    False when another process reads it and stands in the way.

    PostgreSQL cleans up behind itself, in its own time.
    """
    if engine.dialect.name != "sqlite":
        return True
    with closing(sqlite3.connect(str(engine.url.database), timeout=wait, isolation_level=None)) as connection:
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] != FREED:
                return True
            connection.execute("VACUUM")
            if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:  # a reader needs the old pages
                return False
            connection.execute("PRAGMA user_version = 0")
        except sqlite3.OperationalError as error:
            if is_busy(error):
                return False
            raise
    return True


def postgresql_engine(address: URL, **options: Any) -> Engine:
    """A pool that notices connections which died while idle, and on which nothing waits without end; `options` are
    SQLAlchemy's. An isolation level belongs here: a connection with one of its own has it set back, by asking the
    server, when it returns to the pool."""
    # The driver takes a while to load, and a ledger of SQLite does without.
    from safetyamp_pipelines.ledger.watched import WatchedConnection

    given = address.normalized_query
    session = {name: value for name, value in SESSION.items() if name not in given}
    session["options"] = " ".join((OPTIONS, *given.get("options", ())))
    return create_engine(
        address,
        connect_args={**session, "connection_factory": WatchedConnection},
        json_serializer=schema.stored_json,
        hide_parameters=True,
        pool_pre_ping=True,
        **options,
    )


def migrate(
    engine: Engine, versions: Path = VERSIONS, table: str = VERSION_TABLE, models: MetaData = schema.metadata
) -> None:
    """Bring the database to this release's revision in one transaction; other openers wait for it.

    A fresh one is made from its models. Raises LedgerUnusable when the database was written by a later release.
    """
    known = _revisions(versions)
    if revision_of(engine, table) == known[-1]:
        return
    # Alembic's context is global to the process: two threads must not migrate at the same time.
    with _migrating, engine.execution_options(**{WRITES: True}).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        current = revision_of(connection, table)
        if current not in (None, *known):
            raise LedgerUnusable(
                f"{described(engine.url)} was written by a later release (revision {current}); "
                "install that release, or name another ledger in LEDGER_URL"
            )
        # Alembic takes a quarter of a second to load, and a ledger that is up to date does without.
        command, config = import_module("alembic.command"), import_module("alembic.config").Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("version_locations", str(versions))
        config.set_main_option("path_separator", "newline")
        config.attributes.update(connection=connection, version_table=table)
        if current is None:
            models.create_all(connection, checkfirst=False)
            if models is schema.metadata:
                connection.execute(insert(schema.keys).values(name=HASH_KEY, secret=secrets.token_bytes(32)))
            command.stamp(config, "head")
        else:
            command.upgrade(config, "head")


def _revisions(versions: Path) -> list[str]:
    return sorted(path.name[1:5] for path in versions.glob("v*.py"))


def revision_of(bind: Engine | Connection, table: str = VERSION_TABLE) -> str | None:
    """The revision that the database was brought to; None for a fresh one."""
    if not inspect(bind).has_table(table):
        return None
    with nullcontext(bind) if isinstance(bind, Connection) else bind.connect() as connection:
        return connection.scalar(select(column("version_num")).select_from(sqlalchemy.table(table)))


def described(url: URL) -> str:
    """Which ledger it is, in words that hold no user, no password and no query."""
    if url.get_backend_name() == "sqlite":
        return f"the ledger {url.database}"
    return f"the ledger {url.database} on {url.host or url.query.get('host') or 'the local socket'}"


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn the database's errors into ours. The statement's values never get into a message."""
    try:
        yield
    except exc.IntegrityError:
        raise LedgerConflict(
            f"{described(engine.url)} holds a record that contradicts the new one: "
            "another process wrote at the same time; run again"
        ) from None
    except (exc.DBAPIError, sqlite3.Error) as error:
        if getattr(getattr(error, "orig", None), "pgcode", None) == READ_ONLY_STATE:
            raise LedgerUnusable(f"{described(engine.url)} {READ_ONLY}") from None
        # SQLAlchemy does not wrap what the driver raises while a connection is prepared.
        reason = str(error.orig if isinstance(error, exc.DBAPIError) else error).strip().partition("\n")[0]
        raise LedgerUnusable(f"{described(engine.url)} cannot be used: {masked(reason, engine.url)}") from None
    except exc.TimeoutError:
        raise LedgerUnusable(f"{described(engine.url)} cannot be used: no free connection") from None


def masked(reason: str, url: URL) -> str:
    """The driver's reason without the password, should a driver ever repeat it."""
    secrets = [url.password, url.query.get("password")]
    for secret in (secret for secret in secrets if isinstance(secret, str) and secret):
        reason = reason.replace(secret, "***")
    return reason


class Store:
    """One engine and one clock, shared by the themes. Safe to use from several threads."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._clock = clock

    def now(self) -> datetime:
        """The moment by the ledger's clock: what is compared with its times has to come from here."""
        return self._clock()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One consistent view; nothing is kept."""
        with translated(self._engine), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """All or nothing, on the disk when the block is left."""
        with translated(self._engine), self._writer.begin() as connection:
            yield connection
