"""The store: what is published is read back whole or not at all, whoever dies or writes at the same time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.sync.model.errors import SnapshotError
from safetyamp_pipelines.systems.snapshots.files import SnapshotFiles
from safetyamp_pipelines.systems.snapshots.store import SnapshotRef, SnapshotStore, snapshot_store

NAME = "viewpoint/jobs"
START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


class Clock:
    """Time that passes by a second with each look, and by leaps when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture(params=["folder", "memory"])
def base_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place of either kind."""
    return str(tmp_path / "snapshots") if request.param == "folder" else f"memory://{uuid4().hex}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


def files(folder: Path) -> list[str]:
    """The names under which anything of NAME is kept."""
    return sorted(path.name for path in (folder / NAME).iterdir())


# Publishing and finding -----------------------------------------------------------------------------------------


def test_what_is_published_is_read_back_with_its_manifest(base_url: str) -> None:
    store = SnapshotStore(base_url, clock=Clock())
    published = store.publish(NAME, "run-1", b"payload", {"rows": 3}, kind="snapshot")

    found = SnapshotStore(base_url).newest(NAME)
    assert found == published
    assert found is not None
    assert store.read(found) == b"payload"
    assert (found.run_id, found.size, found.kind, found.encrypted) == ("run-1", 7, "snapshot", False)
    assert found.content == {"rows": 3}
    assert found.published_at == "2026-11-20T10:00:01+00:00"
    assert found.path.startswith("viewpoint/jobs/20261120T100001000000Z_run-1_")


def test_the_newest_overall_and_the_newest_of_a_run(base_url: str) -> None:
    store = SnapshotStore(base_url, clock=Clock())
    for run, payload in (("aaaaaaaa-1", b"1"), ("aaaaaaaa-2", b"2"), ("aaaaaaaa-1", b"3"), ("bbbbbbbb-1", b"4")):
        store.publish(NAME, run, payload, {})

    def newest(run_id: str | None = None) -> bytes | None:
        ref = store.newest(NAME, run_id)
        return None if ref is None else store.read(ref)

    assert newest() == b"4"
    assert newest("aaaaaaaa-1") == b"3"
    assert newest("aaaaaaaa-2") == b"2"  # the same first eight characters, another run
    assert newest("cccccccc-1") is None
    assert [store.read(ref) for ref in store.history(NAME)] == [b"4", b"3", b"2", b"1"]


def test_names_do_not_see_each_other(base_url: str) -> None:
    store = SnapshotStore(base_url)
    store.publish("viewpoint/jobs", "run", b"jobs", {})
    store.publish("viewpoint", "run", b"parent", {})
    assert store.newest("viewpoint/employees") is None
    assert [store.read(ref) for ref in store.history("viewpoint")] == [b"parent"]


def test_what_others_publish_is_seen_at_once(base_url: str) -> None:
    mine, theirs = SnapshotStore(base_url), SnapshotStore(base_url)
    assert mine.newest(NAME) is None
    theirs.publish(NAME, "run", b"theirs", {})
    ref = mine.newest(NAME)
    assert ref is not None
    assert mine.read(ref) == b"theirs"


@pytest.mark.parametrize("name", ["", "/abs", "a//b", "../up", "a/..", "a b", "a/"])
def test_a_name_cannot_lead_out_of_the_store(base_url: str, name: str) -> None:
    with pytest.raises(SnapshotError, match="is not a name"):
        SnapshotStore(base_url).publish(name, "run", b"", {})


def test_any_run_id_makes_a_file_name(base_url: str) -> None:
    store = SnapshotStore(base_url)
    for run in ("", "../../etc", "run id/ü", "x" * 300):
        store.publish(NAME, run, run.encode(), {})
        ref = store.newest(NAME, run)
        assert ref is not None
        assert store.read(ref) == run.encode()


def test_local_files_are_for_this_user_alone(folder: Path) -> None:
    SnapshotStore(str(folder)).publish(NAME, "run", b"names and birthdays", {})
    assert {path.stat().st_mode & 0o777 for path in (folder / NAME).iterdir()} == {0o600}
    assert (folder / NAME).stat().st_mode & 0o077 == 0


def test_publishers_at_the_same_time_all_succeed(base_url: str) -> None:
    moment = START
    stores = [SnapshotStore(base_url, clock=lambda: moment) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: stores[n % 4].publish(NAME, f"run-{n}", str(n).encode() * 999, {"n": n}), range(40)))
    refs = stores[0].history(NAME)
    assert sorted(ref.content["n"] for ref in refs) == list(range(40))
    assert all(stores[0].read(ref) == str(ref.content["n"]).encode() * 999 for ref in refs)


# Torn, foreign, lost --------------------------------------------------------------------------------------------


@pytest.fixture
def writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that publishes without end."""
    script = Path(__file__).with_name("snapshot_writer.py")
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, str(script), str(folder), "300000"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("seed", range(4))
def test_a_writer_killed_at_any_moment_leaves_the_last_published_one(
    writer: subprocess.Popen[str], folder: Path, seed: int
) -> None:
    # given a writer that has published a few and is in the middle of the next
    random = Random(seed)
    assert writer.stdout is not None
    for _ in range(random.randint(1, 4)):
        told = int(writer.stdout.readline())
    for _ in range(random.randint(0, 300_000)):  # some part of one publication, without sleeping
        pass

    # when it is killed
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    told = max([told, *(int(line) for line in writer.stdout.read().split())])

    # then the newest is whole and is the last it told, or one more that was published before it could tell
    store = SnapshotStore(str(folder))
    newest = store.newest(NAME)
    assert newest is not None
    number = newest.content["number"]
    assert number in (told, told + 1)
    assert store.read(newest) == number.to_bytes(4, "big") * 300_000
    assert [ref.content["number"] for ref in store.history(NAME)] == list(range(number, -1, -1))


