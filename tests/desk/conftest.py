"""One small world that was synced once, for everything that only looks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import in_this_process
from once import made_once
from open_desk import Visitor, open_desk

from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec


def world(home: Path) -> Sandbox:
    return Sandbox(WorldSpec(employees=30, jobs=10, vehicles=6), TargetOptions(calls=100_000), home=home)


@pytest.fixture(scope="session")
def synced_desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the world after its sync, with the number of calls that SafetyAmp saw in `calls`."""

    def sync(home: Path) -> None:
        with world(home) as box:
            assert in_this_process(box, "sync").exit_code in (0, 1)
            (home / "calls").write_text(str(len(box.requests("safetyamp"))))

    return made_once("desk-world", sync, tmp_path_factory)


@pytest.fixture(scope="session")
def synced(synced_desk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with world(shutil.copytree(synced_desk, tmp_path_factory.mktemp("desk") / "home")) as box:
        yield box


@pytest.fixture
def visitor(synced: Sandbox) -> Iterator[Visitor]:
    with open_desk(synced.environment) as one:
        yield one
