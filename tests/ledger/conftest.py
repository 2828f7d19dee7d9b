"""What the ledger's tests stand on: fresh databases of both kinds, a clock that the test moves, ready-made changes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger_entries import change_of

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sync.model.plan import Change

MakeUrl = Callable[[], str]
MakeChange = Callable[..., Change]


class Clock:
    """The time of day, moved by the test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def new_sqlite(tmp_path: Path) -> MakeUrl:
    """Makes URLs of SQLite files that do not exist yet, in folders that do not exist yet."""
    return lambda: f"sqlite:///{tmp_path}/{uuid.uuid4().hex}/ledger.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest) -> MakeUrl:
    """Makes URLs of fresh databases; every test that asks for it runs on both kinds."""
    make: MakeUrl = request.getfixturevalue(f"new_{request.param}")
    return make


@pytest.fixture
def url(new_url: MakeUrl) -> str:
    return new_url()


@pytest.fixture
def ledger(url: str, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(url, clock=clock) as ledger:
        yield ledger


@pytest.fixture
def session(ledger: Ledger) -> int:
    """A running session of employees."""
    return ledger.start_session("run-1", "employees", "plan-hash", {"create": 2, "update": 1})


@pytest.fixture
def change() -> MakeChange:
    """Makes the change that creates employee 100482, or what the test wants different."""

    def make(**differences: Any) -> Change:
        values = {"source_key": "100482", "after": {"first_name": "Nora", "current_title_id": 77}, **differences}
        return change_of(**values)

    return make
