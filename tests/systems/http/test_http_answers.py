"""The one HTTP client: what an answer means, where a call may go, and what an error may tell."""

from __future__ import annotations

import threading
import traceback
from typing import Any

import pytest
from http_faults import FAULTS, OK, TOKEN, client_of, write
from scripted_server import FakeTime, ScriptedServer, answer, raw

from safetyamp_pipelines.sync.model.errors import AuthRefused, CallError, FatalCall, RecordRefused
from safetyamp_pipelines.systems.http.client import HttpClient


@pytest.fixture
def client(server: ScriptedServer, time: FakeTime) -> HttpClient:
    return client_of(server.url, time)


USER_ID = "aB3dE"
EMAIL = "nora@example.com"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_fatal_and_not_tried_again(status: int, server: ScriptedServer, client: HttpClient) -> None:
    server.script(answer({"message": "Unauthenticated."}, status))

    with pytest.raises(AuthRefused) as caught:
        client.get("/api/users")

    assert caught.value.status == status
    assert len(server.asked) == 1


def test_an_expired_token_is_renewed_once_and_the_same_call_repeated(server: ScriptedServer, time: FakeTime) -> None:
    tokens = iter(["old", "new", "newer"])
    held = [next(tokens)]
    client = HttpClient(
        "Test",
        server.url,
        headers=lambda: {"Authorization": held[0]},
        renew=lambda: held.__setitem__(0, next(tokens)),
        clock=time.clock,
    )
    server.script(answer({}, 401), OK)

    assert client.get("/users", {"page": 2}) == {"data": [1]}

    assert [(asked.headers["Authorization"], asked.query) for asked in server.asked] == [
        ("old", {"page": "2"}),
        ("new", {"page": "2"}),
    ]

    server.script(answer({}, 401))
    with pytest.raises(AuthRefused):
        client.get("/users")
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 422, 501])
def test_a_refused_record_is_not_tried_again(status: int, server: ScriptedServer, client: HttpClient) -> None:
    server.script(answer({"message": "no"}, status))

    with pytest.raises(RecordRefused) as caught:
        write(client)

    assert (caught.value.status, caught.value.errors) == (status, {})
    assert len(server.asked) == 1


def test_a_refused_record_gives_its_fields_and_texts_but_prints_no_text(
    server: ScriptedServer, client: HttpClient
) -> None:
    texts = {"email": ["nora.test@example.com is taken"], "mobile_phone": "validation.phone", "nora.test": ["?"]}
    server.script(answer({"message": "nora.test@example.com is taken (and 1 more)", "errors": texts}, 422))

    with pytest.raises(RecordRefused) as caught:
        client.write("POST", "/api/users", {"email": "", "mobile_phone": ""}, endpoint="/api/users")

    assert caught.value.errors["email"] == ("nora.test@example.com is taken",)
    assert caught.value.errors["mobile_phone"] == ("validation.phone",)
    assert str(caught.value) == "Test POST /api/users answered 422: email, mobile_phone"


@pytest.mark.parametrize("errors", [None, [], "taken", 7], ids=str)
def test_errors_of_another_shape_are_no_fields(errors: Any, server: ScriptedServer, client: HttpClient) -> None:
    server.script(answer({"errors": errors}, 422))

    with pytest.raises(RecordRefused) as caught:
        write(client)

    assert caught.value.errors == {}


def test_an_error_tells_graphs_code_and_samsaras_request_id(server: ScriptedServer, client: HttpClient) -> None:
    server.script(
        answer({"error": {"code": "Request_BadRequest", "message": "nora@example.com"}}, 400),
        answer({"message": "Nora Test", "requestId": "abc-1"}, 404),
    )

    with pytest.raises(RecordRefused, match=r"answered 400: Request_BadRequest$"):
        client.get("/users")
    with pytest.raises(RecordRefused, match=r"answered 404: request abc-1$"):
        client.get("/fleet/drivers")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int, server: ScriptedServer, client: HttpClient) -> None:
    server.script(raw(status, b"", {"Location": f"{server.url}/elsewhere"}))

    with pytest.raises(FatalCall, match="check its base URL"):
        client.get("/api/users")

    assert [asked.path for asked in server.asked] == ["/api/users"]


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.2:{port}/next",
        "http://127.0.0.1:1/next",
        "https://127.0.0.1:{port}/next",
        "http://127.0.0.1:{port}@evil.example/next",
        "http://someone@127.0.0.1:{port}/next",
        "http://evil.example\\@127.0.0.1:{port}/next",
        "HTTP://evil.example/next",
        "http://[127.0.0.1",
    ],
)
def test_the_token_goes_to_the_configured_host_only(link: str, server: ScriptedServer, client: HttpClient) -> None:
    server.script(OK)

    with pytest.raises(CallError, match="another host"):
        client.get(link.replace("{port}", server.url.rsplit(":", 1)[1]), endpoint="/users")

    assert server.asked == []


def test_a_link_on_the_configured_host_is_followed_unchanged(server: ScriptedServer, client: HttpClient) -> None:
    server.script(OK)

    client.get(f"{server.url}/users?$skiptoken=a%2Fb", endpoint="/users")

    assert server.asked[0].query == {"$skiptoken": "a/b"}


def test_a_204_is_a_record_of_nothing(server: ScriptedServer, client: HttpClient) -> None:
    server.script(raw(204))

    assert write(client) == {}


def test_a_character_written_as_two_halves_is_one(server: ScriptedServer, client: HttpClient) -> None:
    server.script(raw(200, b'{"name": "Unit 9 \\ud83d\\ude9b"}'))

    assert client.get("/fleet/vehicles") == {"name": "Unit 9 \N{ARTICULATED LORRY}"}


def test_several_calls_are_in_flight_at_once(server: ScriptedServer, client: HttpClient) -> None:
    together = threading.Barrier(4, timeout=120)

    def wait_for_the_others(handler: Any) -> None:
        together.wait()
        OK(handler)

    server.script(wait_for_the_others)
    threads = [threading.Thread(target=client.get, args=("/api/users",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not together.broken
    assert client.calls == 4


def test_cookies_are_not_kept(server: ScriptedServer, client: HttpClient) -> None:
    server.script(answer({}, 200, Set_Cookie="session=1"))

    client.get("/one")
    client.get("/two")

    assert "Cookie" not in server.asked[1].headers


def test_the_environment_does_not_change_where_calls_go(
    server: ScriptedServer, client: HttpClient, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    server.script(OK)

    assert client.get("/api/users") == {"data": [1]}


@pytest.mark.parametrize("fault", [*FAULTS, "422", "401", "refused", "bad header"])
def test_no_error_tells_a_token_an_id_or_a_value(
    fault: str, server: ScriptedServer, time: FakeTime, closed_port: int
) -> None:
    refusals = {
        "422": answer({"message": EMAIL, "errors": {"email": [EMAIL]}}, 422),
        "401": answer({"message": EMAIL}, 401),
    }
    server.script((FAULTS | refusals).get(fault, OK))
    url = f"http://127.0.0.1:{closed_port}" if fault == "refused" else server.url
    token = f"{TOKEN}\n" if fault == "bad header" else TOKEN
    client = HttpClient("Test", url, headers=lambda: {"Authorization": token}, clock=time.clock)

    with pytest.raises(CallError) as caught:
        client.write("PATCH", f"/api/users/{USER_ID}?q={EMAIL}", {"email": EMAIL}, endpoint="/api/users/{id}")

    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "Test PATCH /api/users/{id}" in told
    assert not [secret for secret in (TOKEN, USER_ID, EMAIL) if secret in told]
