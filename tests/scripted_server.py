"""A plain HTTP server on loopback that answers from a script, also as broken servers do, and notes what it is asked."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from safetyamp_pipelines.systems.http.clock import Clock


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[BaseHTTPRequestHandler], None]


def raw(
    status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, length: int | None = None
) -> Answer:
    """An answer with exactly these bytes; `length` lies about how many there are."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        if status != 204:
            handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return send


def answer(data: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON answer; `Retry_After="1"` becomes the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw(status, json.dumps(data).encode(), {"Content-Type": "application/json", **named})


def html(status: int = 200) -> Answer:
    return raw(status, b"<html><body>maintenance</body></html>", {"Content-Type": "text/html; charset=utf-8"})


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Reset the connection without an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def truncated(data: Any) -> Answer:
    """Half of a JSON answer that announced the whole, then the end of the connection."""
    body = json.dumps(data).encode()

    def send(handler: BaseHTTPRequestHandler) -> None:
        raw(200, body[: len(body) // 2], {"Content-Type": "application/json"}, length=len(body))(handler)
        handler.close_connection = True

    return send


@dataclass
class FakeTime:
    """A clock that does not wait: sleeping moves it on."""

    at: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.at, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


class ScriptedServer:
    """Gives the scripted answers in order, the last one again and again. `asked` holds the requests."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._script: list[Answer] = []
        self._respond: Callable[[Asked], Answer] | None = None
        self._lock = threading.Lock()
        self._released = threading.Event()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                query = dict(parse_qsl(url.query))
                scripted._next(Asked(self.command, url.path, query, dict(self.headers), body))(self)

            do_GET = do_POST = do_PUT = do_PATCH = _serve

            def log_message(self, format: str, *args: Any) -> None:
                """Tests read `asked` instead."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def script(self, *answers: Answer) -> None:
        self._script = list(answers)

    def respond(self, function: Callable[[Asked], Answer]) -> None:
        """Let a function find the answer of each request."""
        self._respond = function

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """Give no answer before the server stops."""
        self._released.wait()
        cut(handler)

    def _next(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            if self._respond is not None:
                return self._respond(asked)
            return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    def stop(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def paged(rows: Iterable[Any], *, cap: int | None = None) -> Callable[[Asked], Answer]:
    """SafetyAmp's paging over these rows; `cap` is the most rows the server gives, whatever it is asked."""
    held = list(rows)

    def respond(asked: Asked) -> Answer:
        page, limit = int(asked.query["page"]), int(asked.query["limit"])
        size = min(limit, cap or limit)
        return answer({"data": held[page * size : (page + 1) * size]})

    return respond
