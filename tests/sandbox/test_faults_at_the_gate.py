"""Faults: which requests they strike, what the caller sees, and whether the application acted."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from safetyamp_pipelines.sandbox.envelopes import empty_page, error_answer
from safetyamp_pipelines.sandbox.faults import KINDS, SYSTEMS, FaultBook, FaultRule
from safetyamp_pipelines.sandbox.gate import Gate
from safetyamp_pipelines.sandbox.requestlog import RequestLog
from safetyamp_pipelines.sandbox.server import AppServer, LocalAuthority

BODY_LOST = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


class Counter:
    """An application that counts what reached it; behind a gate, over plain HTTP or TLS."""

    def __init__(self, folder, tls: bool) -> None:
        self.acted: list[str] = []
        self.log, self.faults = RequestLog(), FaultBook()
        authority = LocalAuthority()
        (folder / "ca.pem").write_bytes(authority.bundle())
        app = Starlette(routes=[Route("/{name}", self.answer, methods=["GET", "POST"])])
        gate = Gate(app, self.log, self.faults, lambda path: "graph" if path == "/users" else "safetyamp")
        self.server = AppServer(gate, authority.server_context() if tls else None).start()
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(folder / "ca.pem")

    async def answer(self, request: Request) -> JSONResponse:
        self.acted.append(f"{request.method} {request.url.path}?{request.url.query}")
        return JSONResponse({"data": [{"page": request.query_params.get("page"), "number": len(self.acted)}]})

    def get(self, path: str = "titles", timeout: float = 10, **params) -> requests.Response:
        return self.session.get(f"{self.server.url}/{path}", params=params, timeout=timeout)

    def post(self, path: str = "titles", timeout: float = 10, **body) -> requests.Response:
        return self.session.post(f"{self.server.url}/{path}", json=body, timeout=timeout)

    def close(self) -> None:
        self.session.close()
        self.server.stop()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def counter(request, tmp_path):
    counter = Counter(tmp_path, tls=request.param)
    yield counter
    counter.close()


@pytest.fixture
def plain(tmp_path):
    counter = Counter(tmp_path, tls=False)
    yield counter
    counter.close()


def last(counter):
    return counter.log.records()[-1]


def test_without_faults_a_request_passes_and_is_logged(counter):
    assert counter.post(name="Rigger").status_code == 200

    record = last(counter)
    assert (record.seq, record.system, record.method, record.path) == (1, "safetyamp", "POST", "/titles")
    assert (record.status, record.fault, record.acted, record.body) == (200, None, True, {"name": "Rigger"})


def test_cut_before_closes_the_connection_and_nothing_happened(counter):
    counter.faults.add(FaultRule("cut_before"))

    with pytest.raises(requests.ConnectionError):
        counter.post()

    assert counter.acted == []
    assert (last(counter).status, last(counter).fault, last(counter).acted) == (None, "cut_before", False)


def test_cut_after_closes_the_connection_although_it_happened(counter):
    counter.faults.add(FaultRule("cut_after"))

    with pytest.raises(requests.ConnectionError):
        counter.post()

    assert counter.acted == ["POST /titles?"]
    assert (last(counter).status, last(counter).fault, last(counter).acted) == (None, "cut_after", True)


def test_truncate_ends_in_the_middle_of_the_promised_body(counter):
    counter.faults.add(FaultRule("truncate"))

    with pytest.raises(BODY_LOST):
        counter.post()

    assert counter.acted == ["POST /titles?"]


def test_after_a_cut_the_next_request_is_served(counter):
    for kind in ("cut_before", "cut_after", "truncate"):
        counter.faults.add(FaultRule(kind))
        with pytest.raises(BODY_LOST):
            counter.get()
        assert counter.get().status_code == 200
        counter.faults.clear()


def test_cut_json_is_a_complete_answer_that_cannot_be_parsed(counter):
    counter.faults.add(FaultRule("cut_json"))

    response = counter.post()

    assert response.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        response.json()
    assert counter.acted


@pytest.mark.parametrize("acts", [False, True])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503, 504])
def test_a_status_comes_instead_of_the_answer(plain, status, acts):
    plain.faults.add(FaultRule("status", status=status, acts=acts))

    response = plain.post()

    assert response.status_code == status
    assert bool(plain.acted) is acts
    assert (last(plain).status, last(plain).acted) == (status, acts)


@pytest.mark.parametrize("retry_after", [1, 0.402, "Fri, 20 Nov 2026 10:00:00 GMT"])
def test_a_status_can_say_when_to_come_back(plain, retry_after):
    plain.faults.add(FaultRule("status", status=429, retry_after=retry_after))

    response = plain.get()

    assert response.headers["Retry-After"] == str(retry_after)
    assert "Retry-After" not in plain.get().headers


@pytest.mark.parametrize("acts", [False, True])
def test_html_with_200_comes_instead_of_json(plain, acts):
    plain.faults.add(FaultRule("html", acts=acts))

    response = plain.post()

    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")
    assert response.text.startswith("<!DOCTYPE html>")
    assert bool(plain.acted) is acts


def test_delay_acts_late_even_for_a_caller_who_has_gone(plain):
    plain.faults.add(FaultRule("delay", delay=0.8))

    with pytest.raises(requests.ReadTimeout):
        plain.post(timeout=0.1)
    acted_when_the_caller_left = list(plain.acted)

    assert acted_when_the_caller_left == []
    assert wait_until(lambda: plain.acted)


def test_slow_answer_acts_at_once(plain):
    plain.faults.add(FaultRule("slow_answer", delay=60))

    with pytest.raises(requests.ReadTimeout):
        plain.post(timeout=0.3)

    assert wait_until(lambda: plain.acted == ["POST /titles?"])
    assert (last(plain).acted, last(plain).status) == (True, None)


def test_a_server_stopped_over_a_delayed_request_stops_at_once_and_without_complaint(plain, caplog):
    plain.faults.add(FaultRule("delay", delay=60))
    with pytest.raises(requests.ReadTimeout):
        plain.get(timeout=0.1)
    waiting = threading.Thread(target=lambda: suppressed_get(plain))
    plain.faults.add(FaultRule("slow_answer", delay=60))
    waiting.start()
    assert wait_until(lambda: plain.acted)
    began = time.monotonic()

    plain.server.stop()
    waiting.join()

    assert time.monotonic() - began < 10
    assert caplog.records == []


def test_any_fault_can_be_delayed(plain):
    plain.faults.add(FaultRule("status", status=503, delay=0.2))
    began = time.monotonic()

    assert plain.get().status_code == 503
    assert time.monotonic() - began >= 0.2


def test_repeat_page_gives_the_page_before_on_the_same_path(plain):
    plain.faults.add(FaultRule("repeat_page", path_regex="/titles", nth=3))

    bodies = [
        plain.get(path, page=page).json()["data"]
        for path, page in [("titles", 0), ("titles", 1), ("sites", 9), ("titles", 2)]
    ]

    assert bodies[3] == bodies[1]
    assert plain.get(page=2).json()["data"][0]["page"] == "2"


def test_repeat_page_skips_empty_pages_and_has_nothing_to_repeat_at_first(plain):
    plain.faults.add(FaultRule("repeat_page"))
    assert plain.get(page=0).json()["data"][0]["page"] == "0"

    plain.faults.add(FaultRule("empty_page"))
    plain.get(page=1)
    plain.faults.add(FaultRule("repeat_page"))

    assert plain.get(page=2).json()["data"][0]["page"] is not None


@pytest.mark.parametrize("kind", ["repeat_page", "empty_page"])
def test_a_refusal_is_not_turned_into_a_page(serve, kind):
    api = serve(calls=1)
    api.get("roles")
    api.faults.add(FaultRule(kind))

    assert api.get("roles").status_code == 429
    assert api.log.records()[-1].fault == kind


@pytest.mark.parametrize(("path", "expected"), [("titles", {"data": []}), ("users", {"value": []})])
def test_empty_page_has_the_envelope_of_its_system(plain, path, expected):
    plain.faults.add(FaultRule("empty_page"))

    assert plain.get(path).json() == expected
    assert plain.acted


@pytest.mark.parametrize(
    ("rule", "struck"),
    [
        ({}, [1]),
        ({"nth": 3}, [3]),
        ({"nth": 2, "times": 2}, [2, 3]),
        ({"nth": 4, "times": None}, [4, 5, 6]),
        ({"system": "graph"}, [5]),
        ({"method": "POST"}, [3]),
        ({"method": "post", "system": "safetyamp"}, [3]),
        ({"path_regex": "^/titles$"}, [1]),
        ({"path_regex": r"page=1$"}, [2]),
        ({"path_regex": "^/(sites|users)$", "times": 2}, [5, 6]),
        ({"path_regex": "^/nothing"}, []),
    ],
)
def test_a_rule_strikes_exactly_the_requests_it_names(plain, rule, struck):
    plain.faults.add(FaultRule("status", status=500, **rule))

    answers = [
        plain.get(page=0),
        plain.get(page=1),
        plain.post(),
        plain.get(page=3),
        plain.get("users"),
        plain.get("sites"),
    ]

    assert [n for n, answer in enumerate(answers, start=1) if answer.status_code == 500] == struck


def test_every_matching_rule_counts_and_the_first_one_added_wins(plain):
    plain.faults.add(FaultRule("status", status=500, nth=1))
    plain.faults.add(FaultRule("status", status=502, nth=1, times=2))

    assert [plain.get().status_code for _ in range(3)] == [500, 502, 200]
    assert [count for _, count in plain.faults.seen()] == [3, 3]


def test_cleared_rules_strike_no_more_and_a_new_one_counts_from_its_start(plain):
    plain.faults.add(FaultRule("status", times=None))
    assert plain.get().status_code == 503
    plain.faults.clear()
    assert plain.get().status_code == 200

    plain.faults.add(FaultRule("status", nth=2))

    assert [plain.get().status_code for _ in range(3)] == [200, 503, 200]


def test_with_many_callers_exactly_so_many_are_struck(plain):
    plain.faults.add(FaultRule("status", nth=5, times=7))
    answers: list[int] = []

    def call() -> None:
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(10):
                answers.append(session.get(f"{plain.server.url}/titles", timeout=60).status_code)  # noqa: PERF401

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert (answers.count(503), answers.count(200)) == (7, 33)
    assert [record.seq for record in plain.log.records()] == list(range(1, 41))
    assert [record.seq for record in plain.log.records() if record.fault] == list(range(5, 12))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "explode"},
        {"kind": "html", "system": "viewpoint"},
        {"kind": "html", "nth": 0},
        {"kind": "html", "times": 0},
    ],
)
def test_a_rule_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError):
        FaultRule(**wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_logged_by_its_name(plain, kind):
    plain.faults.add(FaultRule(kind))

    with suppress(requests.RequestException):  # not read: one kind of answer never ends
        plain.session.get(f"{plain.server.url}/titles", stream=True, timeout=10).close()

    assert last(plain).fault == kind


def test_an_answer_may_be_whatever_bytes_and_a_value_whatever_text(plain):
    plain.faults.add(FaultRule("answer", status=201, body="\ud83d", headers={"X-Odd": "1"}))
    plain.faults.add(FaultRule("poison", field="number", body="NaN", nth=2))

    answered, poisoned = plain.get(), plain.get()

    assert (answered.status_code, answered.content, answered.headers["X-Odd"]) == (201, b"\xed\xa0\xbd", "1")
    assert poisoned.text == '{"data": [{"page": null, "number": NaN}]}'
    assert len(plain.acted) == 1


def test_a_drip_lasts_as_long_as_somebody_waits_for_it(plain):
    plain.faults.add(FaultRule("drip", delay=0.01))

    with plain.session.get(f"{plain.server.url}/titles", stream=True, timeout=10) as answer:
        assert answer.raw.read(3) == b"   "
    assert plain.get().status_code == 200


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_has_its_own_errors_and_gateways_answer_html(system):
    assert error_answer(system, 500)[0] == b"application/json"
    assert error_answer(system, 503)[0] == b"text/html"
    assert empty_page(system).startswith(b"{")


def test_a_login_form_is_not_kept_in_the_log(plain):
    plain.session.post(f"{plain.server.url}/login", data={"client_secret": "s3cret"}, timeout=60)

    assert last(plain).body is None
    assert "s3cret" not in repr(last(plain))


def suppressed_get(counter) -> None:
    with suppress(requests.RequestException):
        counter.get()


def wait_until(condition, seconds: float = 10.0) -> bool:
    """Whether the condition comes true in time; the time bounds a hang, not the outcome."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())
