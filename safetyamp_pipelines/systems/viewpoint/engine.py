"""The SQLAlchemy engine for Viewpoint: URL, ODBC driver, identity and what is set on each connection. No queries.

pyodbc is imported only for a SQL Server URL, so that a machine without unixODBC can run everything on SQLite.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import platform
import re
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from safetyamp_pipelines.settings.vault import azure_credential, azure_errors
from safetyamp_pipelines.sync.model.errors import AuthRefused, Refusal
from safetyamp_pipelines.sync.rules.config import ViewpointConfig
from safetyamp_pipelines.systems.viewpoint.sql_errors import Place

TokenProvider = Callable[[], str]

DEFAULT_DRIVER = "ODBC Driver 18 for SQL Server"
LOGIN_TIMEOUT_SECONDS = 15
# Shorter than the life of an Entra token (at least an hour), which the server checks at login only.
_RECYCLE_SECONDS = 1800
_SQL_COPT_SS_ACCESS_TOKEN = 1256
_APPLICATION = "safetyamp-pipelines"
# With a token the driver refuses any other identity in the string (SQLSTATE FA005). A value may stand in braces.
_IDENTITY = re.compile(
    r"(?:(?<=;)|^)\s*(?:UID|PWD|Trusted_Connection|Authentication)\s*=\s*(?:\{(?:[^}]|\}\})*\}|[^;]*);?", re.IGNORECASE
)

_ODBC_DRIVER = re.compile(r"(?:^|;)\s*driver\s*=\s*\{?([^};]+)", re.IGNORECASE)


def is_sql_server(url: sa.URL) -> bool:
    """Whether the URL leads to SQL Server."""
    return url.get_backend_name() == "mssql"


def source_name(url: sa.URL) -> str:
    """Server and database for messages, never an identity: `sql01/Viewpoint`, or the file of a SQLite URL."""
    if not is_sql_server(url):
        return url.database or "in memory"
    parts = dict(re.findall(r"(?:^|;)\s*(server|database)\s*=\s*([^;]*)", _odbc_text(url), re.IGNORECASE))
    named = {key.lower(): value for key, value in parts.items()}
    port = "" if url.port is None else f":{url.port}"
    return f"{url.host or named.get('server', 'dsn')}{port}/{url.database or named.get('database', 'default')}"


def viewpoint_engine(
    url: sa.URL,
    config: ViewpointConfig,
    *,
    token_provider: TokenProvider | None = None,
    dbapi: ModuleType | None = None,
) -> sa.Engine:
    """An engine that only reads. `dbapi` stands in for pyodbc in tests.

    Raises Refusal when no driver for SQL Server is installed or the URL is of another database.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    if not is_sql_server(url) or url.get_driver_name() != "pyodbc":
        raise Refusal(f"VIEWPOINT_URL is of {url.drivername}: give one of mssql+pyodbc or sqlite")
    return _sql_server_engine(url, config, token_provider, dbapi or _pyodbc())


def azure_token_provider() -> TokenProvider:
    """Entra tokens of this pod's or machine's own identity; built at the first use, because building may probe."""
    credential = functools.cache(azure_credential)
    return lambda: str(credential().get_token("https://database.windows.net/.default").token)


