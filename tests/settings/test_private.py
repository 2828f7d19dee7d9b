"""What the project makes on the disk is its owner's alone, whatever the process's umask is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.resources.dagster_storage import StorageByEnvironment
from safetyamp_pipelines.systems.http.budget import SqliteBucket
from safetyamp_pipelines.systems.snapshots.files import SnapshotFiles


@pytest.fixture
def open_mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_mask")
def test_data_budget_and_snapshots_are_for_their_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "srv" / "data"
    SnapshotFiles(str(data / "snapshots")).write("viewpoint/jobs/a.bin", b"1")
    SqliteBucket(data / "budget.db", "key").claim(1, 1.0)
    Ledger.open(f"sqlite:///{data / 'ledger.db'}").close()

    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.rglob("*") if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.rglob("*") if path.is_file()} == {"0o600"}


@pytest.mark.usefixtures("open_mask")
def test_the_folders_of_dagsters_home_are_for_their_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.delenv("DAGSTER_POSTGRES_URL", raising=False)

    storage = StorageByEnvironment.from_config_value(None, {})
    assert storage.run_storage.get_runs() == []

    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    assert {oct(path.stat().st_mode & 0o777) for path in folders} == {"0o700"}
