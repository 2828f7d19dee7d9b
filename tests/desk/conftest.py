"""One small world that was synced once, for everything that only looks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from commands import in_this_process
from open_desk import Visitor, open_desk

from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec


@pytest.fixture(scope="session")
def synced() -> Iterator[Sandbox]:
    with Sandbox(WorldSpec(employees=30, jobs=10, vehicles=6), TargetOptions(calls=100_000)) as box:
        assert in_this_process(box, "sync").exit_code in (0, 1)
        yield box


@pytest.fixture
def visitor(synced: Sandbox) -> Iterator[Visitor]:
    with open_desk(synced.environment) as one:
        yield one
