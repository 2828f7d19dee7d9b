"""What the sandbox's own alerts reach: a mail server, a webhook and a heartbeat on loopback, and a page that shows what
came. Nothing of it leaves the machine.
"""

from __future__ import annotations

import email
import email.policy
import html
import json
import socketserver
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

KEPT = 200
LARGEST = 1024 * 1024
_DONE = {"MAIL", "RCPT", "NOOP", "RSET"}


@dataclass(frozen=True)
class Caught:
    """One message: `to` whom, or the path it was posted to."""

    at: str
    kind: str
    to: str
    subject: str
    text: str


class Catcher:
    """Takes mails at `port` from `start()` to `stop()`, and what is posted to `app`; keeps the newest."""

    def __init__(self) -> None:
        self.beats = 0
        self._caught: deque[Caught] = deque(maxlen=KEPT)
        catcher = self

        class Conversation(socketserver.StreamRequestHandler):
            timeout = 30

            def handle(self) -> None:
                catcher._converse(self.rfile, self.wfile)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Conversation)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="sandbox-mail", daemon=True)
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/caught", self._list),
                Route("/webhook", self._webhook, methods=["POST"]),
                Route("/heartbeat", self._heartbeat, methods=["GET", "POST"]),
            ]
        )

    def environment(self, url: str) -> dict[str, str]:
        """The variables that send alerts here; `url` is where `app` is served."""
        return {
            "SMTP_SERVER": "127.0.0.1",
            "SMTP_PORT": str(self.port),
            "ALERT_EMAIL_FROM": "sync@example.com",
            "ALERT_EMAIL_TO": "on-call@example.com",
            "ALERT_WEBHOOK_URL": f"{url}/webhook",
            "HEARTBEAT_URL": f"{url}/heartbeat",
        }

    def start(self) -> Catcher:
        """Listen from now on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the mail server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def caught(self) -> list[Caught]:
        """What came, oldest first."""
        return list(self._caught)

    def _keep(self, kind: str, to: str, subject: str, text: str) -> None:
        self._caught.append(Caught(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", kind, to, subject, text))

    def _converse(self, lines: Any, answers: Any) -> None:
        """One conversation in the SMTP of RFC 5321, as far as a sender without login needs it."""

        def say(text: str) -> None:
            answers.write(f"{text}\r\n".encode())

        receivers: list[str] = []
        say("220 the sandbox takes every mail")
        while line := lines.readline(1000).decode(errors="replace"):
            match verb := line[:4].upper():
                case "EHLO" | "HELO":
                    say("250 sandbox")
                case "RCPT":
                    receivers.append(line.partition("<")[2].partition(">")[0])
                    say("250 taken")
                case "DATA":
                    say("354 end with a dot alone")
                    self._mail(b"".join(_content(lines)), receivers)
                    receivers = []
                    say("250 caught")
                case "QUIT":
                    say("221 good-bye")
                    break
                case _:
                    say("250 taken" if verb in _DONE else "502 not spoken here")

    def _mail(self, content: bytes, receivers: list[str]) -> None:
        message = email.message_from_bytes(content, policy=email.policy.default)
        body = message.get_body(("plain",))
        text = body.get_content() if body is not None else ""
        self._keep("mail", ", ".join(receivers), str(message["Subject"] or "").strip(), str(text))

    async def _webhook(self, request: Request) -> Response:
        text = (await request.body())[:LARGEST].decode(errors="replace")
        with suppress(ValueError, KeyError, TypeError):
            text = str(json.loads(text)["text"])
        self._keep("webhook", request.url.path, text.partition("\n")[0], text)
        return PlainTextResponse("caught")

    async def _heartbeat(self, _: Request) -> Response:
        self.beats += 1
        return PlainTextResponse("caught")

    async def _list(self, _: Request) -> Response:
        return JSONResponse({"beats": self.beats, "caught": [asdict(one) for one in self.caught()]})

    async def _page(self, _: Request) -> Response:
        shown = "".join(
            f"<h2>{html.escape(one.subject)}</h2><p>{one.at} · {one.kind} to {html.escape(one.to)}</p>"
            f"<pre>{html.escape(one.text)}</pre>"
            for one in reversed(self.caught())
        )
        style = "body{font:15px sans-serif;margin:2em auto;max-width:60em}pre{white-space:pre-wrap}"
        return HTMLResponse(
            f"<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=10><title>Caught alerts</title>"
            f"<style>{style}</style><h1>Alerts of this sandbox</h1><p>{self.beats} heartbeats</p>"
            f"{shown or '<p>None yet.</p>'}"
        )


def _content(lines: Any) -> Iterator[bytes]:
    """The lines of a message up to the dot alone, of bounded size."""
    size = 0
    while (line := lines.readline(LARGEST)) and line.rstrip(b"\r\n") != b".":
        size += len(line)
        if size <= LARGEST:
            yield line[1:] if line.startswith(b".") else line