def test_every_prefix_of_a_publication_shows_the_old_state(folder: Path) -> None:
    # given the files of a first and a second publication, in the order they were written
    store = SnapshotStore(str(folder), clock=Clock())
    first = store.publish(NAME, "run-1", b"first", {})
    second = store.publish(NAME, "run-2", b"second", {})
    payload, manifest = folder / second.path, (folder / second.path).with_suffix(".json")
    whole = manifest.read_bytes()
    manifest.unlink()

    # when the payload is there, in part or whole, and the manifest under no or under its unfinished name
    for part in (b"", b"sec", b"second"):
        payload.write_bytes(part)
        for unfinished in (b"", whole[:20], whole):
            manifest.with_name(f"{manifest.name}.abcd1234.tmp").write_bytes(unfinished)
            assert store.newest(NAME) == first

    # then only its last step makes the second visible
    manifest.write_bytes(whole)
    assert store.newest(NAME) == second


def spoiled(folder: Path, suffix: str, data: bytes | None) -> SnapshotStore:
    """A store whose one publication has its payload or manifest replaced, or taken away."""
    store = SnapshotStore(str(folder))
    ref = store.publish(NAME, "run", b"payload", {})
    path = (folder / ref.path).with_suffix(suffix)
    path.unlink() if data is None else path.write_bytes(data)
    return store


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"paylobd", "size or hash"), (b"payl", "size or hash"), (b"", "size or hash"), (None, "is missing")],
)
def test_a_spoiled_payload_is_refused_with_what_to_do(folder: Path, data: bytes | None, says: str) -> None:
    store = spoiled(folder, ".bin", data)
    ref = store.newest(NAME)
    assert ref is not None
    with pytest.raises(SnapshotError, match=f"{says}.*materialise viewpoint/jobs again"):
        store.read(ref)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"{}", b'{"format": 1}', b'{"format": 2}', b"\xff\xfe"])
def test_a_spoiled_manifest_is_refused_with_what_to_do(folder: Path, data: bytes) -> None:
    store = spoiled(folder, ".json", data)
    for call in (store.newest, store.history):
        with pytest.raises(SnapshotError, match=r"is not a readable manifest: delete it and its payload"):
            call(NAME)


