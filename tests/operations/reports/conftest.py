"""A ledger in a file and a history to write into it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from history import History

from safetyamp_pipelines.ledger import Ledger


class Clock:
    """The ledger's clock, moved by the test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def history(ledger_url: str) -> Iterator[History]:
    clock = Clock()
    with Ledger.open(ledger_url, clock=clock) as ledger:
        yield History(ledger, clock)
