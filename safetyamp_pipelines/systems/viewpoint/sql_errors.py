"""Errors of SQL Server and SQLite, sorted into the project's own by SQLSTATE and native code.

The driver's text never leaves here: it may quote a login or a value. What leaves is server, database, codes and advice.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass

import sqlalchemy as sa

from safetyamp_pipelines.sync.model.errors import (
    AnswerLost,
    AuthRefused,
    CallError,
    FatalCall,
    NotSent,
    Refusal,
    SyncError,
)

SYSTEM = "Viewpoint"

_LOGIN_REFUSED = frozenset({18452, 18456})
_DATABASE_REFUSED = frozenset({4060, 916})
_SELECT_DENIED = frozenset({229, 230})
_NO_SUCH_OBJECT = frozenset({207, 208})
_SNAPSHOT_OFF = frozenset({3952})
# Deadlock, lock time-out, DDL under a snapshot, a lost network, and Azure SQL's "busy, try again".
_TRANSIENT = frozenset({1205, 1222, 3961, 10053, 10054, 10060, 40197, 40501, 40613, 49918, 49919, 49920})
_TRANSIENT_STATES = frozenset({"HYT00", "HYT01", "08S01", "08001"})
_CERTIFICATE = re.compile(
    r"certificate verify failed|subject name does not match|self.signed certificate", re.IGNORECASE
)
_NO_ENCRYPTION = re.compile(r"encryption not supported", re.IGNORECASE)
_NATIVE = re.compile(r"\((-?\d+)\)")


@dataclass(frozen=True)
class Place:
    """Where a call was made: `source` is server/database without credentials; no `table` while connecting."""

    source: str
    table: str | None = None

    @property
    def connecting(self) -> bool:
        return self.table is None

    def call_error(self, kind: type[CallError], detail: str, advice: str = "") -> CallError:
        """An error of this class at this place."""
        if self.connecting:
            return kind(SYSTEM, "CONNECT", self.source, detail=detail, advice=advice)
        return kind(SYSTEM, "READ", f"{self.source} {self.table}", detail=detail, advice=advice)


def classified(error: sa.exc.DBAPIError, place: Place) -> SyncError:
    """The project's error for a driver's: Refusal, AuthRefused or FatalCall for a person, RetriableCall for a retry."""
    if isinstance(error.orig, sqlite3.Error):
        return _classified_sqlite(error.orig, place)
    arguments = error.orig.args if error.orig is not None else ()
    state = str(arguments[0]) if arguments else ""
    text = " ".join(str(argument) for argument in arguments[1:])
    return _classified_odbc(state, text, place)


def _classified_odbc(state: str, text: str, place: Place) -> SyncError:
    native = {int(number) for number in _NATIVE.findall(text)}
    codes = f"(SQLSTATE {state}, native {', '.join(str(number) for number in sorted(native)) or 'none'})"

    if _CERTIFICATE.search(text):
        advice = (
            "set SQL_CA_FILE to its CA, SQL_HOST_NAME_IN_CERTIFICATE to the name it is for, or, as a last resort, "
            "SQL_TRUST_SERVER_CERTIFICATE to on"
        )
        return place.call_error(FatalCall, f"the server's certificate is not trusted {codes}", advice)
    if _NO_ENCRYPTION.search(text):
        advice = "have it switched on at the server, or, as a last resort, give Encrypt=no in VIEWPOINT_URL"
        return place.call_error(FatalCall, f"the server offers no encryption {codes}", advice)
    if native & _LOGIN_REFUSED or state == "28000":
        return place.call_error(
            AuthRefused, f"the login was refused {codes}", "check SQL_AUTH_MODE and its credentials"
        )
    if native & _DATABASE_REFUSED or state == "08004":
        advice = "check SQL_DATABASE, and that the login is a user there"
        return place.call_error(FatalCall, f"the database cannot be opened {codes}", advice)
    if native & _SELECT_DENIED:
        advice = "grant SELECT on the table or on the columns that are read"
        return place.call_error(AuthRefused, f"permission was denied {codes}", advice)
    if native & _NO_SUCH_OBJECT:
        advice = "the tables changed while they were read, or a view is broken; run it again, then refresh the view"
        return place.call_error(FatalCall, f"an object or column is not there {codes}", advice)
    if native & _SNAPSHOT_OFF:
        return Refusal(
            f"Viewpoint {place.source} does not allow SNAPSHOT isolation {codes}: remove viewpoint.isolation_level "
            "from sync.yaml, or have ALLOW_SNAPSHOT_ISOLATION switched on"
        )
    if state in {"IM002", "IM003", "01000"}:
        return Refusal(f"Viewpoint {place.source}: the ODBC driver cannot be loaded {codes}: check SQL_DRIVER")
    if native & _TRANSIENT or state in _TRANSIENT_STATES:
        if place.connecting:
            advice = "check SQL_SERVER, the port and the network"
            return place.call_error(NotSent, f"the server cannot be reached {codes}", advice)
        return place.call_error(AnswerLost, f"the read was cut short {codes}: it may succeed later")
    return place.call_error(FatalCall, f"the server answered an error {codes}")


def _classified_sqlite(error: sqlite3.Error, place: Place) -> SyncError:
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return place.call_error(AnswerLost, f"the file is locked by a writer ({name})")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return Refusal(f"Viewpoint {place.source} cannot be opened ({name}): check that VIEWPOINT_URL names a file")
    if primary in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return Refusal(f"Viewpoint {place.source} is not a whole SQLite file ({name}): restore it")
    return place.call_error(FatalCall, f"the database answered an error ({name})")
