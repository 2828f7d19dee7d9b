"""A real PostgreSQL server without an installation: how it is started, and how it is administered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

START_ATTEMPTS = 3


def started(server_package: Any, data: Path) -> Any:
    """A running server. On a busy machine the package's ten seconds to start it can be too short: look again."""
    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            return server_package.get_server(data, cleanup_mode="stop")
        except Exception:
            server_package.PostgresServer._instances.pop(data.resolve(), None)
            if attempt == START_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def administer(url: str, *statements: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