# SQLite ---------------------------------------------------------------------------------------------------------


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(_read_only(url), hide_parameters=True)

    # sqlite3 itself begins no transaction for a SELECT, so each would see another state of a changing file:
    # its own control is switched off and SQLAlchemy's begin becomes a real BEGIN.
    @sa.event.listens_for(engine, "connect")
    def leave_transactions_to_sqlalchemy(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.text_factory = lambda stored: stored.decode("utf-8", "replace")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _read_only(url: sa.URL) -> sa.URL:
    """The same file opened by URI with mode=ro, so that a wrong path is an error and not a new, empty database."""
    if not url.database or url.query.get("uri"):
        return url
    path = quote(os.path.abspath(url.database))
    return url.set(database=f"file:{path}").update_query_dict({"mode": "ro", "uri": "true"})


# SQL Server -----------------------------------------------------------------------------------------------------


def _sql_server_engine(
    url: sa.URL, config: ViewpointConfig, token_provider: TokenProvider | None, dbapi: ModuleType
) -> sa.Engine:
    # The driver manager's own pool hands out dead connections, and must be off before the first one is made.
    dbapi.pooling = False  # type: ignore[attr-defined]
    engine = sa.create_engine(
        _with_defaults(url, dbapi),
        module=dbapi,
        connect_args={"timeout": LOGIN_TIMEOUT_SECONDS},
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_SECONDS,
        pool_size=1,
        hide_parameters=True,
    )

    @sa.event.listens_for(engine, "connect")
    def set_limits(connection: Any, _record: Any) -> None:
        # SQL Server's default, where the login may not ask for it: SQLAlchemy could not restore what it does not know.
        engine.dialect.default_isolation_level = engine.dialect.default_isolation_level or "READ COMMITTED"
        connection.timeout = config.query_timeout_seconds
        # Text arrives as UTF-16, whatever its column: pyodbc raises on half a character, without table and row.
        connection.setdecoding(dbapi.SQL_CHAR, encoding="utf-16le", ctype=dbapi.SQL_WCHAR)
        for kind in (dbapi.SQL_WCHAR, dbapi.SQL_WVARCHAR, dbapi.SQL_WLONGVARCHAR):
            connection.add_output_converter(kind, _decoded)
        cursor = connection.cursor()
        cursor.execute(f"SET LOCK_TIMEOUT {int(config.lock_timeout_ms)}")
        cursor.close()

    if token_provider is not None:
        _inject_token(engine, token_provider, Place(source_name(url)))
    return engine


def _decoded(stored: bytes | None) -> str | None:
    return None if stored is None else stored.decode("utf-16le", "surrogatepass" if len(stored) % 2 == 0 else "replace")


def _inject_token(engine: sa.Engine, token_provider: TokenProvider, place: Place) -> None:
    @sa.event.listens_for(engine, "do_connect")
    def connect_with_token(_dialect: Any, _record: Any, arguments: list[str], parameters: dict[str, Any]) -> None:
        try:
            token = token_provider().encode("utf-16-le")
        except azure_errors().AzureError as error:
            advice = "check the workload identity, or set SQL_AUTH_MODE=sql_auth"
            raise place.call_error(AuthRefused, f"no Entra token ({type(error).__name__})", advice) from None
        arguments[0] = _IDENTITY.sub("", arguments[0])
        packed = struct.pack(f"<I{len(token)}s", len(token), token)
        parameters["attrs_before"] = {_SQL_COPT_SS_ACCESS_TOKEN: packed}


def _with_defaults(url: sa.URL, dbapi: ModuleType) -> sa.URL:
    """The URL with driver, read-only intent, application name and encryption; what it has itself stands."""
    if text := _odbc_text(url):
        named = _ODBC_DRIVER.search(text)
        if (
            named is None
            or named[1].strip() != DEFAULT_DRIVER
            or (driver := _driver(DEFAULT_DRIVER, dbapi)) == DEFAULT_DRIVER
        ):
            return url
        return url.update_query_dict({"odbc_connect": f"{text[: named.start(1)]}{driver}{text[named.end(1) :]}"})
    given = {key.lower() for key in url.query}
    driver = _driver(str(url.query.get("driver", DEFAULT_DRIVER)), dbapi)
    query = {**url.query, "driver": driver}
    if "freetds" in driver.lower():  # it has other keywords for all of these
        return url.set(query=query)
    defaults = {"ApplicationIntent": "ReadOnly", "APP": _APPLICATION, "Encrypt": "yes"}
    return url.set(query={**query, **{key: value for key, value in defaults.items() if key.lower() not in given}})


def _odbc_text(url: sa.URL) -> str:
    return str(url.query.get("odbc_connect", ""))


def _pyodbc() -> ModuleType:
    try:
        return importlib.import_module("pyodbc")
    except ImportError:
        raise Refusal(
            "pyodbc cannot be loaded, which VIEWPOINT_URL or SQL_SERVER needs: install unixODBC (Debian: unixodbc)"
        ) from None


def _driver(name: str, dbapi: ModuleType) -> str:
    """The registered driver of that name, or a path; the default driver may also come from Microsoft's wheel."""
    if name in dbapi.drivers() or "/" in name:
        return name
    if name == DEFAULT_DRIVER and (path := packaged_driver()) is not None:
        return str(path)
    registered = ", ".join(dbapi.drivers()) or "none"
    raise Refusal(f"the ODBC driver {name} is not installed (registered: {registered}): install it or set SQL_DRIVER")


def packaged_driver() -> Path | None:
    """Microsoft's driver 18 inside the installed `mssql-python-odbc` wheel, for this distribution and processor."""
    package = importlib.util.find_spec("mssql_python_odbc")
    if package is None or package.origin is None:
        return None
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    libraries = Path(package.origin).parent / "libs" / "linux" / _distribution() / machine / "lib"
    return next(iter(sorted(libraries.glob("libmsodbcsql-18*.so*"))), None)


def _distribution() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "debian_ubuntu"
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if family & {"rhel", "fedora", "centos"}:
        return "rhel"
    return "suse" if family & {"suse", "opensuse", "sles"} else "debian_ubuntu"
