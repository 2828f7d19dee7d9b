"""SafetyAmp's door: the headers it insists on, its budget, the verbs it knows."""

from __future__ import annotations

import time

import pytest

from safetyamp_pipelines.sandbox.throttle import Throttle


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Authorization", None, 401),
        ("Authorization", "Bearer somebody-elses", 401),
        ("Authorization", "sandbox-token", 401),
        ("Fqdn", None, 401),
        ("Fqdn", "another.safetyamp.com", 401),
        ("User-Agent", "", 400),
        ("Accept", None, 400),
        ("Accept", "*/*", 400),
    ],
)
def test_a_request_without_a_required_header_is_refused(api, header, value, status):
    response = api.session.get(f"{api.url}/api/users?page=0&limit=25", headers={header: value}, timeout=60)

    assert response.status_code == status
    assert set(response.json()) == {"message"}


def test_a_refused_caller_spends_nothing_of_the_budget(serve):
    api = serve(calls=1)

    api.session.get(f"{api.url}/api/users", headers={"Authorization": None}, timeout=60)

    assert api.get("users").status_code == 200


def test_the_call_after_the_last_of_the_budget_is_429_whatever_its_verb(serve):
    # given a budget of three
    api = serve(calls=3, period=3600)

    # when reads and writes of any table take it
    spent = [api.get("roles").status_code, api.post("user_titles", name="Rigger").status_code, api.get("nothing")]
    refused = [api.get("users"), api.put("user_titles/71", name="Pipe fitter")]

    # then what comes next is refused, and has not acted
    assert spent[:2] == [200, 201]
    assert [response.status_code for response in refused] == [429, 429]
    assert refused[0].json() == {"message": "Too Many Attempts."}
    assert api.state.tables()["user_titles"][0]["name"] == "Fitter"


def test_the_window_slides_and_refused_calls_do_not_count():
    now = 0.0
    throttle = Throttle(lambda: now)
    assert [throttle.admit(2, 60.0) for _ in range(4)] == [True, True, False, False]

    now = 30.0
    assert not throttle.admit(2, 60.0)
    assert throttle.wait(2, 60.0) == 30.0

    now = 60.0
    assert [throttle.admit(2, 60.0) for _ in range(3)] == [True, True, False]


def test_a_smaller_budget_set_later_counts_the_calls_already_made():
    times = iter([0.0, 10.0, 20.0, 30.0, 30.0, 30.0])
    throttle = Throttle(lambda: next(times))
    assert [throttle.admit(60, 60.0) for _ in range(3)] == [True, True, True]

    assert not throttle.admit(1, 60.0)
    assert throttle.remaining(1, 60.0) == 0
    assert throttle.wait(1, 60.0) == 50.0


def test_a_budget_of_nothing_admits_nobody():
    throttle = Throttle()

    assert not throttle.admit(0, 60.0)
    assert throttle.wait(0, 60.0) == 60.0


@pytest.mark.parametrize(
    ("rate_headers", "on_success", "on_429"),
    [
        ("none", set(), set()),
        ("retry_after", set(), {"Retry-After"}),
        (
            "x_ratelimit",
            {"X-RateLimit-Limit", "X-RateLimit-Remaining"},
            {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"},
        ),
        (
            "both",
            {"X-RateLimit-Limit", "X-RateLimit-Remaining"},
            {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"},
        ),
    ],
)
def test_rate_headers_are_a_choice(serve, rate_headers, on_success, on_429):
    api = serve(calls=1, period=60, rate_headers=rate_headers)

    first, second = api.get("roles"), api.get("roles")

    known = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"}
    assert {name for name in known if name in first.headers} == on_success
    assert {name for name in known if name in second.headers} == on_429
    if "Retry-After" in on_429:
        assert 40 <= int(second.headers["Retry-After"]) <= 60
    if on_success:
        assert first.headers["X-RateLimit-Remaining"] == "0"
        assert abs(int(second.headers["X-RateLimit-Reset"]) - time.time() - 60) < 20


@pytest.mark.parametrize("path", ["nothing", "nothing/1", "locations"])
def test_an_unknown_table_is_404(api, path):
    response = api.get(path)

    assert response.status_code == 404
    assert "message" in response.json()


def test_a_path_outside_the_api_is_404_with_a_message(api):
    response = api.session.get(f"{api.url}/users", timeout=60)

    assert (response.status_code, response.json()) == (404, {"message": "Not Found"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "roles"),
        ("POST", "asset_types"),
        ("PUT", "roles/3"),
        ("PATCH", "sites/101"),
        ("PATCH", "assets/901"),
        ("DELETE", "users/aB3dE"),
        ("GET", "sites/101"),
        ("PUT", "users"),
    ],
)
def test_a_verb_nobody_saw_working_is_405(api, method, path):
    before = api.state.tables()

    assert api.send(method, path, {"name": "x"}).status_code == 405
    assert api.state.tables() == before


def test_patch_and_delete_and_reading_by_id_can_be_switched(serve):
    api = serve(patch_tables=("sites",), delete_works=True, readable_by_id=("sites",))

    assert api.patch("sites/101", name="Renamed").json()["data"]["name"] == "Renamed"
    assert api.get("sites/101").json()["data"]["name"] == "Renamed"
    assert api.patch("users/aB3dE", first_name="N", last_name="N", email="n@example.com").status_code == 405
    assert api.get("users/aB3dE").status_code == 405
    assert api.send("DELETE", "users/aB3dE", None).status_code == 200
    assert "aB3dE" not in [user["id"] for user in api.get("users").json()["data"]]
    assert api.send("DELETE", "users/aB3dE", None).status_code == 404


def test_latency_delays_the_answer_but_not_the_next_caller(serve):
    api = serve(latency=0.2)
    began = time.monotonic()

    api.get("roles")

    assert time.monotonic() - began >= 0.2
