"""One ASGI application on a free port of 127.0.0.1, in a thread of this process. No application code here."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import Any

import trustme
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

START_TIMEOUT = 10.0  # seconds; a start takes some 5 ms
KEEP_ALIVE = 600  # seconds: an idle connection closed under a client's next write would be a fault nobody asked for


class TransportProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with the connection's transport in `scope["state"]` so a fault can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the transport for every request of this connection."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class AppServer:
    """Serves `app` from `start()` to `stop()`; `port` and `url` (no slash at its end) are known before.

    With `tls` (a server-side context) the URL is `https://localhost:PORT`, else `http://127.0.0.1:PORT`.
    """

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext | None = None) -> None:
        self._app, self._tls = app, tls
        self._socket = _bound_socket()
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._run, name="sandbox-server", daemon=True)
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_asked: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """Where to reach the application."""
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    def start(self) -> AppServer:
        """Serve from now on; raises RuntimeError when the server does not come up."""
        self._thread.start()
        if not self._started.wait(START_TIMEOUT):
            raise RuntimeError("the sandbox server did not start")
        return self

    def stop(self) -> None:
        """Cut every connection and end the thread; calling it twice is harmless."""
        if self._loop is not None and self._stop_asked is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop_asked.set)
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        """uvicorn starts the server; the end is ours, as its graceful one takes 0.3 s and waits for idle clients."""
        server = uvicorn.Server(self._config())
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        self._loop, self._stop_asked = asyncio.get_running_loop(), asyncio.Event()
        await server.startup(sockets=[self._socket])
        self._started.set()
        await self._stop_asked.wait()
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()

    def _config(self) -> uvicorn.Config:
        tls: dict[str, Any] = {"ssl_context_factory": lambda *_: self._tls} if self._tls else {}
        return uvicorn.Config(
            self._app,
            http=TransportProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            **tls,
        )


def _bound_socket() -> socket.socket:
    """The protocol is named because asyncio switches Nagle's delay (40 ms an answer) off only where it reads TCP."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.bind(("127.0.0.1", 0))
    return bound


class LocalAuthority:
    """A certificate authority for localhost, made anew for every sandbox; nothing outside trusts it."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self._certificate = self._authority.issue_cert("localhost", "127.0.0.1")

    def bundle(self) -> bytes:
        """The authority's certificate as PEM, for REQUESTS_CA_BUNDLE."""
        return self._authority.cert_pem.bytes()

    def server_context(self) -> ssl.SSLContext:
        """A context whose certificate is valid for localhost and 127.0.0.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._certificate.configure_cert(context)
        return context
