"""One HTTP exchange: nothing taken from the environment, a deadline for the whole of it, an answer of bounded size. No
retries, no budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

from safetyamp_pipelines.sync.model.errors import AnswerLost, CallError
from safetyamp_pipelines.systems.http.answers import Call, Reply, failure_of_exception
from safetyamp_pipelines.systems.http.deadline import TIMEOUTS_A_CALL, Deadline

LONGEST_CONNECT = 10.0
"""Seconds: a connection that takes longer will not come; the answer may take the whole time-out."""
LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes: a page of 512 vehicles is below one megabyte, the largest cluster tree seen far below that."""
_CHUNK = 64 * 1024
_CONNECTIONS = 16


class HttpSession:
    """Keeps connections, and nothing else: calls must not depend on earlier ones. Thread-safe.

    `timeout` is the seconds without a byte; `largest` the bytes of an answer, unpacked.
    """

    def __init__(self, timeout: float, ca_bundle: Path | None = None, *, largest: int = LARGEST_ANSWER) -> None:
        self._timeout, self._largest = timeout, largest
        # With every request: requests prefers REQUESTS_CA_BUNDLE to the session's own.
        self._verify = True if ca_bundle is None else str(ca_bundle)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(pool_maxsize=_CONNECTIONS)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def exchange(self, call: Call, url: str, headers: Mapping[str, str] | None = None, **request: Any) -> Reply:
        """Send one request and give the whole answer, whatever its status. Redirects are not followed.

        Raises CallError, which holds neither the URL nor anything of the answer.
        """
        deadline = Deadline(TIMEOUTS_A_CALL * self._timeout)
        failure: CallError | None = None
        try:
            with deadline:
                reply = self._whole(call, url, headers, request)
        except (requests.RequestException, UnicodeError) as error:
            failure = failure_of_exception(call, error)
        if deadline.has_passed:
            failure = AnswerLost(*call, detail=f"no whole answer within {deadline.seconds:g} s")
        if failure is not None:  # outside the except: the library's text holds the URL
            raise failure
        return reply

    def _whole(self, call: Call, url: str, headers: Mapping[str, str] | None, request: Mapping[str, Any]) -> Reply:
        with self._session.request(
            call.method,
            url,
            headers=headers,
            timeout=(min(LONGEST_CONNECT, self._timeout), self._timeout),
            verify=self._verify,
            allow_redirects=False,
            stream=True,
            **request,
        ) as response:
            body = bytearray()
            for chunk in response.iter_content(_CHUNK):  # requests raises when fewer came than were announced
                body += chunk
                if len(body) > self._largest:
                    detail = f"the answer is over {self._largest} bytes"
                    raise AnswerLost(*call, status=response.status_code, detail=detail)
            return Reply(response.status_code, response.headers, bytes(body))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _watch(connection: HTTPConnection) -> None:
    if connection.sock is not None:  # TCP's and TLS's own beginnings are bounded by their time-outs
        Deadline.watch(connection.sock)


class _PlainConnection(HTTPConnection):
    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        _watch(self)
        return super().getresponse()


class _TlsConnection(HTTPSConnection):
    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        _watch(self)
        return super().getresponse()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
