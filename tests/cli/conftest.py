"""The small world that a command of the shell is tried on, and its ledger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from commands import small_world

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import Sandbox


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with small_world() as started:
        yield started


@pytest.fixture
def ledger(box: Sandbox) -> Iterator[Ledger]:
    with Ledger.open(box.environment["LEDGER_URL"]) as opened:
        yield opened
