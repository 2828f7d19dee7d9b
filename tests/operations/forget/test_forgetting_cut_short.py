"""`forget` that dies at any step: tried again until it ends, it leaves no value, whatever told who the person was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from ledger_entries import change_of
from small_worlds import config

from safetyamp_pipelines.ledger import Forgotten, Ledger
from safetyamp_pipelines.operations.forget.forgetting import Forgetting, render_forgotten
from safetyamp_pipelines.sync.model.errors import Refusal, SnapshotError
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.systems.snapshots.parquet import snapshot_from_parquet, snapshot_to_parquet
from safetyamp_pipelines.systems.snapshots.store import SnapshotRef, SnapshotStore

MARK = "Zebulon"
READ_AT = "2026-11-20T10:00:00Z"
NOTED = {"id": "52", "name": MARK, "notes": "100482"}
EARLIER = {"id": "52", "name": MARK, "notes": "new"}
"""The same driver before anybody noted the number."""
UNIT = f"Unit 7 - {MARK}"
RUNS: list[dict[str, list[dict[str, Any]]]] = [
    {
        "viewpoint/employees": [{"PRCo": 1, "Employee": 100482, "FirstName": MARK}],
        "entra/users": [{"id": "e1", "employeeId": "100482", "displayName": MARK}],
        "safetyamp_observed/users": [{"id": "u1", "emp_id": "100482", "first_name": MARK}],
        "samsara/drivers": [drivers],
        "samsara/vehicles": [{"id": "281", "name": UNIT, **told}, {"id": "282", "name": "Crane"}],
        "safetyamp_observed/assets": [{"id": 9001, "name": UNIT, "current_user_id": user}],
    }
    for drivers, told, user in (
        (EARLIER, {}, None),
        (NOTED, {"staticAssignedDriver": {"id": "52", "name": MARK}}, "u1"),
        (EARLIER, {}, None),
    )
]
"""What three runs read: only the one in the middle tells who drives, and who is the driver."""


class Killed(BaseException):
    """The end of the process."""


@dataclass
class Life:
    """A process that dies once it has done so many steps."""

    steps: int
    done: int = field(default=0)

    def step(self) -> None:
        if self.done == self.steps:
            raise Killed
        self.done += 1


class MortalStore(SnapshotStore):
    """Rewriting a file is a step."""

    life = Life(0)

    def rewrite(self, ref: SnapshotRef, payload: bytes | None, manifest: Mapping[str, Any]) -> None:
        if payload is not None:
            self.life.step()
        super().rewrite(ref, payload, manifest)


class MortalLedger(Ledger):
    """Emptying what is kept of a record is a step."""

    life = Life(0)

    def forget(self, entity: str, source_key: str) -> Forgotten:
        if MARK in repr(self.changes(entity=entity, source_key=source_key)):
            self.life.step()
        return super().forget(entity, source_key)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[MortalLedger]:
    with MortalLedger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> MortalStore:
    return MortalStore((tmp_path / "snapshots").as_uri())


def publish(store: SnapshotStore) -> None:
    for number, tables in enumerate(RUNS):
        for name, rows in tables.items():
            taken = Snapshot.certified(name, rows, key=str, pages=1, read_at=READ_AT)
            store.publish(name, f"run-{number}", snapshot_to_parquet(taken), taken.manifest(), kind="snapshot")


def write(ledger: Ledger, entity: str, key: str, **payload: str) -> None:
    """A change that was sent and done."""
    sent = ledger.intend(ledger.start_session("run-1", entity, "plan", {}), change_of(key, payload))
    ledger.answer(sent, "done", target_id=f"target of {key}", pushed=payload)


def forget(ledger: Ledger, store: SnapshotStore, key: str = "100482") -> dict[str, Any]:
    return Forgetting(ledger, store, config(), "Kim", lambda: datetime(2026, 11, 21, tzinfo=UTC)).forget(key)


def kept(ledger: Ledger, store: SnapshotStore) -> str:
    """Everything the store and the ledger hold, as text."""
    refs = [ref for name in RUNS[0] for ref in store.history(name)]
    assert len(refs) == len(RUNS) * len(RUNS[0])
    snapshots = [snapshot_from_parquet(store.read(ref), ref.content).records for ref in refs]
    return repr([snapshots, ledger.changes(), ledger.links("employees"), ledger.links("vehicles")])


def test_whatever_a_killed_try_has_erased_the_next_one_still_knows_who_it_was(
    ledger: MortalLedger, store: MortalStore
) -> None:
    # given a vehicle that only snapshots tell, and one that only the ledger tells
    publish(store)
    write(ledger, "employees", "100482", first_name=MARK)
    write(ledger, "vehicles", "281", name=UNIT)
    write(ledger, "vehicles", "300", name=UNIT, current_user_id="100482")

    # when each try dies after one step more of what is left
    tries = 0
    while True:
        ledger.life = store.life = Life(1)
        try:
            document = forget(ledger, store)
            break
        except Killed:
            tries += 1
            assert tries < 100

    # then nothing is left, and every file and record was a step
    assert MARK not in kept(ledger, store)
    assert tries == len(RUNS) * len(RUNS[0]) + 3 - 1
    assert document["vehicles"] == ["281", "300"]


def test_only_the_key_by_which_a_person_is_known_is_taken(ledger: MortalLedger, store: MortalStore) -> None:
    publish(store)
    write(ledger, "employees", "100482", first_name=MARK)
    before = kept(ledger, store)

    for key in ("0100482", "1/100482", "2/100482"):
        with pytest.raises(Refusal, match=f"no employee has the key {key}. Do you mean 100482"):
            forget(ledger, store, key)

    assert kept(ledger, store) == before
    assert ledger.lease_holder("push") is None


def test_somebody_of_whom_only_entra_knows_can_be_forgotten(ledger: MortalLedger, store: MortalStore) -> None:
    row = {"id": "e9", "employeeId": "777001", "displayName": MARK}
    taken = Snapshot.certified("entra/users", [row], key=str, pages=1, read_at=READ_AT)
    ref = store.publish("entra/users", "run-1", snapshot_to_parquet(taken), taken.manifest(), kind="snapshot")
    store.life = Life(1)

    assert forget(ledger, store, "777001")["snapshots"] == {"entra/users": 1}
    (again,) = store.history("entra/users")
    assert snapshot_from_parquet(store.read(again), again.content).records == ({**row, "displayName": None},)
    assert again.published_at == ref.published_at
    with pytest.raises(Refusal, match="nothing is known of employee 777001"):
        forget(ledger, store, "777001")


def test_what_no_key_opens_and_what_is_torn_is_removed_and_the_rest_is_cleaned(
    ledger: MortalLedger, tmp_path: Path
) -> None:
    # given one file written with a key that is gone, one with the key before this one, one manifest that is torn
    url, keys = (tmp_path / "snapshots").as_uri(), [Fernet.generate_key().decode() for _ in range(3)]
    row = {"PRCo": 1, "Employee": 100482, "FirstName": f"{MARK}\x00"}
    taken = Snapshot.certified("viewpoint/employees", [row], key=str, pages=1, read_at=READ_AT)
    assert MARK in taken.as_read[0]
    for number, key in enumerate([keys[0], keys[1], keys[1]]):
        store = SnapshotStore(url, encryption_key=key)
        payload = snapshot_to_parquet(taken)
        store.publish(taken.table, f"run-{number}", payload, taken.manifest(), kind="snapshot")
    torn = sorted((tmp_path / "snapshots/viewpoint/employees").glob("*.json"))[2]
    torn.write_text(torn.read_text()[:40])
    write(ledger, "employees", "100482", first_name=MARK)
    ledger.life = Life(99)

    # when the person is forgotten with the newest key before the older one
    store = SnapshotStore(url, encryption_key=f"{keys[2]},{keys[1]}")
    document = forget(ledger, store)

    # then what nobody can read is gone, and the one that is left has none of the person's values, read or raw
    (ref,) = store.history("viewpoint/employees")
    left = snapshot_from_parquet(store.read(ref), ref.content)
    assert ref.run_id == "run-1"
    assert MARK not in repr((left.records, left.as_read, ledger.changes()))
    assert len(list((tmp_path / "snapshots/viewpoint/employees").iterdir())) == 2
    assert (len(document["removed"]), document["snapshots"]) == (2, {"viewpoint/employees": 1})
    assert any("2 snapshots and plans that could not be read" in line for line in render_forgotten(document))


def test_without_any_key_nothing_is_removed(ledger: MortalLedger, tmp_path: Path) -> None:
    url = (tmp_path / "snapshots").as_uri()
    taken = Snapshot.certified("entra/users", [], key=str, pages=1, read_at=READ_AT)
    store = SnapshotStore(url, encryption_key=Fernet.generate_key().decode())
    store.publish(taken.table, "run-1", snapshot_to_parquet(taken), taken.manifest(), kind="snapshot")

    with pytest.raises(SnapshotError, match="set SNAPSHOT_ENCRYPTION_KEY"):
        forget(ledger, SnapshotStore(url))
    assert store.newest("entra/users") is not None
