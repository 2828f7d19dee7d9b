"""One control room for all its tests: a sandbox, a mail server, and Dagster over both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alert_receivers import Mailbox, mail_server
from commands import small_world
from room import ControlRoom, control_room

from safetyamp_pipelines.sandbox import Sandbox


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    with small_world() as started:
        yield started


@pytest.fixture(scope="session")
def mail() -> Iterator[Mailbox]:
    with mail_server() as started:
        yield started


@pytest.fixture(scope="session")
def room(box: Sandbox, mail: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    # Every minute, so that nobody waits a quarter of an hour for a tick; the schedule is off until it is switched on.
    changes = {**mail.environment, "SYNC_INTERVAL_MINUTES": "1"}
    with control_room(box, tmp_path_factory.mktemp("dagster"), changes) as started:
        yield started


@pytest.fixture(scope="session")
def synced_room(room: ControlRoom) -> ControlRoom:
    """The control room after at least one sync."""
    if "SUCCESS" not in [run["status"] for run in room.runs("sync_all")]:
        room.succeed("sync_all")
    return room
