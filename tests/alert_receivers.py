"""Who takes alerts in tests: a real SMTP server, with STARTTLS and a login where wanted, and a real HTTP receiver."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP as Protocol
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from ports import free_port

LOGIN, PASSWORD = "alerts", "s3cret-mail"


@dataclass
class Mailbox:
    """Everything that arrived, oldest first. `refuses` are addresses that the server does not take mail for, `defers`
    those that it takes mail for after so many tries. `receivers` are those of each mail."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[bool] = field(default_factory=list)
    refuses: Collection[str] = ()
    defers: dict[str, int] = field(default_factory=dict)
    receivers: list[list[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The settings that send alerts here."""
        return {
            "SMTP_SERVER": "127.0.0.1",
            "SMTP_PORT": str(self.port),
            "ALERT_EMAIL_FROM": "sync@example.com",
            "ALERT_EMAIL_TO": "on-call@example.com",
        }

    @property
    def subjects(self) -> list[str]:
        return [str(message["Subject"]).strip() for message in self.messages]

    def text(self, number: int = -1) -> str:
        """The plain text of a message, its lines ended as Python does."""
        body = self.messages[number].get_body(("plain",))
        assert body is not None
        content = body.get_content()
        assert isinstance(content, str)
        return content.replace("\r\n", "\n")

    def about(self, words: str, since: int = 0) -> int | None:
        """The number of the first message from that one on which holds these words, in subject or text."""
        numbers = range(since, len(self.messages))
        return next((n for n in numbers if words in f"{self.subjects[n]}\n{self.text(n)}"), None)

    async def handle_RCPT(
        self, server: Protocol, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return f"550 <{address}> is unknown here"
        if self.defers.get(address, 0) > 0:
            self.defers[address] -= 1
            return f"450 <{address}> is greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Protocol, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.messages.append(message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]
        self.receivers.append(list(envelope.rcpt_tos))
        self.encrypted.append(session.ssl is not None)
        self.logins.append(bool(session.authenticated))
        return "250 taken"


def authenticated(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
    is_right = isinstance(given, LoginPassword) and given == LoginPassword(LOGIN.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)


@contextmanager
def mail_server(
    port: int | None = None,
    *,
    authority: trustme.CA | None = None,
    wants_login: bool = False,
    refuses: Collection[str] = (),
) -> Iterator[Mailbox]:
    """Listens on loopback. With an authority it offers STARTTLS; it takes no mail for the addresses in `refuses`."""
    context = None
    if authority is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    box = Mailbox(port or free_port(), refuses=refuses)
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        tls_context=context,
        authenticator=authenticated if wants_login else None,
        auth_required=wants_login and context is not None,  # without TLS it is a warning, and the login is still tried
        auth_require_tls=context is not None,
    )
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@contextmanager
def dripping_server() -> Iterator[int]:
    """The port of a server that answers everybody with one byte now and then, and never ends a line."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            with suppress(OSError):
                connected, _ = listening.accept()
                with connected:
                    while True:
                        connected.sendall(b"2")
                        time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        yield listening.getsockname()[1]


@dataclass
class Calls:
    """What a receiver was sent: method, path and JSON. It answers with the next status of `answers`, at the end 200."""

    url: str
    answers: list[int] = field(default_factory=list)
    received: list[tuple[str, str, Any]] = field(default_factory=list)

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.received]


@contextmanager
def receiver(*answers: int) -> Iterator[Calls]:
    """An HTTP server on loopback that takes whatever is sent, and answers with these statuses first."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            calls.received.append((self.command, self.path, json.loads(raw) if raw else None))
            self.send_response(calls.answers.pop(0) if calls.answers else 200)
            self.end_headers()
            self.wfile.write(b"ok")

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Nothing on the console."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    calls = Calls(f"http://127.0.0.1:{server.server_port}", list(answers))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield calls
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def bundle_of(authority: trustme.CA, folder: Path) -> str:
    """The path of a file with the authority's certificate."""
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)
