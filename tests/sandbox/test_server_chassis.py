"""The chassis: servers on free ports in threads, and the log of what they were asked."""

from __future__ import annotations

import socket
import time
from statistics import median

import pytest
import requests
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from safetyamp_pipelines.sandbox.requestlog import RequestLog
from safetyamp_pipelines.sandbox.server import AppServer, LocalAuthority


async def hello(_):
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])


def ask(url: str, **kwargs) -> str:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=60, **kwargs).text


def test_a_server_is_up_when_start_returns_and_gone_when_stop_returns():
    server = AppServer(APP).start()
    assert ask(server.url) == "hello"

    server.stop()

    with pytest.raises(requests.ConnectionError):
        ask(server.url)


def test_servers_get_ports_of_their_own_on_loopback():
    servers = [AppServer(APP).start() for _ in range(3)]

    assert len({server.port for server in servers}) == 3
    assert all(server.url == f"http://127.0.0.1:{server.port}" for server in servers)
    for server in servers:
        server.stop()


def test_stopping_cuts_idle_connections_and_is_quick():
    server = AppServer(APP).start()
    with requests.Session() as session:
        session.trust_env = False
        session.get(server.url, timeout=60)
        began = time.monotonic()

        server.stop()

        assert time.monotonic() - began < 10
        with pytest.raises(requests.ConnectionError):
            session.get(server.url, timeout=60)


def test_stopping_twice_or_without_a_start_is_harmless():
    server = AppServer(APP)
    server.stop()
    server = AppServer(APP).start()
    server.stop()
    server.stop()

    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=60)


def test_over_tls_only_the_holder_of_the_authority_trusts_it(tmp_path):
    authority = LocalAuthority()
    (tmp_path / "ca.pem").write_bytes(authority.bundle())
    server = AppServer(APP, authority.server_context()).start()

    assert server.url.startswith("https://localhost:")
    assert ask(server.url, verify=str(tmp_path / "ca.pem")) == "hello"
    assert ask(f"https://127.0.0.1:{server.port}", verify=str(tmp_path / "ca.pem")) == "hello"
    with pytest.raises(requests.exceptions.SSLError):
        ask(server.url)
    server.stop()


def test_answers_are_not_held_back_by_the_network_stack():
    """With Nagle's algorithm against delayed acknowledgements every answer on a kept connection takes 40 ms."""
    server = AppServer(APP).start()
    seconds = []
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        for _ in range(50):
            began = time.monotonic()
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while b"hello" not in answer:
                answer += connection.recv(65536)
            seconds.append(time.monotonic() - began)
    server.stop()

    assert median(seconds) < 0.03


def test_the_log_is_in_order_of_arrival_and_can_be_read_from_any_point():
    log = RequestLog()
    seqs = [log.open(system, "GET", "/x", "", None) for system in ("safetyamp", "graph", "safetyamp")]
    log.note(2, status=200, acted=True)

    assert seqs == [1, 2, 3]
    assert [record.seq for record in log.records("safetyamp")] == [1, 3]
    assert [record.seq for record in log.records(since=1)] == [2, 3]
    assert [record.status for record in log.records()] == [None, 200, None]
    times = [record.at for record in log.records()]
    assert times == sorted(times)


def test_a_record_knows_whether_it_asked_for_a_change():
    log = RequestLog()
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        log.open("safetyamp", method, "/x", "", None)

    assert [record.is_write for record in log.records()] == [False, False, True, True, True, True]
