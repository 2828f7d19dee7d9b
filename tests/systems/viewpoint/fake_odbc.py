"""A stand-in for pyodbc that runs the Transact-SQL it is given on a SQLite file and answers catalog queries itself.

It shows what the reader sends to SQL Server (connection arguments, SET statements, types of parameters) and lets the
very text compiled for SQL Server run; what SQL Server alone would refuse it cannot tell.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


class Error(Exception):
    """As in pyodbc: args are SQLSTATE and text."""


class DatabaseError(Error):
    pass


class OperationalError(DatabaseError):
    pass


class InterfaceError(Error):
    pass


class ProgrammingError(DatabaseError):
    pass


def odbc_error(kind: type[Error], state: str, text: str, native: int) -> Error:
    """An error as the Microsoft driver words it."""
    return kind(
        state, f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{text} ({native}) (SQLExecDirectW)"
    )


class FakeOdbc:
    """The module `pyodbc`, as far as SQLAlchemy and the reader use it."""

    Error, DatabaseError, OperationalError = Error, DatabaseError, OperationalError
    InterfaceError, ProgrammingError = InterfaceError, ProgrammingError
    paramstyle, version, pooling = "qmark", "5.3.0", True
    SQL_VARCHAR, SQL_CHAR, SQL_WVARCHAR, SQL_TYPE_DATE, SQL_DECIMAL = "varchar", "char", "nvarchar", "date", "decimal"
    SQL_TYPE_TIMESTAMP, SQL_WLONGVARCHAR, SQL_WCHAR = "timestamp", "wlongvarchar", "wchar"
    NUMBER, STRING, DATETIME, BINARY = "number", "string", "datetime", "binary"

    class Cursor:
        nextset = None

    def __init__(self, path: Path, *, snapshot_state: int = 1, registered: Sequence[str] | None = None) -> None:
        self.path, self.snapshot_state = path, snapshot_state
        self.registered = ["ODBC Driver 18 for SQL Server"] if registered is None else list(registered)
        self.connected: list[tuple[str, dict[str, Any]]] = []
        self.statements: list[str] = []
        self.parameter_types: list[Any] = []
        self.time_limits: list[int] = []
        self.pooling_at_connect: list[bool] = []
        self.converters: dict[Any, Callable[[bytes | None], str | None]] = {}
        self.on_connect: Callable[[], None] = lambda: None
        self.on_select: Callable[[str], None] = lambda statement: None

    def drivers(self) -> list[str]:
        return self.registered

    def connect(self, text: str, **arguments: Any) -> FakeConnection:
        self.connected.append((text, arguments))
        self.pooling_at_connect.append(self.pooling)
        self.on_connect()
        return FakeConnection(self)


class FakeConnection:
    def __init__(self, odbc: FakeOdbc) -> None:
        self.odbc, self.autocommit = odbc, False
        self.database = sqlite3.connect(odbc.path, isolation_level=None, check_same_thread=False)
        self.add_output_converter = odbc.converters.__setitem__

    def setdecoding(self, *_: Any, **__: Any) -> None:
        """Values are Python's already."""

    @property
    def timeout(self) -> int:
        return 0

    @timeout.setter
    def timeout(self, seconds: int) -> None:
        self.odbc.time_limits.append(seconds)

    def cursor(self) -> FakeCursor:
        return FakeCursor(self.odbc, self.database)

    def add_output_converter(self, _sql_type: int, _converter: Any) -> None:
        pass

    def commit(self) -> None:
        pass

    rollback = commit

    def close(self) -> None:
        self.database.close()


class FakeCursor:
    def __init__(self, odbc: FakeOdbc, database: sqlite3.Connection) -> None:
        self.odbc, self.database = odbc, database
        self.rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        self.odbc.parameter_types.extend(sizes)

    def execute(self, statement: str, parameters: Sequence[Any] = (), *more: Any) -> FakeCursor:
        self.odbc.statements.append(statement)
        values = list(parameters) if isinstance(parameters, (list, tuple)) else [parameters, *more]
        answer = self._catalog(statement)
        if answer is not None:
            self.rows, width = answer
            self.description = [(f"c{index}",) + (None,) * 6 for index in range(width)] if width else None
            return self
        self.odbc.on_select(statement)
        cursor = self.database.execute(*_as_sqlite(statement), values)
        self.description, self.rows = cursor.description, cursor.fetchall()
        return self

    def _catalog(self, statement: str) -> tuple[list[Any], int] | None:
        answers: list[tuple[str, list[Any], int]] = [
            ("SET ", [], 0),
            ("SERVERPROPERTY", [("16.0.1000.6",)], 1),
            ("sys.system_views", [("dm_exec_sessions",)], 1),
            ("transaction_isolation_level", [("READ COMMITTED",)], 1),
            ("schema_name()", [("dbo",)], 1),
            ("test max support", [("test max support",)], 1),
            ("fn_listextendedproperty", [(1,)], 1),
            ("snapshot_isolation_state", [(self.odbc.snapshot_state,)], 1),
        ]
        for mark, rows, width in answers:
            if mark in statement:
                return rows, width
        if "extended_properties" in statement:
            return self._columns(), 18
        if "all_objects" in statement or "sys.objects" in statement or "[sys].[objects]" in statement:
            return [(table,) for table in self._tables()], 1
        return None

    def _tables(self) -> list[str]:
        return [name for (name,) in self.database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]

    def _columns(self) -> list[Any]:
        """Rows of the catalog query of SQLAlchemy's dialect: table, owner, column, type, base type and 13 more."""
        rest = (1, 30, 0, 0, None, "Latin1_General_BIN", None, None, None, None, None, None)
        return [
            (table, "dbo", column, "varchar", "varchar", *rest, number)
            for table in self._tables()
            for number, (column,) in enumerate(self.database.execute(f"SELECT name FROM pragma_table_info('{table}')"))
        ]

    def fetchone(self) -> Any:
        return self.rows.pop(0) if self.rows else None

    def fetchall(self) -> list[Any]:
        rows, self.rows = self.rows, []
        return rows

    def fetchmany(self, size: int = 1) -> list[Any]:
        rows, self.rows = self.rows[:size], self.rows[size:]
        return rows

    def close(self) -> None:
        pass


def _as_sqlite(statement: str) -> tuple[str]:
    """Transact-SQL but for TOP is SQL that SQLite reads, brackets included."""
    top = re.match(r"SELECT TOP (\d+) ", statement)
    return (statement,) if top is None else (f"{statement.replace(top[0], 'SELECT ', 1)} LIMIT {top[1]}",)
