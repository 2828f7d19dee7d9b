"""The reader against SQL Server's driver, by a stand-in: what it connects with, sets, reads and makes of errors."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from azure.core.exceptions import ClientAuthenticationError
from fake_odbc import Error, FakeOdbc, InterfaceError, OperationalError, ProgrammingError, odbc_error
from viewpoint_world import CONTRACT, DEPARTMENT, EMPLOYEE, JOB, READ_AT, config, work, write_viewpoint

from safetyamp_pipelines.operations.diagnosis import diagnose
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import SettingsError
from safetyamp_pipelines.sync.model.errors import (
    AnswerLost,
    AuthRefused,
    CallError,
    FatalCall,
    NotSent,
    Refusal,
    SyncError,
)
from safetyamp_pipelines.systems.viewpoint.engine import packaged_driver, source_name
from safetyamp_pipelines.systems.viewpoint.reader import ViewpointReader, viewpoint_reader

URL = "mssql+pyodbc://reader:s3cret@sql01:1433/Viewpoint"


@pytest.fixture
def odbc(tmp_path: Path) -> FakeOdbc:
    """A driver in front of a small Viewpoint."""
    path = tmp_path / "viewpoint.db"
    days = [work("24113.", "2026-11-01"), work("24113. ", "2026-11-05"), work("gone", "2026-11-09")]
    write_viewpoint(
        path, {"bPREH": [EMPLOYEE], "bPRDP": [DEPARTMENT], "bJCJM": [JOB], "bJCCM": [CONTRACT], "bPRTH": days}
    )
    return FakeOdbc(path)


def reader(odbc: FakeOdbc, url: str = URL, token: Any = None, **sections: Any) -> ViewpointReader:
    return ViewpointReader(
        sa.make_url(url), config(**sections), dbapi=odbc, token_provider=token, sleep=lambda seconds: None
    )


def test_the_text_compiled_for_sql_server_reads_the_same_as_sqlite(odbc: FakeOdbc) -> None:
    over_odbc = reader(odbc).read_all(READ_AT)
    on_sqlite = ViewpointReader(sa.URL.create("sqlite", database=str(odbc.path)), config()).read_all(READ_AT)
    assert over_odbc == on_sqlite
    assert over_odbc["viewpoint/recent_jobs"].records[0]["LastWorked"] == "2026-11-05"


# Connecting -----------------------------------------------------------------------------------------------------


def test_it_connects_read_only_encrypted_named_and_with_limits(odbc: FakeOdbc) -> None:
    reader(odbc, viewpoint={"query_timeout_seconds": 7, "lock_timeout_ms": 900}).read_all(READ_AT)

    ((text, arguments),) = odbc.connected
    assert text.split(";") == [
        "DRIVER={ODBC Driver 18 for SQL Server}",
        *("Server=sql01,1433", "Database=Viewpoint", "UID=reader", "PWD=s3cret"),
        *("ApplicationIntent=ReadOnly", "APP=safetyamp-pipelines", "Encrypt=yes"),
    ]
    assert arguments == {"timeout": 15}
    assert odbc.time_limits == [7]
    assert "SET LOCK_TIMEOUT 900" in odbc.statements
    assert odbc.pooling_at_connect == [False]


def test_what_the_url_says_itself_stands(odbc: FakeOdbc) -> None:
    query = "?encrypt=strict&applicationintent=ReadWrite&APP=mine&HostNameInCertificate=sql01.example.com"
    reader(odbc, URL + query).read_all(READ_AT)
    ((text, _),) = odbc.connected
    assert text.lower().count("encrypt=") == 1
    assert {"encrypt=strict", "applicationintent=ReadWrite", "APP=mine"} <= set(text.split(";"))


def test_a_certificate_is_never_waved_through_unasked(odbc: FakeOdbc) -> None:
    reader(odbc).read_all(READ_AT)
    assert "TrustServerCertificate" not in odbc.connected[0][0]
    reader(odbc, URL + "?TrustServerCertificate=yes").read_all(READ_AT)
    assert "TrustServerCertificate=yes" in odbc.connected[1][0]


def test_a_whole_odbc_string_is_passed_untouched(odbc: FakeOdbc) -> None:
    text = "DRIVER={FreeTDS};SERVER=sql01;PORT=1433;DATABASE=Viewpoint;UID=reader;PWD=s3cret;TDS_Version=7.4"
    url = sa.URL.create("mssql+pyodbc", query={"odbc_connect": text})
    ViewpointReader(url, config(), dbapi=odbc).read_all(READ_AT)
    assert odbc.connected[0][0] == text
    assert source_name(url) == "sql01/Viewpoint"


def test_freetds_gets_none_of_the_microsoft_keywords(odbc: FakeOdbc) -> None:
    odbc.registered = ["FreeTDS"]
    reader(odbc, URL + "?driver=FreeTDS").read_all(READ_AT)
    assert "ApplicationIntent" not in odbc.connected[0][0]


def test_the_packaged_driver_stands_in_for_the_registered_one(odbc: FakeOdbc) -> None:
    odbc.registered = []
    path = packaged_driver()
    assert path is not None
    assert path.name.startswith("libmsodbcsql-18")
    reader(odbc).read_all(READ_AT)
    assert odbc.connected[0][0].startswith(f"DRIVER={{{path}}};")


def test_an_absent_driver_is_refused_naming_the_setting(odbc: FakeOdbc) -> None:
    with pytest.raises(Refusal, match=r"driver Oracle is not installed \(registered: ODBC Driver 18 .*SQL_DRIVER"):
        reader(odbc, URL + "?driver=Oracle")


def test_without_unixodbc_only_sql_server_is_refused(monkeypatch: pytest.MonkeyPatch, odbc: FakeOdbc) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", None)
    with pytest.raises(Refusal, match="install unixODBC"):
        ViewpointReader(sa.make_url(URL), config())
    on_sqlite = ViewpointReader(sa.URL.create("sqlite", database=str(odbc.path)), config())
    assert on_sqlite.check().endswith("5 tables")


# Managed identity -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("mssql+pyodbc://sql01/Viewpoint", id="no login, so Trusted_Connection is added"),
        pytest.param("mssql+pyodbc://left:over@sql01/Viewpoint", id="a login left over"),
        pytest.param("mssql+pyodbc://left:o%3Bv%7Der%3BEncrypt%3Dno@sql01/Viewpoint", id="a password in braces"),
        pytest.param("mssql+pyodbc://sql01/Viewpoint?Authentication=ActiveDirectoryMSI", id="another way"),
    ],
)
def test_a_token_is_the_only_identity_handed_over(odbc: FakeOdbc, url: str) -> None:
    reader(odbc, url, token=lambda: "tökèn").read_all(READ_AT)

    ((text, arguments),) = odbc.connected
    keywords = [part.partition("=")[0].lower() for part in text.split(";")]
    assert not {"uid", "pwd", "trusted_connection", "authentication"} & set(keywords)
    assert {"driver", "server", "database", "encrypt"} <= set(keywords)
    assert "Encrypt=no" not in text
    raw = "tökèn".encode("utf-16-le")
    assert arguments["attrs_before"] == {1256: struct.pack("<I", len(raw)) + raw}


def test_each_new_connection_asks_for_a_token_that_is_still_young(odbc: FakeOdbc) -> None:
    asked: list[int] = []
    viewpoint = reader(odbc, token=lambda: str(asked.append(1)))
    viewpoint.read_all(READ_AT)
    viewpoint.read_all(READ_AT)
    assert len(odbc.connected) == len(asked) == 1
    viewpoint.close()
    viewpoint.read_all(READ_AT)
    assert len(odbc.connected) == len(asked) == 2


def test_no_token_is_one_clear_error(odbc: FakeOdbc) -> None:
    def refuse() -> str:
        raise ClientAuthenticationError("AADSTS700016: application 1234 not found")

    with pytest.raises(AuthRefused, match=r"no Entra token \(ClientAuthenticationError\)") as error:
        reader(odbc, token=refuse).read_all(READ_AT)
    assert "SQL_AUTH_MODE" in str(diagnose(error.value))
    assert "1234" not in str(error.value)
    assert odbc.connected == []


@pytest.mark.parametrize(
    ("environment", "token"),
    [
        ({"SQL_SERVER": "sql01", "SQL_DATABASE": "V", "SQL_AUTH_MODE": "managed_identity"}, True),
        ({"SQL_SERVER": "sql01", "SQL_DATABASE": "V", "SQL_USERNAME": "u", "SQL_PASSWORD": "p"}, False),
        ({"VIEWPOINT_URL": "mssql+pyodbc://sql01/V", "SQL_AUTH_MODE": "managed_identity"}, True),
        ({"VIEWPOINT_URL": "mssql+pyodbc://u:p@sql01/V", "SQL_AUTH_MODE": "managed_identity"}, False),
        ({"VIEWPOINT_URL": "mssql+pyodbc://sql01/V"}, False),
    ],
)
def test_the_settings_decide_who_logs_in(
    odbc: FakeOdbc, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], token: bool
) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", odbc)  # type: ignore[arg-type]
    viewpoint = viewpoint_reader(load_settings(environment, env_file=None))
    listeners = viewpoint._engine.dialect.dispatch.do_connect
    assert bool(len(list(listeners))) is token
    assert odbc.connected == []


# One consistent read --------------------------------------------------------------------------------------------


def levels(odbc: FakeOdbc) -> list[str]:
    """The isolation levels set, and where the reads of data stand among them."""
    marks = [
        "READ" if text.startswith("SELECT [b") else text.removeprefix("SET TRANSACTION ISOLATION LEVEL ")
        for text in odbc.statements
        if text.startswith(("SELECT [b", "SET TRANSACTION"))
    ]
    return [mark for index, mark in enumerate(marks) if index == 0 or marks[index - 1] != mark]


def test_snapshot_isolation_is_used_where_the_database_allows_it(odbc: FakeOdbc) -> None:
    snapshots = reader(odbc).read_all(READ_AT)
    assert levels(odbc) == ["SNAPSHOT", "READ", "READ COMMITTED"]  # the last by the pool, for the next user
    assert all(snapshot.notices == () for snapshot in snapshots.values())


def test_without_snapshot_isolation_the_read_says_it_was_not_of_one_moment(odbc: FakeOdbc) -> None:
    odbc.snapshot_state = 0
    snapshots = reader(odbc).read_all(READ_AT)
    assert levels(odbc)[:2] == ["READ COMMITTED", "READ"]
    assert all("ALLOW_SNAPSHOT_ISOLATION" in snapshot.notices[0] for snapshot in snapshots.values())
    assert "ALLOW_SNAPSHOT_ISOLATION" in reader(odbc).check()


def test_a_configured_isolation_level_is_used_without_asking(odbc: FakeOdbc) -> None:
    reader(odbc, viewpoint={"isolation_level": "SERIALIZABLE"}).read_all(READ_AT)
    assert levels(odbc)[:2] == ["SERIALIZABLE", "READ"]
    assert not any("sys.databases" in text for text in odbc.statements)


# Errors ---------------------------------------------------------------------------------------------------------

TIMEOUT = (OperationalError, "HYT00", "Login timeout expired for s3cret", 0)
LOST = (OperationalError, "08S01", "TCP Provider: Error code 0x68", 104)
DEADLOCK = (ProgrammingError, "40001", "Transaction (Process ID 52) was deadlocked", 1205)
CERTIFICATE = (OperationalError, "08001", "SSL routines::certificate verify failed:unable to get local issuer", -1)

CONNECTING = [
    pytest.param((InterfaceError, "28000", "Login failed for user 'reader'.", 18456), AuthRefused, "SQL_AUTH_MODE", 1),
    pytest.param((ProgrammingError, "42000", "Login failed for user 'reader'.", 18456), AuthRefused, "login was", 1),
    pytest.param((InterfaceError, "28000", "Login failed, token-identified", 18456), AuthRefused, "18456", 1),
    pytest.param((ProgrammingError, "42000", "Cannot open database s3cret", 4060), FatalCall, "SQL_DATABASE", 1),
    pytest.param((OperationalError, "08004", "Server rejected", 0), FatalCall, "SQL_DATABASE", 1),
    pytest.param(CERTIFICATE, FatalCall, "certificate is not trusted", 1),
    pytest.param((InterfaceError, "IM002", "Data source name not found", 0), Refusal, "SQL_DRIVER", 1),
    pytest.param(TIMEOUT, NotSent, "SQL_SERVER, the port and the network", 3),
    pytest.param((OperationalError, "08001", "server was not found", 53), NotSent, "cannot be reached", 3),
    pytest.param((OperationalError, "42000", "Database not currently available", 40613), NotSent, "40613", 3),
]

READING = [
    pytest.param(
        (ProgrammingError, "42000", "SELECT denied on column 'Email'", 230), AuthRefused, "SELECT on the table", 1
    ),
    pytest.param((ProgrammingError, "42S02", "Invalid object name 'bPREH'", 208), FatalCall, "not there", 1),
    pytest.param((ProgrammingError, "42000", "Snapshot isolation failed", 3952), Refusal, "isolation_level", 1),
    pytest.param((ProgrammingError, "22003", "Overflow near s3cret", 8115), FatalCall, "8115", 1),
    pytest.param((OperationalError, "HYT00", "Query timeout expired", 0), AnswerLost, "cut short", 3),
    pytest.param(DEADLOCK, AnswerLost, "1205", 3),
    pytest.param((ProgrammingError, "42000", "Lock request time out", 1222), AnswerLost, "1222", 3),
    pytest.param(LOST, AnswerLost, "08S01", 3),
]


def read_error(odbc: FakeOdbc) -> SyncError:
    with pytest.raises(SyncError) as error:
        reader(odbc).read_all(READ_AT)
    assert not {"s3cret", "reader", "Email'"} & set(str(error.value).split()), "no credential and no driver's text"
    assert error.value.__suppress_context__
    assert error.value.__cause__ is None
    return error.value


@pytest.mark.parametrize(("raised", "kind", "says", "attempts"), CONNECTING)
def test_errors_of_connecting(odbc: FakeOdbc, raised: Any, kind: type[Error], says: str, attempts: int) -> None:
    def fail() -> None:
        raise odbc_error(*raised)

    odbc.on_connect = fail
    error = read_error(odbc)
    assert type(error) is kind
    assert says in str(diagnose(error))
    assert "sql01:1433/Viewpoint" in str(error)
    assert len(odbc.connected) == attempts


@pytest.mark.parametrize(("raised", "kind", "says", "attempts"), READING)
def test_errors_of_reading(odbc: FakeOdbc, raised: Any, kind: type[Error], says: str, attempts: int) -> None:
    tried: list[str] = []

    def fail(statement: str) -> None:
        if "[bPRDP]" in statement:
            tried.append(statement)
            raise odbc_error(*raised)

    odbc.on_select = fail
    error = read_error(odbc)
    assert type(error) is kind
    assert says in str(diagnose(error))
    assert "sql01:1433/Viewpoint" in str(error)
    assert "viewpoint/departments" in str(error) or not isinstance(error, CallError)
    assert len(tried) == attempts


def test_a_transient_error_repeats_the_whole_read_so_that_it_stays_of_one_moment(odbc: FakeOdbc) -> None:
    failures = iter([odbc_error(*DEADLOCK), odbc_error(*LOST)])

    def fail_twice(statement: str) -> None:
        if "[bPRTH]" in statement and (error := next(failures, None)) is not None:
            raise error

    odbc.on_select = fail_twice
    snapshots = reader(odbc).read_all(READ_AT)
    assert [len(snapshot.records) for snapshot in snapshots.values()] == [1, 1, 1, 1]
    assert sum(text.startswith("SELECT [bPREH]") for text in odbc.statements) == 3


def test_a_connection_that_died_in_the_pool_is_replaced_unnoticed(odbc: FakeOdbc) -> None:
    viewpoint = reader(odbc)
    viewpoint.read_all(READ_AT)
    dead = [True]

    def die_once(statement: str) -> None:
        if statement == "SELECT 1" and dead and dead.pop():
            raise odbc_error(*LOST)

    odbc.on_select = die_once
    assert len(viewpoint.read_all(READ_AT)) == 4
    assert len(odbc.connected) == 2


# Set up from what is written ------------------------------------------------------------------------------------


def connected(odbc: FakeOdbc, **environ: str) -> str:
    """The text that the driver is given under these settings."""
    settings = load_settings({"SQL_USERNAME": "reader", "SQL_PASSWORD": "s3cret", **environ}, env_file=None)
    with contextlib.suppress(SyncError):
        ViewpointReader(settings.viewpoint_url(), config(), dbapi=odbc, sleep=lambda _: None).read_all(READ_AT)
    return odbc.connected[-1][0]


@pytest.mark.parametrize(
    ("server", "text"),
    [
        ("sql01", "Server=sql01;"),
        ("tcp:sql01,1433", "Server=sql01,1433;"),
        ("sql01, 14330", "Server=sql01,14330;"),
        ("sql01:14330", "Server=sql01,14330;"),
        ("sql01\\VISTA", "Server=sql01\\VISTA;"),
        ("[fd00::1]:1433", "Server=fd00::1,1433;"),
        ("fd00::1", "Server=fd00::1;"),
    ],
)
def test_a_server_is_taken_as_people_write_it(server: str, text: str, odbc: FakeOdbc) -> None:
    assert text in connected(odbc, SQL_SERVER=server, SQL_DATABASE="Viewpoint")


@pytest.mark.parametrize("server", ["sql01,70000", "sql01,0", "http://sql01", "a b", ",1433"])
def test_a_server_that_is_none_is_refused_before_any_call(server: str) -> None:
    with pytest.raises(SettingsError, match=r"SQL_SERVER: (is not the name of a server|has an invalid port)"):
        load_settings({"SQL_SERVER": server}, env_file=None)


@pytest.mark.parametrize(
    "more", [{"VIEWPOINT_URL": "mssql+pyodbc://sql01/Viewpoint"}, {"SQL_SERVER": "sql01", "SQL_DATABASE": "Viewpoint"}]
)
def test_the_parts_of_tls_and_login_complete_a_url_and_a_server_alike(
    more: dict[str, str], odbc: FakeOdbc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    tls = {"SQL_TRUST_SERVER_CERTIFICATE": "on", "SQL_HOST_NAME_IN_CERTIFICATE": "vista.example.com"}
    text = connected(odbc, **more, **tls)
    for part in ("UID=reader", "PWD=s3cret", "TrustServerCertificate=yes", "HostNameInCertificate=vista.example.com"):
        assert part in text

    (tmp_path / "ca.pem").write_text("")
    settings = load_settings({**more, "SQL_CA_FILE": str(tmp_path / "ca.pem"), "SQL_AUTH_MODE": "managed_identity"})
    with contextlib.suppress(Refusal):  # pyodbc, where there is no unixODBC
        viewpoint_reader(settings).close()
    assert os.environ["SSL_CERT_FILE"] == str(tmp_path / "ca.pem")


def test_what_a_url_says_itself_stands(odbc: FakeOdbc) -> None:
    url = "mssql+pyodbc://other:pw@sql01/Viewpoint?TrustServerCertificate=no&driver=ODBC+Driver+18+for+SQL+Server"
    text = connected(odbc, VIEWPOINT_URL=url, SQL_TRUST_SERVER_CERTIFICATE="on")
    assert "UID=other" in text
    assert "TrustServerCertificate=no" in text
    assert "TrustServerCertificate=yes" not in text


@pytest.mark.skipif(packaged_driver() is None, reason="no packaged driver for this machine")
def test_the_packaged_driver_is_found_in_an_odbc_text_too(tmp_path: Path) -> None:
    odbc = FakeOdbc(tmp_path / "viewpoint.db", registered=[])
    text = connected(
        odbc,
        VIEWPOINT_URL="mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BODBC+Driver+18+for+SQL+Server%7D%3BSERVER%3Dsql01",
    )
    assert f"DRIVER={{{packaged_driver()}}}" in text


def test_half_a_character_in_a_column_is_read_and_not_an_error_of_the_driver(odbc: FakeOdbc) -> None:
    reader(odbc).read_all(READ_AT)
    decode = odbc.converters[odbc.SQL_WVARCHAR]
    assert decode("Łuk".encode("utf-16le") + b"\x3d\xd8") == "Łuk\ud83d"
    assert decode(b"a\x00b") == "a\ufffd"
    assert decode(None) is None


def test_a_server_that_falls_silent_costs_the_time_that_was_set_and_no_more(odbc: FakeOdbc) -> None:
    released = threading.Event()
    odbc.on_select = lambda statement: released.wait(60) and None
    try:
        with pytest.raises(AnswerLost, match=r"no whole answer within 1 s \(viewpoint.query_timeout_seconds"):
            reader(odbc, viewpoint={"query_timeout_seconds": 1}).read_all(READ_AT)
    finally:
        released.set()
