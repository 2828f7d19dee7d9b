"""The door every request to the sandbox passes: it logs the request and lets faults happen. No application code."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safetyamp_pipelines.sandbox.envelopes import HTML, empty_page, endless_page, error_answer, has_rows
from safetyamp_pipelines.sandbox.faults import FaultBook, FaultRule
from safetyamp_pipelines.sandbox.requestlog import RequestLog

Headers = tuple[tuple[bytes, bytes], ...]

_NOT_FORWARDED = ("cut_before", "status", "html", "answer", "drip", "endless_page")


@dataclass(frozen=True)
class Answer:
    """A whole answer, held back until it is known what becomes of it."""

    status: int
    headers: Headers
    body: bytes

    def with_body(self, body: bytes) -> Answer:
        """The same answer with another body and the length that goes with it."""
        kept = tuple((name, value) for name, value in self.headers if name.lower() != b"content-length")
        return Answer(self.status, (*kept, (b"content-length", str(len(body)).encode())), body)

    @classmethod
    def plain(cls, status: int, content_type: bytes, body: bytes, headers: Headers = ()) -> Answer:
        """An answer that no application gave."""
        return cls(status, ((b"content-type", content_type), *headers), b"").with_body(body)


@dataclass(frozen=True)
class _Exchange:
    """One request on its way: where it is logged, what it carries, and the connection to its caller."""

    seq: int
    system: str
    body: bytes
    scope: Scope
    receive: Receive
    send: Send


class Gate:
    """ASGI middleware around one application; `system_of(path)` names the system a request is for."""

    def __init__(self, app: ASGIApp, log: RequestLog, faults: FaultBook, system_of: Callable[[str], str]) -> None:
        self._app, self._log, self._faults, self._system_of = app, log, faults, system_of
        self._pages: dict[tuple[str, str], deque[bytes]] = defaultdict(lambda: deque(maxlen=4))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Log the request, then answer it as the application or as a fault will have it."""
        body = await _read(receive)
        if body is None:
            return
        system, method, path = self._system_of(scope["path"]), scope["method"], scope["path"]
        query = scope["query_string"].decode("latin-1")
        seq = self._log.open(system, method, path, query, _json_or_none(body))
        exchange = _Exchange(seq, system, body, scope, receive, send)
        fault = self._faults.pick(system, method, path, query)
        try:
            if fault is None:
                await self._answer(exchange, await self._ask(exchange))
            else:
                self._log.note(seq, fault=fault.kind)
                await self._strike(fault, exchange)
        except asyncio.CancelledError:
            return  # the server was stopped, and with it the connection: nobody waits for this answer

    async def _strike(self, fault: FaultRule, exchange: _Exchange) -> None:
        if fault.kind != "slow_answer":
            await asyncio.sleep(fault.delay)
        answer: Answer | None = None
        if fault.acts or fault.kind not in _NOT_FORWARDED:
            answer = await self._ask(exchange)
        if fault.kind == "slow_answer":
            await asyncio.sleep(fault.delay)
        if fault.kind in ("cut_before", "cut_after"):
            await _cut(exchange)
            return
        if fault.kind == "drip":
            await _drip(fault, exchange)
            return
        spoilt = self._spoil(fault, exchange, answer)
        if fault.kind == "truncate":
            self._log.note(exchange.seq, status=spoilt.status)
            await _deliver_half(spoilt, exchange)
        else:
            await self._answer(exchange, spoilt)

    def _spoil(self, fault: FaultRule, exchange: _Exchange, answer: Answer | None) -> Answer:
        """What the caller is answered in place of `answer`, which is None when the application was not asked."""
        if fault.kind == "html":
            return Answer.plain(200, b"text/html", HTML)
        if fault.kind == "answer":
            headers = tuple((name.lower().encode(), value.encode()) for name, value in fault.headers.items())
            return Answer(fault.status, headers, b"").with_body(_bytes(fault.body))
        if fault.kind == "endless_page":
            host = dict(exchange.scope["headers"])[b"host"].decode()
            url = f"{exchange.scope['scheme']}://{host}{exchange.scope['path']}"
            page = endless_page(exchange.system, f"page-{exchange.seq}", url)
            return Answer.plain(200, b"application/json", page)
        if fault.kind == "status" or answer is None:
            headers = () if fault.retry_after is None else ((b"retry-after", str(fault.retry_after).encode()),)
            return Answer.plain(fault.status, *error_answer(exchange.system, fault.status), headers)
        if fault.kind == "cut_json":
            return answer.with_body(answer.body[: len(answer.body) // 2])
        if fault.kind == "poison" and answer.status < 400:
            return answer.with_body(_poisoned(answer.body, fault))
        if fault.kind == "empty_page" and answer.status < 400:
            return answer.with_body(empty_page(exchange.system))
        if fault.kind == "repeat_page" and answer.status < 400:
            pages = reversed(self._pages[exchange.system, exchange.scope["path"]])
            earlier = (page for page in pages if page is not answer.body and has_rows(page))
            return answer.with_body(next(earlier, answer.body))
        return answer

    async def _ask(self, exchange: _Exchange) -> Answer:
        """Hand the request to the application and collect its answer; a page is remembered for `repeat_page`."""
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": exchange.body, "more_body": False}

        async def collect(message: Message) -> None:
            messages.append(message)

        self._log.note(exchange.seq, acted=True)
        await self._app(exchange.scope, receive, collect)
        content = b"".join(message.get("body", b"") for message in messages[1:])
        answer = Answer(messages[0]["status"], tuple(messages[0].get("headers", ())), content)
        if answer.status == 200 and (exchange.scope["method"] == "GET" or "/search" in exchange.scope["path"]):
            self._pages[exchange.system, exchange.scope["path"]].append(answer.body)
        return answer

    async def _answer(self, exchange: _Exchange, answer: Answer) -> None:
        """Log before sending: whoever has the answer finds it in the log."""
        self._log.note(exchange.seq, status=answer.status)
        await _send_head(answer, exchange)
        await exchange.send({"type": "http.response.body", "body": answer.body})


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _poisoned(body: bytes, fault: FaultRule) -> bytes:
    """The answer with the fault's JSON text, right or wrong, as a field of its first record."""
    answer = json.loads(body)
    rows = next((rows for rows in answer.values() if isinstance(rows, list)), [])
    if not rows:
        return body
    rows[0][fault.field] = "the poison"
    return json.dumps(answer).encode().replace(b'"the poison"', _bytes(fault.body))


async def _drip(fault: FaultRule, exchange: _Exchange) -> None:
    """Send a byte now and then until the caller has gone."""
    await _send_head(Answer(200, ((b"content-type", b"application/json"),), b""), exchange)
    gone = asyncio.ensure_future(_until_gone(exchange.receive))
    while not gone.done():
        await exchange.send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.wait((gone,), timeout=max(fault.delay, 0.001))


async def _read(receive: Receive) -> bytes | None:
    """The whole body of the request; None when the caller hung up before it was sent."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _json_or_none(body: bytes) -> Any:
    """The JSON sent; None for anything else, so that a login form with its secret is never kept."""
    try:
        return json.loads(body)
    except ValueError:
        return None


async def _send_head(answer: Answer, exchange: _Exchange) -> None:
    await exchange.send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})


async def _deliver_half(answer: Answer, exchange: _Exchange) -> None:
    """Promise the whole body, send half of it, hang up."""
    await _send_head(answer, exchange)
    half = answer.body[: len(answer.body) // 2]
    await exchange.send({"type": "http.response.body", "body": half, "more_body": True})
    exchange.scope["state"]["transport"].close()
    await _until_gone(exchange.receive)


async def _cut(exchange: _Exchange) -> None:
    """Drop the connection without a byte of answer."""
    exchange.scope["state"]["transport"].abort()
    await _until_gone(exchange.receive)


async def _until_gone(receive: Receive) -> None:
    """Wait until the server knows that the connection is gone; returning earlier would make it answer 500."""
    while (await receive())["type"] != "http.disconnect":
        pass
