"""Alerts by mail: one connection for each message, with TLS wherever there is any. Errors hold no address or login."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import ssl
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

from safetyamp_pipelines.operations.alerts.messages import Taken, Words
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.settings.value_types import is_loopback
from safetyamp_pipelines.sync.model.errors import NotDelivered
from safetyamp_pipelines.systems.http.deadline import Deadline

log = get_logger(__name__)

TIMEOUT = 10.0
"""Seconds for each answer of the server."""
LONGEST = 30.0
"""Seconds for the whole conversation: a tick of a sensor has a minute for everything."""
TLS_PORT = 465
"""The port on which a mail server speaks TLS from the first byte, without STARTTLS."""


@dataclass(frozen=True)
class MailChannel:
    """SMTP_SERVER, and everybody in ALERT_EMAIL_TO, or one `owner` of sync.yaml."""

    settings: Settings
    longest: float = LONGEST
    owner: str | None = None

    @property
    def name(self) -> str:
        """The key of its state in the cursor: without an address."""
        return "mail" if self.owner is None else f"owner {_mark(self.owner)}"

    @property
    def _addresses(self) -> tuple[str, ...]:
        return self.settings.alert_email_to if self.owner is None else (self.owner,)

    def send(self, words: Words, only: Collection[str] = ()) -> Taken:
        """Hand the message to the mail server; NotDelivered when it accepts no recipient. Those it defers (4xx) are
        to be tried again, those that it refuses are not."""
        to = [address for address in self._addresses if not only or _mark(address) in only]
        if not to:
            return Taken("its addresses are no longer in ALERT_EMAIL_TO")
        message = self._message(words)
        with self._connected() as server:
            refused = server.send_message(message, to_addrs=to)
        taken = f"taken by {self._server} for {len(to) - len(refused)}"
        if not refused:
            return Taken(f"{taken} {'address' if len(to) == 1 else 'addresses'}")
        later = tuple(_mark(address) for address, (code, _) in refused.items() if code < 500)
        log.warning("mail_refused_for_some", refused=len(refused) - len(later), deferred=len(later), of=len(to))
        return Taken(f"{taken} of {len(to)} addresses" + (f", {len(later)} tried again" if later else ""), later)

    def check(self) -> str:
        """Connect, log in and disconnect; NotDelivered when that fails. No mail is sent."""
        with self._connected() as server:
            server.noop()
        return f"{self._server} answers"

    @property
    def _server(self) -> str:
        return f"{self.settings.smtp_server}:{self.settings.smtp_port}"

    def _message(self, words: Words) -> EmailMessage:
        sender = Address(addr_spec=self.settings.alert_email_from or "")
        message = EmailMessage()
        message["Subject"] = words.subject
        message["From"] = sender
        message["To"] = [Address(addr_spec=address) for address in self._addresses]
        message["Date"] = formatdate()
        # The same words have the same id: a mail that is sent again after a crash is shown once by many programs.
        digest = hashlib.sha256(f"{words.subject}\n{words.text}".encode()).hexdigest()[:32]
        message["Message-ID"] = f"<{digest}@{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps out-of-office replies from coming back
        message.set_content(words.text)
        return message

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """A connection, secured and logged in; everything that can go wrong on it becomes NotDelivered."""
        deadline = Deadline(self.longest)
        try:
            with deadline, closing(self._connection()) as server:
                self._secure(server)
                if self.settings.smtp_username is not None and self.settings.smtp_password is not None:
                    server.login(self.settings.smtp_username, self.settings.smtp_password.get_secret_value())
                yield server
                # The message was accepted: an error while disconnecting must not make us send it again.
                with suppress(OSError, smtplib.SMTPException):
                    server.quit()
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            # Not `from error`: what a mail server answers, or a login in an exception, may hold addresses.
            seconds = self.longest if deadline.has_passed else None
            raise NotDelivered(f"the mail server {self._server} {_reason(error, seconds)}") from None

    def _connection(self) -> smtplib.SMTP:
        host, port = self.settings.smtp_server or "", self.settings.smtp_port
        # The machine's own name, not its full one: looking that up can take longer than the tick.
        name = socket.gethostname() or "localhost"
        if port == TLS_PORT:
            return _TlsConversation(host, port, name, timeout=TIMEOUT, context=self._tls())
        return _Conversation(host, port, name, timeout=TIMEOUT)

    def _secure(self, server: smtplib.SMTP) -> None:
        """TLS as SMTP_STARTTLS wants it; a login never travels without, except on loopback."""
        if isinstance(server, smtplib.SMTP_SSL):
            return
        wanted = self.settings.smtp_starttls
        server.ehlo_or_helo_if_needed()
        if wanted != "off" and server.has_extn("starttls"):
            server.starttls(context=self._tls())
            return
        has_login = self.settings.smtp_username is not None and not is_loopback(self.settings.smtp_server or "")
        if wanted == "required" or has_login:
            why = "SMTP_STARTTLS requires it" if wanted == "required" else "the login must not travel without it"
            raise NotDelivered(f"the mail server {self._server} offers no STARTTLS, and {why}. Check SMTP_PORT")

    def _tls(self) -> ssl.SSLContext:
        bundle = self.settings.requests_ca_bundle
        if bundle is None:
            return ssl.create_default_context()
        return ssl.create_default_context(
            cafile=None if bundle.is_dir() else bundle, capath=bundle if bundle.is_dir() else None
        )


class _Conversation(smtplib.SMTP):
    """One that the deadline of its thread cuts, from the first byte."""

    def _get_socket(self, *where: Any) -> Any:
        connected = super()._get_socket(*where)  # type: ignore[misc]
        Deadline.watch(connected)
        return connected


class _TlsConversation(smtplib.SMTP_SSL, _Conversation):
    """With TLS from the first byte on."""


def _mark(address: str) -> str:
    """A name for an address that may be stored."""
    return hashlib.sha256(address.casefold().encode()).hexdigest()[:16]


def _reason(error: Exception, passed: float | None = None) -> str:
    """What went wrong, in our own words, since those of a server may repeat addresses. `passed`: the seconds waited."""
    # smtplib makes a time-out in the middle of a conversation an end of it, with the time-out as its context.
    if passed is not None or isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return f"did not answer in {passed or TIMEOUT:.0f} s. Check SMTP_SERVER, SMTP_PORT and the network"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"refused the login ({error.smtp_code}). Check SMTP_USERNAME and SMTP_PASSWORD"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = ", ".join(sorted({str(code) for code, _ in error.recipients.values()}))
        return f"accepts mail for none of the addresses ({codes}). Check ALERT_EMAIL_TO"
    if isinstance(error, smtplib.SMTPSenderRefused):
        return f"refused the sender ({error.smtp_code}). Check ALERT_EMAIL_FROM, and SMTP_USERNAME and SMTP_PASSWORD"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"refused ({error.smtp_code}). Try again later"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted ({error.verify_message}). Check REQUESTS_CA_BUNDLE"
    if isinstance(error, ssl.SSLError):
        return "offers no TLS that we understand. Check SMTP_PORT: 465 is TLS from the start, 587 is STARTTLS"
    if isinstance(error, smtplib.SMTPNotSupportedError):  # of login alone: addresses are ASCII by the settings
        return "accepts no login on this connection. Check SMTP_PORT, or remove SMTP_USERNAME and SMTP_PASSWORD"
    if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException):
        return f"cannot be reached ({type(error).__name__}). Check SMTP_SERVER, SMTP_PORT and the network"
    return f"ended the conversation ({type(error).__name__}). Try again later"