def test_a_manifest_moved_elsewhere_is_refused(folder: Path) -> None:
    store = SnapshotStore(str(folder))
    ref = store.publish(NAME, "run", b"payload", {})
    other = folder / "viewpoint" / "employees"
    other.mkdir()
    (folder / ref.path).with_suffix(".json").rename(other / f"{Path(ref.payload).stem}.json")
    with pytest.raises(SnapshotError, match="manifest of another payload"):
        store.newest("viewpoint/employees")


class LossyFiles(SnapshotFiles):
    """Storage that says it has written everything and has not."""

    def write(self, path: str, data: bytes) -> None:
        super().write(path, data[:-1])


def test_a_payload_that_does_not_arrive_whole_is_never_published(base_url: str) -> None:
    store = SnapshotStore(base_url)
    old = store.publish(NAME, "run", b"old", {})
    lossy = SnapshotStore(base_url)
    lossy._files = LossyFiles(base_url)
    with pytest.raises(SnapshotError, match="size or hash"):
        lossy.publish(NAME, "run", b"new payload", {})
    assert store.newest(NAME) == old


def test_files_that_are_not_the_stores_own_are_left_alone(folder: Path) -> None:
    store = SnapshotStore(str(folder), clock=Clock())
    ref = store.publish(NAME, "run", b"payload", {})
    strangers = ["notes.json", "README.md", "2026.bin", ".hidden"]
    for name in strangers:
        (folder / NAME / name).write_text("{}")
    assert store.newest(NAME) == ref
    assert store.prune(NAME) == 0
    assert set(strangers) < set(files(folder))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("/proc/version/below", "NotADirectoryError"),
        ("nosuchstore://x", "SNAPSHOT_URL nosuchstore://x could not be"),
        ("abfs://container/path?sas=s3cret", r"SNAPSHOT_URL abfs://container/path could not be"),
    ],
)
def test_storage_that_cannot_be_used_is_one_clear_error(url: str, says: str) -> None:
    with pytest.raises(SnapshotError, match=says) as error:
        SnapshotStore(url).publish(NAME, "run", b"", {})
    assert "s3cret" not in str(error.value)


# Encryption -----------------------------------------------------------------------------------------------------


def test_with_a_key_nothing_readable_is_stored(folder: Path) -> None:
    key = Fernet.generate_key().decode()
    store = SnapshotStore(str(folder), encryption_key=key)
    ref = store.publish(NAME, "run", b"Nora Test, 1990-02-03", {"rows": 1})
    assert all(b"Nora" not in path.read_bytes() for path in (folder / NAME).iterdir())
    assert ref.encrypted
    assert SnapshotStore(str(folder), encryption_key=key).read(ref) == b"Nora Test, 1990-02-03"


def test_a_wrong_or_missing_key_says_what_to_do(base_url: str) -> None:
    key, other = (Fernet.generate_key().decode() for _ in range(2))
    ref = SnapshotStore(base_url, encryption_key=key).publish(NAME, "run", b"payload", {})
    with pytest.raises(SnapshotError, match=r"another key: set SNAPSHOT_ENCRYPTION_KEY to that one, or materialise"):
        SnapshotStore(base_url, encryption_key=other).read(ref)
    with pytest.raises(SnapshotError, match=r"is encrypted: set SNAPSHOT_ENCRYPTION_KEY"):
        SnapshotStore(base_url).read(ref)


def test_what_was_published_before_there_was_a_key_stays_readable(base_url: str) -> None:
    ref = SnapshotStore(base_url).publish(NAME, "run", b"payload", {})
    assert SnapshotStore(base_url, encryption_key=Fernet.generate_key().decode()).read(ref) == b"payload"


def test_a_key_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(SnapshotError, match="SNAPSHOT_ENCRYPTION_KEY is not a Fernet key") as error:
        SnapshotStore("memory://x", encryption_key="s3cret")
    assert "s3cret" not in str(error.value)


