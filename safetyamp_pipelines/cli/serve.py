"""The command `serve`: the desk, until Ctrl-C. The desk itself: `desk/`."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Annotated

import typer
import uvicorn
from starlette.types import ASGIApp

from safetyamp_pipelines.cli.shell import print_lines, with_ledger
from safetyamp_pipelines.desk.access import AccessRules
from safetyamp_pipelines.desk.app import build_desk, build_machines
from safetyamp_pipelines.desk.view import Desk
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the pages; 0 takes a free one.")]


def serve(
    host: Annotated[str, typer.Option(help="Address to bind; any but loopback needs DESK_USER_HEADER.")] = "127.0.0.1",
    port: Port = 8080,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="A separate port for /live, /ready, /health and /metrics.")
    ] = None,
    metrics_host: Annotated[str | None, typer.Option(help="Address of that port; --host without it.")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show everything, accept no decisions.")] = False,
) -> None:
    """Serve the desk: pages for people without Dagster, and endpoints for machines."""
    with with_ledger(create=True, writes=not read_only) as (ledger, settings):  # it may start before the first sync
        desk = Desk(settings, ledger, snapshot_store(settings), read_only)
        AccessRules(settings, read_only).refuse_binding(host)
        doors = [(build_desk(desk, with_machines=metrics_port is None), _bound(host, port))]
        if metrics_port is not None:
            doors.append((build_machines(desk), _bound(metrics_host or host, metrics_port)))
        for _, door in doors:
            address, number, *_ = door.getsockname()
            print_lines(f"serving on http://{f'[{address}]' if ':' in address else address}:{number}")
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve([(_server(app), door) for app, door in doors]))


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises Refusal when it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Refusal(f"{host}:{port} cannot be bound ({reason}): choose another --host or --port") from None


def _server(app: ASGIApp) -> uvicorn.Server:
    # URLs hold keys, so uvicorn's own access log stays off: `access.py` logs routes. A proxy's headers are read by
    # `access.py` alone, which knows which proxy may be believed.
    return uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False, server_header=False)
    )


async def _serve(doors: list[tuple[uvicorn.Server, socket.socket]]) -> None:
    """Run all until one is asked to stop, then stop the others."""
    serving = [asyncio.create_task(server.serve(sockets=[door])) for server, door in doors]
    await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    for server, _ in doors:
        server.should_exit = True
    await asyncio.gather(*serving)
