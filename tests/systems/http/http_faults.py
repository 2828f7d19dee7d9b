"""What the tests of the HTTP client share: a client that does not wait, and every way an answer can be no answer."""

from __future__ import annotations

from typing import Any

from scripted_server import Answer, FakeTime, answer, cut, html, raw, truncated

from safetyamp_pipelines.systems.http.client import HttpClient
from safetyamp_pipelines.systems.http.retry import RetryPolicy

OK = answer({"data": [1]})
TOKEN = "secret-token-value"

FAULTS: dict[str, Answer] = {
    **{str(status): answer({"message": "broken"}, status) for status in (408, 500, 502, 503, 504)},
    "cut": cut,
    "truncated": truncated({"data": list(range(100))}),
    "html": html(200),
    "html 503": html(503),
    "no json": raw(200, b"{", {"Content-Type": "application/json"}),
    "empty": raw(200, b"", {"Content-Type": "application/json"}),
    "nested without end": raw(200, b"[" * 100_000, {"Content-Type": "application/json"}),
}


def client_of(url: str, time: FakeTime, **options: Any) -> HttpClient:
    chosen: dict[str, Any] = {"policy": RetryPolicy(jitter=lambda: 0.0), "timeout": 5.0} | options
    return HttpClient("Test", url, headers=lambda: {"Authorization": f"Bearer {TOKEN}"}, clock=time.clock, **chosen)


def write(client: HttpClient) -> Any:
    return client.write("POST", "/api/users", {"first_name": "Nora"}, endpoint="/api/users")
