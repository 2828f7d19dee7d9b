"""The one HTTP client: what is tried again, how long it waits, and what is never sent twice."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable
from email.utils import formatdate
from time import sleep
from typing import Any

import pytest
from http_faults import FAULTS, OK, client_of, write
from scripted_server import Answer, FakeTime, ScriptedServer, answer, raw

from safetyamp_pipelines.sync.model.errors import (
    AnswerLost,
    AuthRefused,
    CircuitOpen,
    KeyRefused,
    NotSent,
    RateLimited,
    RecordRefused,
)
from safetyamp_pipelines.systems.http.answers import Call
from safetyamp_pipelines.systems.http.client import HttpClient
from safetyamp_pipelines.systems.http.exchange import HttpSession
from safetyamp_pipelines.systems.http.retry import Circuit, RetryPolicy


@pytest.fixture
def client(server: ScriptedServer, time: FakeTime) -> HttpClient:
    return client_of(server.url, time)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_get_is_tried_again_until_the_answer_is_whole(
    fault: Answer, server: ScriptedServer, client: HttpClient
) -> None:
    server.script(fault, fault, OK)

    assert client.get("/api/users") == {"data": [1]}

    assert len(server.asked) == client.calls == 3


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_write_whose_effect_is_unknown_is_never_sent_twice(
    fault: Answer, server: ScriptedServer, client: HttpClient
) -> None:
    server.script(fault, OK)

    with pytest.raises(AnswerLost):
        write(client)

    assert len(server.asked) == client.calls == 1


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_get_gives_up_after_its_attempts_with_an_error_not_with_nothing(
    fault: Answer, server: ScriptedServer, time: FakeTime
) -> None:
    client = client_of(server.url, time, policy=RetryPolicy(attempts=3))
    server.script(fault)

    with pytest.raises(AnswerLost):
        client.get("/api/users")

    assert len(server.asked) == 3


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_answer_in_time_is_an_answer_lost(method: str, server: ScriptedServer, time: FakeTime) -> None:
    client = client_of(server.url, time, timeout=0.2, policy=RetryPolicy(attempts=1))
    server.script(server.hang)

    with pytest.raises(AnswerLost, match="no answer in time"):
        client.get("/slow") if method == "GET" else write(client)

    assert client.calls == 1


def test_an_answer_that_stops_in_the_middle_is_lost_in_time(server: ScriptedServer, time: FakeTime) -> None:
    client = client_of(server.url, time, timeout=0.2, policy=RetryPolicy(attempts=1))

    def half_then_silence(handler: Any) -> None:
        raw(200, b'{"data":', {"Content-Type": "application/json"}, length=100)(handler)
        server.hang(handler)

    server.script(half_then_silence)

    with pytest.raises(AnswerLost, match="no answer in time"):
        client.get("/slow")


@pytest.mark.parametrize("part", ["headers", "body", "body without a length"])
def test_a_byte_now_and_then_does_not_keep_a_call_alive(part: str, server: ScriptedServer, time: FakeTime) -> None:
    client = client_of(server.url, time, timeout=0.3, policy=RetryPolicy(attempts=1))

    def drip(handler: Any) -> None:
        if part == "body":
            raw(200, b"{", length=1000)(handler)
        elif part != "headers":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"H" if part == "headers" else b" ")
                handler.wfile.flush()
                sleep(0.05)
        handler.close_connection = True

    server.script(drip)

    with pytest.raises(AnswerLost, match=r"no whole answer within 0\.6 s"):
        client.get("/slow")

    server.script(OK)
    assert client.get("/again") == {"data": [1]}


def test_an_answer_that_unpacks_to_more_than_anybody_holds_is_given_up(server: ScriptedServer) -> None:
    session = HttpSession(5.0, largest=100_000)
    packed = gzip.compress(b" " * 50_000_000)
    server.script(raw(200, packed, {"Content-Encoding": "gzip"}))

    with pytest.raises(AnswerLost, match="over 100000 bytes"):
        session.exchange(Call("Test", "GET", "/bomb"), f"{server.url}/bomb")


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 99999 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 +9999", "1e999", "-5", "x"]
)
def test_an_absurd_retry_after_is_none(date: str, server: ScriptedServer, client: HttpClient, time: FakeTime) -> None:
    server.script(answer({}, 429, Retry_After=date), OK)

    assert client.get("/api/users") == {"data": [1]}
    assert time.slept in ([61.0], [0.0])


@pytest.mark.parametrize("send", [write, lambda client: client.get("/api/users")], ids=["write", "get"])
def test_without_a_connection_the_system_did_not_act_and_the_call_is_tried_again(
    send: Callable[[HttpClient], Any], time: FakeTime, closed_port: int
) -> None:
    client = client_of(f"http://127.0.0.1:{closed_port}", time)

    with pytest.raises(NotSent, match="no connection could be made"):
        send(client)

    assert client.calls == 0
    assert time.slept == [0.25, 0.5, 1.0, 2.0]
    assert client.waited == sum(time.slept)


def test_a_name_that_does_not_resolve_is_not_sent(time: FakeTime) -> None:
    client = client_of("http://nowhere.invalid", time, policy=RetryPolicy(attempts=1))

    with pytest.raises(NotSent):
        write(client)


def test_a_write_is_repeated_after_429_because_the_system_did_not_act(
    server: ScriptedServer, client: HttpClient, time: FakeTime
) -> None:
    server.script(answer({"message": "Too Many Attempts."}, 429, Retry_After="0.402"), answer({"data": {"id": 1}}))

    assert write(client) == {"data": {"id": 1}}

    assert time.slept == [0.402]
    assert [asked.json for asked in server.asked] == [{"first_name": "Nora"}] * 2


def test_retry_after_may_be_a_date(server: ScriptedServer, client: HttpClient, time: FakeTime) -> None:
    server.script(answer({}, 429, Retry_After=formatdate(time.at + 30, usegmt=True)), OK)

    client.get("/api/users")

    assert time.slept == [30.0]


@pytest.mark.parametrize("header", [{}, {"Retry_After": "soon"}, {"Retry_After": "nan"}], ids=str)
def test_429_that_does_not_say_how_long_waits_for_the_end_of_the_window(
    header: dict[str, str], server: ScriptedServer, time: FakeTime
) -> None:
    client = client_of(server.url, time, policy=RetryPolicy(window=61.0, jitter=lambda: 0.0))
    server.script(answer({}, 429, **header), OK)

    client.get("/api/users")

    assert time.slept == [61.0]


def test_503_is_honoured_when_it_says_how_long(server: ScriptedServer, client: HttpClient, time: FakeTime) -> None:
    server.script(answer({}, 503, Retry_After="7"), OK)

    client.get("/users")

    assert time.slept == [7.0]


def test_a_wait_beyond_the_bound_is_not_begun(server: ScriptedServer, client: HttpClient, time: FakeTime) -> None:
    server.script(answer({}, 429, Retry_After="3600"))

    with pytest.raises(RateLimited) as caught:
        client.get("/api/users")

    assert caught.value.retry_after == 3600
    assert time.slept == []
    assert len(server.asked) == 1


def test_backoff_grows_stays_under_its_cap_and_is_spread(server: ScriptedServer, time: FakeTime) -> None:
    def slept(jitter: float) -> list[float]:
        time.slept.clear()
        policy = RetryPolicy(attempts=5, base=1.0, cap=4.0, jitter=lambda: jitter)
        with pytest.raises(AnswerLost):
            client_of(server.url, time, policy=policy).get("/api/users")
        return list(time.slept)

    server.script(answer({}, 500))

    assert slept(0.0) == [0.5, 1.0, 2.0, 2.0]
    assert slept(1.0) == [1.0, 2.0, 4.0, 4.0]


def test_after_failures_in_a_row_the_system_is_left_alone(server: ScriptedServer, time: FakeTime) -> None:
    client = client_of(server.url, time, circuit=Circuit(failures=3))
    server.script(answer({}, 500))
    for _ in range(3):
        with pytest.raises(AnswerLost):
            write(client)

    with pytest.raises(CircuitOpen, match="no call was made"):
        write(client)

    assert len(server.asked) == client.calls == 3


def test_refused_records_and_429_do_not_open_the_circuit(server: ScriptedServer, time: FakeTime) -> None:
    client = client_of(server.url, time, circuit=Circuit(failures=2))
    server.script(answer({}, 422), answer({}, 422), answer({}, 429), answer({}, 429), OK)

    for _ in range(2):
        with pytest.raises(RecordRefused):
            write(client)

    assert write(client) == {"data": [1]}


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_was_refused_is_not_shown_again(status: int, server: ScriptedServer, time: FakeTime) -> None:
    client = client_of(server.url, time, circuit=Circuit(one_key=True))
    server.script(answer({}, status), OK)
    with pytest.raises(AuthRefused):
        client.get("/api/users")

    with pytest.raises(KeyRefused, match=f"no call was made: it answered {status} to the same key before"):
        client.get("/api/sites")
    with pytest.raises(KeyRefused):
        write(client)

    assert len(server.asked) == client.calls == 1


def test_a_success_closes_the_circuit_again_after_its_time(server: ScriptedServer, time: FakeTime) -> None:
    client = client_of(server.url, time, circuit=Circuit(failures=2, reset_seconds=60.0, clock=time.clock))
    server.script(answer({}, 500), answer({}, 500), answer({}, 500), OK)
    for _ in range(2):
        with pytest.raises(AnswerLost):
            write(client)
    time.clock.sleep(60.0)

    with pytest.raises(AnswerLost):  # the one call that tries the system again
        write(client)
    with pytest.raises(CircuitOpen):
        write(client)
    time.clock.sleep(60.0)
    assert write(client) == {"data": [1]}
    assert write(client) == {"data": [1]}


def test_a_clock_that_is_set_back_does_not_keep_the_circuit_open(server: ScriptedServer, time: FakeTime) -> None:
    client = client_of(server.url, time, circuit=Circuit(failures=1, clock=time.clock))
    server.script(answer({}, 500), OK)
    with pytest.raises(AnswerLost):
        write(client)

    time.clock.sleep(-3600.0)

    assert write(client) == {"data": [1]}
