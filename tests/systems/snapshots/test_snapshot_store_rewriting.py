"""Rewriting a stored payload in its place: same name, run and age; the old bytes are gone, also after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from safetyamp_pipelines.systems.snapshots.store import SnapshotStore


@pytest.mark.parametrize("key", [None, Fernet.generate_key().decode()], ids=["plain", "encrypted"])
def test_the_new_payload_stands_where_the_old_one_stood(tmp_path: Path, key: str | None) -> None:
    store = SnapshotStore(str(tmp_path), encryption_key=key)
    first = store.publish("plan/employees", "run-1", b"Nora", {"rows": 1}, kind="Plan")
    second = store.publish("plan/employees", "run-2", b"another", {"rows": 2}, kind="Plan")

    store.rewrite(first, b"nobody", {"rows": 1, "note": "forgotten"})
    store.rewrite(store.history("plan/employees")[1], b"nobody at all", {"rows": 1})

    refs = store.history("plan/employees")
    assert [ref.run_id for ref in refs] == ["run-2", "run-1"]
    assert (store.read(refs[1]), refs[1].content, refs[1].published_at) == (
        b"nobody at all",
        {"rows": 1},
        first.published_at,
    )
    assert (refs[1].kind, refs[1].encrypted) == ("Plan", key is not None)
    assert store.read(second) == b"another"
    assert len(list((tmp_path / "plan" / "employees").iterdir())) == 4
    assert not any(b"Nora" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_what_a_crash_left_beside_the_payload_goes_when_it_is_looked_at_again(tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path))
    ref = store.publish("viewpoint/employees", "run-1", b"new", {}, kind="snapshot")
    stray = tmp_path / "viewpoint" / "employees" / ref.payload.replace(".parquet", ".0a1b2c3d.parquet")
    stray.write_bytes(b"Nora")
    (tmp_path / "viewpoint" / "employees" / "note.txt").write_text("not ours")

    store.rewrite(ref, None, ref.content)

    assert not stray.exists()
    assert (store.read(ref), store.prune("viewpoint/employees")) == (b"new", 0)
    assert (tmp_path / "viewpoint" / "employees" / "note.txt").exists()
