"""As much of SQL Server as a login takes: TDS's pre-login, TLS inside it, and a refusal of the login in real tokens."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PRE_LOGIN, TABULAR = 0x12, 0x04
ENCRYPTION_ON, NO_ENCRYPTION = 1, 2


class TdsServer:
    """Answers each login with one error of SQL Server; encrypted where it is given a context of TLS."""

    def __init__(self, number: int, text: str, tls: ssl.SSLContext | None = None) -> None:
        self._number, self._text, self._tls = number, text, tls
        if tls is not None:
            tls.maximum_version = ssl.TLSVersion.TLSv1_2  # inside TDS 7 there is no later one
        self.logins = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, EOFError):
            connection.settimeout(10)
            _received(connection)
            _send(connection, _pre_login(NO_ENCRYPTION if self._tls is None else ENCRYPTION_ON))
            refusal = _packet(_error(self._number, self._text) + _done(), TABULAR)
            if self._tls is None:
                _received(connection)
                self.logins += 1
                connection.sendall(refusal)
                return
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = self._tls.wrap_bio(incoming, outgoing, server_side=True)
            _shake_hands(connection, tls, incoming, outgoing)
            if not _decrypted(connection, tls, incoming):
                return
            self.logins += 1
            tls.write(refusal)
            connection.sendall(outgoing.read())
            _received(connection)  # until the client has gone


def _shake_hands(
    connection: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
) -> None:
    """TLS's handshake, each flight of it in packets of TDS."""
    while True:
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
            if outgoing.pending:
                _send(connection, outgoing.read())
            return
        if outgoing.pending:
            _send(connection, outgoing.read())
        incoming.write(_received(connection))


def _decrypted(connection: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO) -> bytes:
    """What comes next, which TLS carries without TDS around it."""
    while True:
        with suppress(ssl.SSLWantReadError):
            return tls.read(65536)
        arrived = connection.recv(65536)
        if not arrived:
            return b""
        incoming.write(arrived)


def _received(connection: socket.socket) -> bytes:
    """The payload of one packet; EOFError when the client has gone."""
    head = _exactly(connection, 8)
    return _exactly(connection, int.from_bytes(head[2:4], "big") - 8)


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def _packet(payload: bytes, kind: int) -> bytes:
    return struct.pack(">BBHHBB", kind, 1, 8 + len(payload), 0, 1, 0) + payload


def _send(connection: socket.socket, payload: bytes) -> None:
    connection.sendall(_packet(payload, PRE_LOGIN if payload[:1] == b"\x16" else TABULAR))


def _pre_login(encryption: int) -> bytes:
    """Version 16 and whether what follows is encrypted."""
    begin = 2 * 5 + 1
    return struct.pack(">BHHBHHB", 0, begin, 6, 1, begin + 6, 1, 0xFF) + bytes((16, 0, 16, 0, 0, 0, encryption))


def _error(number: int, text: str) -> bytes:
    name = "sandbox"
    body = struct.pack("<iBB", number, 1, 14)
    body += struct.pack("<H", len(text)) + text.encode("utf-16le")
    body += bytes((len(name),)) + name.encode("utf-16le") + b"\0" + struct.pack("<i", 1)
    return b"\xaa" + struct.pack("<H", len(body)) + body


def _done() -> bytes:
    return b"\xfd" + struct.pack("<HHQ", 2, 0, 0)


@contextmanager
def tds_server(number: int, text: str, tls: ssl.SSLContext | None = None) -> Iterator[TdsServer]:
    """One for a test."""
    server = TdsServer(number, text, tls)
    try:
        yield server
    finally:
        server.close()