# Retention ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    ages=st.lists(st.integers(0, 100), max_size=12),
    keep_count=st.integers(1, 8),
    keep_days=st.integers(1, 60),
    orphans=st.lists(st.integers(0, 100), max_size=4),
)
def test_pruning_keeps_the_newest_what_is_few_and_young_and_all_that_is_named(
    ages: list[int], keep_count: int, keep_days: int, orphans: list[int]
) -> None:
    # given publications and payloads without a manifest of these ages in days, less an hour
    base_url, now = f"memory://{uuid4().hex}", START
    refs: list[SnapshotRef] = []
    for age in sorted(ages, reverse=True):
        then = now - timedelta(days=age) + timedelta(hours=1, seconds=len(refs))
        refs.append(SnapshotStore(base_url, clock=lambda then=then: then).publish(NAME, "run", b"x", {}))
    store = SnapshotStore(base_url, keep_count, keep_days, clock=lambda: now)
    for number, age in enumerate(orphans):
        stamp = (now - timedelta(days=age) + timedelta(hours=1)).strftime("%Y%m%dT%H%M%S%fZ")
        store._files.write(f"{NAME}/{stamp}_orphan_0000000{number}.parquet", b"x")

    # when
    store.prune(NAME)

    # then
    newest_first = list(zip(sorted(ages), refs[::-1], strict=True))
    kept = [
        ref for index, (age, ref) in enumerate(newest_first) if not index or (index < keep_count and age <= keep_days)
    ]
    assert store.history(NAME) == kept
    assert all(store.read(ref) == b"x" for ref in kept)
    left = [name for name in store._files.names(NAME) if "orphan" in name]
    assert len(left) == sum(age <= 1 for age in orphans)
    assert len(store._files.names(NAME)) == 2 * len(kept) + len(left)
    assert store.prune(NAME) == 0


def test_pruning_needs_no_readable_manifest_and_keeps_the_payload_of_a_spoiled_one(folder: Path) -> None:
    store = SnapshotStore(str(folder), clock=Clock())
    ref = store.publish(NAME, "run", b"payload", {})
    (folder / ref.path).with_suffix(".json").write_text("{")
    assert store.prune(NAME) == 0
    assert len(files(folder)) == 2


def test_a_reader_does_not_mind_a_snapshot_pruned_under_it(folder: Path) -> None:
    store = SnapshotStore(str(folder), clock=Clock())
    for payload in (b"1", b"2", b"3"):
        store.publish(NAME, "run", payload, {})
    listing = store._refs(NAME)
    assert store.read(next(listing)) == b"3"
    for path in (folder / NAME).glob("*.json"):
        if json.loads(path.read_text())["sha256"] != next(iter(store.history(NAME))).sha256:
            path.unlink()
    assert list(listing) == []


def test_the_settings_describe_the_store(folder: Path) -> None:
    key = Fernet.generate_key().decode()
    environment = {"SNAPSHOT_URL": str(folder), "SNAPSHOT_ENCRYPTION_KEY": key, "SNAPSHOT_KEEP_COUNT": "1"}
    store = snapshot_store(load_settings(environment, env_file=None))
    refs = [store.publish(NAME, "run", b"payload", {}) for _ in range(3)]
    store.prune(NAME)
    assert [ref.encrypted for ref in refs] == [True] * 3
    assert len(store.history(NAME)) == 1


def test_of_several_keys_the_first_encrypts_and_each_decrypts(folder: Path) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    earlier = SnapshotStore(str(folder), encryption_key=old).publish(NAME, "run", b"earlier", {})
    store = SnapshotStore(str(folder), encryption_key=f"{new}, {old}")

    later = store.publish(NAME, "run", b"later", {})

    assert [store.read(ref) for ref in (earlier, later)] == [b"earlier", b"later"]
    assert SnapshotStore(str(folder), encryption_key=new).read(later) == b"later"
