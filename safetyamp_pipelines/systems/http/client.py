"""The one HTTP client for SafetyAmp, Samsara and Graph: time-outs, budget, retries, circuit. Knows none of the three.

It never turns an error into an empty result, and a write whose effect is unknown is never sent twice.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tenacity
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.sync.model.errors import (
    AnswerLost,
    AuthRefused,
    CallError,
    NotSent,
    RateLimited,
    RetriableCall,
)
from safetyamp_pipelines.systems.http.answers import Call, answer_of, rest_of
from safetyamp_pipelines.systems.http.budget import Budget
from safetyamp_pipelines.systems.http.clock import SYSTEM_CLOCK, Clock
from safetyamp_pipelines.systems.http.exchange import HttpSession
from safetyamp_pipelines.systems.http.retry import Busy, Circuit, RetryPolicy

log = get_logger(__name__)


@dataclass(frozen=True)
class CallSeen:
    """One call that was made: to which endpoint, how it ended, how long it took, and waited for the budget before."""

    at: datetime
    system: str
    method: str
    endpoint: str
    status: int | None
    seconds: float
    waited: float


class HttpClient:
    """Calls one system. Thread-safe: several calls may be in flight.

    `headers` is asked before each request, so that a token can be renewed; `renew` is called once when the system
    answers 401, and the same request is sent again. `calls` counts the requests that reached the system, `waited`
    the seconds spent waiting for the budget and between attempts. `on_call`, if set, is called with each.
    """

    def __init__(
        self,
        system: str,
        base_url: str,
        *,
        headers: Callable[[], Mapping[str, str]],
        renew: Callable[[], None] | None = None,
        timeout: float = 30.0,
        ca_bundle: Path | None = None,
        budget: Budget | None = None,
        policy: RetryPolicy | None = None,
        circuit: Circuit | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.system = system
        self.base_url = base_url.rstrip("/")
        self.calls = 0
        self.waited = 0.0
        self._headers, self._renew, self._budget, self._clock = (headers, renew, budget, clock)
        self._policy = policy or RetryPolicy()
        self._circuit = circuit or Circuit(clock=clock)
        self._counting, self._own = threading.Lock(), threading.local()
        self._session = HttpSession(timeout, ca_bundle)
        self.on_call: Callable[[CallSeen], None] | None = None

    @property
    def calls_here(self) -> int:
        """The requests of this thread that reached the system."""
        return int(getattr(self._own, "calls", 0))

    def get(self, path: str, params: Mapping[str, str | int] | None = None, *, endpoint: str | None = None) -> Any:
        """The JSON of a GET, retried within the policy. `path` may be a whole URL on this system's own host.

        `endpoint` names the call in errors and must be given when `path` holds ids. Raises CallError.
        """
        call = Call(self.system, "GET", endpoint or urlsplit(path).path)
        return self._retried(RetriableCall, call, self._url(call, path), params=params)

    def write(self, method: str, path: str, body: Mapping[str, Any], *, endpoint: str) -> Any:
        """Send `body` and give back the JSON answer, `{}` for 204. Raises CallError.

        Sent again only where the system certainly did not act: no connection, or 429. AnswerLost comes at once.
        """
        call = Call(self.system, method, endpoint)
        data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        return self._retried((NotSent, RateLimited), call, self._url(call, path), data=data, sent=frozenset(body))

    def query(self, path: str, body: Mapping[str, Any], *, endpoint: str) -> Any:
        """The JSON of a POST that only reads, such as a search: retried like a GET. Raises CallError."""
        call = Call(self.system, "POST", endpoint)
        data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        return self._retried(RetriableCall, call, self._url(call, path), data=data)

    def close(self) -> None:
        """Close the connections and the budget's bucket."""
        self._session.close()
        if self._budget is not None:
            self._budget.close()

    def _retried(
        self, again: type[CallError] | tuple[type[CallError], ...], call: Call, url: str, **request: Any
    ) -> Any:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(again),
            wait=self._policy.wait,
            stop=self._policy.stop,
            sleep=self._sleep,
            before_sleep=_log_retry,
            reraise=True,
        )
        return retrying(self._attempt, call, url, request)

    def _attempt(self, call: Call, url: str, request: Mapping[str, Any]) -> Any:
        try:
            return self._counted(call, url, request)
        except AuthRefused as refused:
            if refused.status != 401 or self._renew is None:
                raise
        self._renew()
        return self._counted(call, url, request)

    def _counted(self, call: Call, url: str, request: Mapping[str, Any]) -> Any:
        """One request, within the budget, its outcome reported to the circuit."""
        self._circuit.admit(*call)
        headers = dict(self._headers())
        with self._budget.call() if self._budget else nullcontext(0.0) as waited:
            self._count(waited=waited)
            self._circuit.admit(*call)  # again: it may have opened while this call waited for its turn
            began = self._clock.now()
            try:
                answer = self._exchange(call, url, headers, request)
            except CallError as error:
                if self._budget is not None and isinstance(error, RateLimited | Busy) and error.retry_after is not None:
                    self._budget.hold(error.retry_after)
                self._count(calls=1 if error.status is not None or isinstance(error, AnswerLost) else 0)
                self._circuit.report(error)
                self._notify(call, began, waited, error.status)
                raise
            self._count(calls=1)
            self._circuit.report(None)
            self._notify(call, began, waited, HTTPStatus.OK)
            return answer

    def _notify(self, call: Call, began: float, waited: float, status: int | None) -> None:
        if self.on_call is not None:
            seconds = max(0.0, self._clock.now() - began)
            self.on_call(CallSeen(datetime.fromtimestamp(began, UTC), *call, status, seconds, waited))

    def _exchange(self, call: Call, url: str, headers: dict[str, str], request: Mapping[str, Any]) -> Any:
        if "data" in request:
            headers["Content-Type"] = "application/json"
        sent = request.get("sent", ())
        reply = self._session.exchange(call, url, headers, **{k: v for k, v in request.items() if k != "sent"})
        now = self._clock.now()
        if self._budget is not None and (rest := rest_of(reply.headers, now)):
            self._budget.hold(rest)
        return answer_of(call, reply, now=now, sent=sent)

    def _url(self, call: Call, path: str) -> str:
        if not path.lower().startswith(("http:", "https:")):
            return f"{self.base_url}/{path.lstrip('/')}"
        if _origin(path) != _origin(self.base_url):
            raise CallError(*call, detail="a link leads to another host; the token is not sent there")
        return path

    def _sleep(self, seconds: float) -> None:
        self._count(waited=seconds)
        self._clock.sleep(seconds)

    def _count(self, *, calls: int = 0, waited: float = 0.0) -> None:
        with self._counting:
            self.calls += calls
            self.waited += waited
        self._own.calls = self.calls_here + calls


def _origin(url: str) -> tuple[str | None, str | None, int | None, str | None] | None:
    """Scheme, host, port and user of a URL as urllib3 reads it, for it is urllib3 that connects; None if it cannot."""
    try:
        parsed = parse_url(url)
    except LocationParseError:
        return None
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme or "")
    return parsed.scheme, parsed.host, port, parsed.auth


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, CallError):
        log.info(
            "call_retried",
            system=error.system,
            method=error.method,
            endpoint=error.endpoint,
            status=error.status,
            detail=error.detail,
            attempt=state.attempt_number,
            wait_seconds=round(state.upcoming_sleep, 3),
        )
