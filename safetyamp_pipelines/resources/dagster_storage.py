"""Where Dagster keeps runs and events, named in dagster.yaml: SQLite, or PostgreSQL if DAGSTER_POSTGRES_URL is set."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import Any

import dagster as dg
from dagster._config.config_schema import UserConfigSchema
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.errors import DagsterHomeNotSetError
from dagster._core.scheduler.instigation import SensorInstigatorData
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, _event_logs_directory
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safetyamp_pipelines.ledger.database import masked, postgresql_engine
from safetyamp_pipelines.operations.alerts.memory import Memory
from safetyamp_pipelines.resources.dead_runs import described, holders
from safetyamp_pipelines.resources.keys import ALERT_SENSOR, OWNER_SENSOR, POOL
from safetyamp_pipelines.resources.run_memory import instance_in_memory
from safetyamp_pipelines.settings.loading import dagster_home, dagster_postgres_url, has_dagster_home
from safetyamp_pipelines.settings.private import private_folder
from safetyamp_pipelines.sync.model.errors import Refusal

DOCTOR = "doctor"
OWN_FOLDERS = ("history", "history/runs", "schedules", "storage")
"""Where Dagster keeps runs, events, ticks and output of steps below its home, and would let everybody read."""
DRIVER = "postgresql+psycopg2"
"""SQLAlchemy 2.1 takes psycopg 3 for a bare `postgresql`, and Dagster ships psycopg2."""
LOCK_SECONDS = 10.0
"""How long another process may hold Dagster's SQLite files, whose transactions take milliseconds."""


class StorageByEnvironment(DagsterSqliteStorage):
    """SQLite below Dagster's home, unless DAGSTER_POSTGRES_URL is set: dagster.yaml itself knows no conditions, and
    fails on a variable that is not set."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Nothing: the environment decides."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, _inst_data: ConfigurableClassData | None, _config_value: Mapping[str, Any]
    ) -> DagsterStorage:
        """The storage itself. Dagster only asks that this class is one, not that it makes its own kind."""
        url = dagster_postgres_url()
        if url is None:
            for name in ("", *OWN_FOLDERS):
                private_folder(dagster_home() / name)
            return _HomeStorage.from_local(str(dagster_home()))
        from dagster_postgres.storage import DagsterPostgresStorage  # brings psycopg2

        return DagsterPostgresStorage(url.set(drivername=DRIVER).render_as_string(hide_password=False))


class _HomeStorage(DagsterSqliteStorage):
    """Dagster's, with the event log below."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = _EventFiles(_event_logs_directory(base_dir))


class _EventFiles(SqliteEventLogStorage):
    """Dagster's event log, a file for each run, with one engine a file. Dagster makes one for every statement, which
    is then compiled again: a third of what a sync of a small company costs."""

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        engine = _engine(self.conn_string_for_shard(shard))
        with self._db_lock:
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the index has it: asked at every evaluation of a check, also while the lock is held."""
        engine = _engine(self.conn_string_for_shard(INDEX_SHARD_NAME))
        with engine.connect() as connection:
            return engine.dialect.has_table(connection, table_name)


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    """It keeps no connection open, so it knows nothing of a file that could change."""
    return create_engine(url, poolclass=NullPool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})


def instance_of_home() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME. Raises Refusal, within seconds, when there is one that cannot be used."""
    try:
        if has_dagster_home():
            _ask_storage()
        return dg.DagsterInstance.get()
    except DagsterHomeNotSetError:
        return instance_in_memory()
    except (dg.DagsterError, SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise Refusal(storage_refusal(error)) from error


def ask_home() -> str:
    """What Dagster's home says to somebody who wants the slot of pushes for a moment; who has it, where it is taken.

    Raises Refusal when the home cannot be opened or written."""
    with instance_of_home() as instance:
        if taken := sorted(holders(instance)):
            who = "; ".join(described(instance, run_id) for run_id in taken)
            return f"can be written; the slot of pushes is held by {who}"
        instance.event_log_storage.claim_concurrency_slot(POOL, DOCTOR, DOCTOR)
        instance.event_log_storage.free_concurrency_slots_for_run(DOCTOR)
        return "can be written; the slot of pushes is free"


def _ask_storage() -> None:
    """Whether Dagster's storage answers and takes a write: Dagster itself would try for a minute, with warnings."""
    if (url := dagster_postgres_url()) is not None:
        engine = postgresql_engine(url.set(drivername=DRIVER))
        try:
            engine.connect().close()
        finally:
            engine.dispose()
        return
    for file in (dagster_home() / "history" / name for name in ("runs.db", "runs/index.db")):
        if file.exists():
            with closing(sqlite3.connect(file, timeout=LOCK_SECONDS)) as connection:
                connection.execute("BEGIN IMMEDIATE")


def storage_refusal(error: BaseException) -> str:
    """One sentence for a storage of Dagster's that fails: whose fault it is, and what to do."""
    kinds = (SQLAlchemyError, sqlite3.Error, OSError)
    while not isinstance(error, kinds) and (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().partition("\n")[0]
    if not isinstance(error, SQLAlchemyError | sqlite3.Error):
        return f"Dagster's home cannot be opened: {reason}. Correct DAGSTER_HOME or its dagster.yaml, or unset it"
    if (url := dagster_postgres_url()) is not None:
        return f"Dagster's database on {url.host} cannot be used: {masked(reason, url)}. Check DAGSTER_POSTGRES_URL"
    return f"Dagster's storage in {dagster_home()} cannot be used: {reason}. Is another process holding it?"


def alert_memory(instance: dg.DagsterInstance) -> Memory | None:
    """What the sensors that notify people remember, from their cursors; None when none ever ran."""
    memories: dict[str, Memory] = {}
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        name, data = state.instigator_name, state.instigator_data
        if name in (ALERT_SENSOR, OWNER_SENSOR) and isinstance(data, SensorInstigatorData) and data.cursor:
            memory = Memory.load(data.cursor)
            if name not in memories or memory.after > memories[name].after:
                memories[name] = memory
    if not memories:
        return None
    channels = {name: state for _, memory in sorted(memories.items()) for name, state in memory.channels.items()}
    return Memory(max(memory.after for memory in memories.values()), channels)
