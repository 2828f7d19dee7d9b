"""Viewpoint Vista: one consistent read of all tables, as certified snapshots. Nothing here writes.

The queries are in queries.py, the connection in engine.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import date, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import ObjectKind
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from safetyamp_pipelines.settings.loading import trust_for_openssl
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import AnswerLost, ReadError, Refusal, RetriableCall
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.systems.viewpoint.engine import (
    TokenProvider,
    azure_token_provider,
    is_sql_server,
    source_name,
    viewpoint_engine,
)
from safetyamp_pipelines.systems.viewpoint.queries import Query, roles_read, table_name, viewpoint_queries, vista_tables
from safetyamp_pipelines.systems.viewpoint.sql_errors import Place, classified

T = TypeVar("T")
RECENT = "viewpoint/recent_jobs"
_ATTEMPTS = 3
_SNAPSHOT_ON = 1  # sys.databases.snapshot_isolation_state
_TORN = (
    "the tables were read one after another, not as of one moment: SNAPSHOT isolation is not allowed in this database "
    "(ALLOW_SNAPSHOT_ISOLATION)"
)


class ViewpointReader:
    """Reads employees, departments, jobs and recent jobs of the configured companies.

    `read_all` raises Refusal (a table, a column or a setting is wrong), FatalCall (login, database, permission),
    ReadError (a value that JSON cannot hold) or, after three attempts, RetriableCall. `sleep` waits between attempts.
    """

    def __init__(
        self,
        url: sa.URL,
        config: SyncConfig,
        *,
        token_provider: TokenProvider | None = None,
        dbapi: ModuleType | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._source = source_name(url)
        self._engine = viewpoint_engine(url, config.viewpoint, token_provider=token_provider, dbapi=dbapi)
        self._sql_server = is_sql_server(url)
        self._sleep = sleep

    def read_all(self, read_at: str) -> dict[str, Snapshot]:
        """All four snapshots by table name, read in one transaction; `read_at` is ISO 8601 UTC."""
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential_jitter(initial=1, max=10),
            retry=retry_if_exception_type(RetriableCall),
            sleep=self._sleep,
            reraise=True,
        )
        return self._within_time(lambda: attempts(self._read_all, read_at))

    def fingerprints(self, read_at: str) -> dict[str, str]:
        """The hash of each table but the recent jobs, which need the whole history of timecards; one attempt."""
        return self._within_time(lambda: self._fingerprints(read_at))

    def _fingerprints(self, read_at: str) -> dict[str, str]:
        read_on = datetime.fromisoformat(read_at).date()
        with self._connection() as connection:
            queries, notices = self._prepare(connection, read_on)
            read = [self._snapshot(connection, query, read_at, notices) for query in queries if query.table != RECENT]
        return {snapshot.table: snapshot.certificate.content_hash for snapshot in read if snapshot.certificate}

    def check(self) -> str:
        """A line for `doctor`: the tables are there, readable and not empty. Raises what `read_all` raises."""
        return self._within_time(self._check)

    def _check(self) -> str:
        with self._connection() as connection:
            queries, notices = self._prepare(connection, date.today())
            empty = [query.table for query in queries if not self._shows_rows(connection, query)]
        if empty:
            raise Refusal(
                f"Viewpoint {self._source} shows no rows of {', '.join(empty)} for companies "
                f"{list(self._config.companies)}: check companies in sync.yaml, the grants of the login, and that the "
                "tables are base tables (Vista's views hide rows from a login without data security)"
            )
        degraded = "".join(f"; {notice}" for notice in (*notices, *_notices(queries)))
        return f"Viewpoint {self._source}: {len(queries)} queries ready over {len(self._tables())} tables{degraded}"

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _read_all(self, read_at: str) -> dict[str, Snapshot]:
        read_on = datetime.fromisoformat(read_at).date()
        with self._connection() as connection:
            queries, notices = self._prepare(connection, read_on)
            return {query.table: self._snapshot(connection, query, read_at, notices) for query in queries}

    def _within_time(self, read: Callable[[], T]) -> T:
        """The result within `query_timeout_seconds`, with all its attempts. In a thread of its own, which is left alone
        when the time is over: a driver whose server stops answering waits three times as long as configured.
        """
        if not self._sql_server:
            return read()
        outcome: list[T | BaseException] = []

        def work() -> None:
            try:
                outcome.append(read())
            except BaseException as error:  # noqa: BLE001 (it belongs to the thread that waits)
                outcome.append(error)

        worker = threading.Thread(target=copy_context().run, args=(work,), daemon=True)
        worker.start()
        seconds = self._config.viewpoint.query_timeout_seconds
        worker.join(seconds)
        if not outcome:
            detail = f"no whole answer within {seconds} s (viewpoint.query_timeout_seconds in sync.yaml)"
            raise Place(self._source, "all tables").call_error(AnswerLost, detail)
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        try:
            connection = self._engine.connect()
        except sa.exc.DBAPIError as error:
            raise classified(error, Place(self._source)) from None  # the driver's text may quote the login
        with connection:
            yield connection

    @contextmanager
    def _reading(self, table: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise classified(error, Place(self._source, table)) from None  # the statement's text may quote a value

    def _tables(self) -> list[str]:
        viewpoint = self._config.viewpoint
        return [table_name(viewpoint, role) for role in roles_read(viewpoint)]

    def _prepare(self, connection: sa.Connection, read_on: date) -> tuple[tuple[Query, ...], tuple[str, ...]]:
        """The queries for the columns that are there; leaves `connection` ready to begin the one transaction."""
        viewpoint = self._config.viewpoint
        with self._reading("catalog"):
            found = sa.inspect(connection).get_multi_columns(
                schema=viewpoint.db_schema, filter_names=self._tables(), kind=ObjectKind.ANY
            )
            level, notices = self._isolation(connection)
            connection.rollback()
            if level is not None:
                connection.execution_options(isolation_level=level)
        columns = {name: [column["name"] for column in found_columns] for (_, name), found_columns in found.items()}
        tables = vista_tables(self._config, columns)
        return viewpoint_queries(self._config, tables, read_on=read_on), notices

    def _isolation(self, connection: sa.Connection) -> tuple[Any, tuple[str, ...]]:
        """The isolation level to set and the notices about it. SQLite needs none: its transaction is a snapshot."""
        if not self._sql_server:
            return None, ()
        if self._config.viewpoint.isolation_level is not None:
            return self._config.viewpoint.isolation_level, ()
        databases = sa.table("databases", sa.column("database_id"), sa.column("snapshot_isolation_state"), schema="sys")
        state = sa.select(databases.c.snapshot_isolation_state).where(databases.c.database_id == sa.func.db_id())
        if connection.execute(state).scalar() == _SNAPSHOT_ON:
            return "SNAPSHOT", ()
        return "READ COMMITTED", (_TORN,)

    def _snapshot(self, connection: sa.Connection, query: Query, read_at: str, notices: tuple[str, ...]) -> Snapshot:
        with self._reading(query.table):
            rows = connection.execute(query.statement).mappings().all()
        records = [_record(query.table, row) for row in rows]
        return Snapshot.certified(
            query.table,
            records,
            key=lambda record: [record[column] for column in query.key],
            pages=1,
            read_at=read_at,
            notices=(*query.notices, *notices),
        )

    def _shows_rows(self, connection: sa.Connection, query: Query) -> bool:
        """Whether the query gives a row; the recent jobs are only compiled, for they need the whole history."""
        recent = query.table == RECENT
        with self._reading(query.table):
            row = connection.execute(query.statement.limit(0 if recent else 1)).first()
        return recent or row is not None


def _notices(queries: tuple[Query, ...]) -> tuple[str, ...]:
    """Every notice once, in order."""
    return tuple(dict.fromkeys(notice for query in queries for notice in query.notices))


def _record(table: str, row: sa.RowMapping) -> dict[str, Any]:
    return {label: _json_value(table, label, value) for label, value in row.items()}


def _json_value(table: str, column: str, value: Any) -> Any:
    """The value as JSON: dates as ISO text (a day alone when at midnight), decimals as int or text, the rest as is."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal() if value.is_finite():
            return int(value) if value == value.to_integral_value() else str(value)
        case datetime():
            midnight = value.tzinfo is None and value.time() == datetime.min.time()
            return value.date().isoformat() if midnight else value.isoformat()
        case date():
            return value.isoformat()
    raise ReadError(table, f"column {column} holds {type(value).__name__} values, not text, numbers or dates")


def viewpoint_reader(settings: Settings) -> ViewpointReader:
    """The reader these settings describe. Raises SettingsError when one is missing, Refusal without a driver."""
    settings.require("viewpoint")
    url = settings.viewpoint_url()
    trust_for_openssl(settings.sql_ca_file)
    own_identity = is_sql_server(url) and settings.sql_auth_mode == "managed_identity" and not _has_identity(url)
    return ViewpointReader(url, settings.sync_config(), token_provider=azure_token_provider() if own_identity else None)


def _has_identity(url: sa.URL) -> bool:
    """Whether the URL has an identity of its own."""
    return url.username is not None or bool(
        {key.lower() for key in url.query} & {"odbc_connect", "authentication", "trusted_connection"}
    )
