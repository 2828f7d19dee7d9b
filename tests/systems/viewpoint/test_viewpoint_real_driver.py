"""Microsoft's driver 18 and FreeTDS themselves, on a server that speaks TDS as far as the login: what they raise is
sorted right, and nothing of the login is shown."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tds_server import TdsServer, tds_server

from safetyamp_pipelines.sandbox.server import LocalAuthority
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.sync.model.errors import AuthRefused, CallError, FatalCall, NotSent
from safetyamp_pipelines.systems.viewpoint.engine import LOGIN_TIMEOUT_SECONDS, packaged_driver
from safetyamp_pipelines.systems.viewpoint.reader import viewpoint_reader

pyodbc = pytest.importorskip(
    "pyodbc", reason="pyodbc cannot be loaded: unixODBC (Debian: unixodbc) is not installed", exc_type=ImportError
)
if packaged_driver() is None:
    pytest.skip("Microsoft's driver 18 is not in this environment", allow_module_level=True)

LOGIN_FAILED = (18456, "Login failed for user 'robot'.")
AUTHORITY = LocalAuthority()


@pytest.fixture(autouse=True)
def trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQL_CA_FILE does to the process ends with the test."""
    monkeypatch.setenv("SSL_CERT_FILE", os.environ.get("SSL_CERT_FILE", ""))


@pytest.fixture
def ca(tmp_path: Path) -> str:
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.bundle())
    return str(tmp_path / "ca.pem")


@pytest.fixture
def encrypted() -> Iterator[TdsServer]:
    with tds_server(*LOGIN_FAILED, AUTHORITY.server_context()) as server:
        yield server


def refusal(port: int, **variables: str) -> CallError:
    """How the reader's first call ends."""
    environ = {
        "SQL_SERVER": f"127.0.0.1,{port}",
        "SQL_DATABASE": "Viewpoint",
        "SQL_AUTH_MODE": "sql_auth",
        "SQL_USERNAME": "robot",
        "SQL_PASSWORD": "hunter2",
        **variables,
    }
    with pytest.raises(CallError) as refused:
        viewpoint_reader(load_settings(environ, env_file=None)).check()
    assert "robot" not in str(refused.value)
    assert "hunter2" not in str(refused.value)
    return refused.value


def test_a_refused_login_is_told_as_such_and_tried_once(encrypted: TdsServer) -> None:
    error = refusal(encrypted.port, SQL_TRUST_SERVER_CERTIFICATE="on")

    assert isinstance(error, AuthRefused)
    assert "the login was refused (SQLSTATE 28000, native 18456)" in str(error)
    assert encrypted.logins == 1


def test_a_database_that_cannot_be_opened_is_told_as_such() -> None:
    with tds_server(4060, 'Cannot open database "Viewpoint".', AUTHORITY.server_context()) as server:
        error = refusal(server.port, SQL_TRUST_SERVER_CERTIFICATE="on")

    assert isinstance(error, FatalCall)
    assert "the database cannot be opened" in str(error)


@pytest.mark.parametrize("known", ["", "another"])
def test_the_authority_of_sql_ca_file_is_trusted_also_beside_others(
    encrypted: TdsServer, ca: str, known: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if known:
        (tmp_path / known).write_bytes(LocalAuthority().bundle())
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / known))

    errors = [
        refusal(encrypted.port),
        refusal(encrypted.port, SQL_CA_FILE=ca),
        refusal(encrypted.port, SQL_CA_FILE=ca, SQL_HOST_NAME_IN_CERTIFICATE="localhost"),
    ]

    assert ["certificate is not trusted" in str(error) for error in errors] == [True, True, False]
    assert "native 18456" in str(errors[2])
    if known:
        assert (tmp_path / known).read_bytes() in Path(os.environ["SSL_CERT_FILE"]).read_bytes()


def test_a_server_without_encryption_gets_no_login() -> None:
    with tds_server(*LOGIN_FAILED) as server:
        error = refusal(server.port)

    assert isinstance(error, FatalCall)
    assert "the server offers no encryption" in str(error)
    assert server.logins == 0


@pytest.mark.slow
def test_a_silent_server_costs_one_login_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        error = refusal(silent.getsockname()[1])

    assert isinstance(error, NotSent)
    assert "the server cannot be reached" in str(error)
    assert time.monotonic() - begun < LOGIN_TIMEOUT_SECONDS + 10


@pytest.mark.skipif("FreeTDS" not in pyodbc.drivers(), reason="FreeTDS (Debian: tdsodbc) is not installed")
def test_freetds_is_understood_too(closed_port: int) -> None:
    def url(port: int) -> str:
        return f"mssql+pyodbc://robot:hunter2@127.0.0.1:{port}/Viewpoint?driver=FreeTDS&TDS_Version=7.4&Encryption=off"

    with tds_server(*LOGIN_FAILED) as server:
        refused = refusal(server.port, VIEWPOINT_URL=url(server.port))
    unreachable = refusal(closed_port, VIEWPOINT_URL=url(closed_port))

    assert isinstance(refused, AuthRefused)
    assert "native 18456" in str(refused)
    assert isinstance(unreachable, NotSent)
