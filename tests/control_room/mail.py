"""A real SMTP server that keeps what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from ports import free_port


@dataclass
class MailBox:
    """Everything that arrived, oldest first."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The settings that send alerts here."""
        return {
            "SMTP_SERVER": "127.0.0.1",
            "SMTP_PORT": str(self.port),
            "ALERT_EMAIL_FROM": "sync@example.com",
            "ALERT_EMAIL_TO": "on-call@example.com",
        }

    def about(self, *words: str, since: int = 0) -> EmailMessage | None:
        """The first message since that number which holds all these words, in subject or text."""
        return next((m for m in self.messages[since:] if all(word in text_of(m) for word in words)), None)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Called by the server for each message."""
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 taken"


def text_of(message: EmailMessage) -> str:
    """Subject and plain text."""
    body = message.get_body(("plain",))
    assert body is not None
    return f"{message['Subject']}\n{body.get_content()}"


@contextmanager
def mail_server() -> Iterator[MailBox]:
    """Listens on a free port of loopback."""
    box = MailBox(port=free_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
