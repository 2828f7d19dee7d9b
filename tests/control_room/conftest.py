"""One control room on PostgreSQL for all its tests: a sandbox, a mail server, and Dagster over both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alert_receivers import Mailbox, mail_server
from load.stories import world_of
from postgresql_server import administer
from room import ControlRoom, control_room
from sqlalchemy import make_url

from safetyamp_pipelines.sandbox import Sandbox, TargetOptions


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    with Sandbox(world_of(12), TargetOptions(calls=100_000)) as started:
        yield started


@pytest.fixture(scope="session")
def mail() -> Iterator[Mailbox]:
    with mail_server() as started:
        yield started


@pytest.fixture(scope="session")
def room(
    box: Sandbox, mail: Mailbox, postgresql: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlRoom]:
    administer(postgresql, "CREATE DATABASE control_room")
    url = make_url(postgresql).set(database="control_room").render_as_string(False)
    # Every minute, so that nobody waits a quarter of an hour for a tick; the schedule is off until it is switched on.
    # And what a dead push has sent may have waited for the budget five seconds, not sixty.
    changes = {"SYNC_INTERVAL_MINUTES": "1", "API_RATE_LIMIT_PERIOD": "5"}
    changes |= {"LEDGER_URL": url, "DAGSTER_POSTGRES_URL": url}
    with control_room(box, tmp_path_factory.mktemp("dagster"), {**mail.environment, **changes}) as started:
        yield started


@pytest.fixture(scope="session")
def synced_room(room: ControlRoom) -> ControlRoom:
    """The control room after at least one sync."""
    if "SUCCESS" not in [run["status"] for run in room.runs("sync_all")]:
        room.succeed("sync_all")
    return room
