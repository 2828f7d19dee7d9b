"""Snapshots and plans through Dagster: what one run stored is what it, or a later run, loads; and nothing shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetyamp_pipelines.resources.io_manager import SnapshotIOManager
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sync.model.errors import SnapshotError
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.systems.snapshots.parquet import snapshot_from_parquet, snapshot_to_parquet

READ_AT = "2026-11-20T10:00:00Z"
PERSON = "Núñez-Łukasz"

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(TEXT, VALUES, max_size=5), max_size=6)


def snapshot(*names: str, table: str = "entra/users", notices: tuple[str, ...] = ()) -> Snapshot:
    records = [{"id": number, "name": name, "tags": ["x", None, 1.5]} for number, name in enumerate(names)]
    return Snapshot.certified(
        table, records, key=lambda record: record["id"], pages=2, read_at=READ_AT, notices=notices
    )


@dataclass(frozen=True)
class Plan:
    """A stand-in for a plan: anything that turns itself into bytes and back."""

    lines: tuple[str, ...]

    def to_bytes(self) -> bytes:
        return "\n".join(self.lines).encode()

    def manifest(self) -> Mapping[str, Any]:
        return {"changes": len(self.lines)}

    @classmethod
    def from_bytes(cls, payload: bytes) -> Plan:
        return cls(tuple(payload.decode().split("\n")))


@dataclass(frozen=True)
class Other(Plan):
    """Another storable."""


# Parquet --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(RECORDS, st.lists(TEXT, max_size=3))
def test_any_json_records_come_back_the_same(records: list[dict[str, Any]], notices: list[str]) -> None:
    before = Snapshot.certified("t", records, key=lambda record: record, pages=1, read_at=READ_AT, notices=notices)
    manifest = json.loads(json.dumps(before.manifest()))
    after = snapshot_from_parquet(snapshot_to_parquet(before), manifest)
    assert after == before
    assert [list(record) for record in after.records] == [list(record) for record in before.records]
    assert [[type(value) for value in record.values()] for record in after.records] == [
        [type(value) for value in record.values()] for record in before.records
    ]


def test_the_payload_is_compressed_parquet_that_any_tool_opens() -> None:
    payload = snapshot_to_parquet(snapshot(PERSON, "b"))
    file = pq.ParquetFile(pa.BufferReader(payload))
    assert file.schema_arrow.names == ["record"]
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert json.loads(file.read().column("record")[0].as_py())["name"] == PERSON


def test_an_empty_table_comes_back_empty_and_certified() -> None:
    empty = snapshot()
    assert snapshot_from_parquet(snapshot_to_parquet(empty), empty.manifest()) == empty


def test_records_that_do_not_fit_the_certificate_are_refused() -> None:
    manifest = snapshot("a", "b").manifest()
    for other in (snapshot("a"), snapshot("a", "c"), snapshot("a", "b", "c")):
        with pytest.raises(SnapshotError, match="does not match its certificate"):
            snapshot_from_parquet(snapshot_to_parquet(other), manifest)


@pytest.mark.parametrize("payload", [b"", b"PAR1", b"no parquet at all"])
def test_what_is_no_parquet_is_refused(payload: bytes) -> None:
    with pytest.raises(SnapshotError, match="cannot be read"):
        snapshot_from_parquet(payload, snapshot().manifest())


@pytest.mark.parametrize("lost", ["certificate", "table", "notices"])
def test_a_manifest_without_its_parts_is_refused(lost: str) -> None:
    manifest = {key: value for key, value in snapshot().manifest().items() if key != lost}
    with pytest.raises(SnapshotError, match="cannot be read"):
        snapshot_from_parquet(snapshot_to_parquet(snapshot()), manifest)


# Dagster --------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """Assets whose source the test changes, over one store and one instance."""

    manager: SnapshotIOManager
    instance: dg.DagsterInstance
    names: list[str] = field(default_factory=lambda: ["a"])
    loaded: list[Any] = field(default_factory=list)

    def assets(self) -> list[dg.AssetsDefinition]:
        @dg.asset(key=["entra", "users"])
        def users() -> Snapshot:
            return snapshot(*self.names, notices=("a column is missing",))

        @dg.asset(key=["plan", "employees"], ins={"users": dg.AssetIn(["entra", "users"])})
        def plan(users: Snapshot) -> dg.MaterializeResult[Plan]:
            lines = tuple(str(record["name"]) for record in users.records)
            return dg.MaterializeResult(value=Plan(lines), metadata={"changes": len(lines)})

        @dg.asset(ins={"plan": dg.AssetIn(["plan", "employees"]), "users": dg.AssetIn(["entra", "users"])})
        def push(plan: Plan, users) -> None:  # type: ignore[no-untyped-def]  # without annotation: a Snapshot
            self.loaded.append((plan, users))

        return [users, plan, push]

    def run(self, *selection: str, **options: Any) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            self.assets(),
            selection=list(selection) or None,
            resources={"io_manager": self.manager},
            instance=self.instance,
            **options,
        )


def build_world(tmp_path: Path, instance: dg.DagsterInstance, **environment: str) -> World:
    resource = SettingsResource.of({"SNAPSHOT_URL": str(tmp_path / "snapshots"), **environment})
    return World(SnapshotIOManager(settings=resource), instance)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def world(tmp_path: Path, instance: dg.DagsterInstance) -> World:
    return build_world(tmp_path, instance)


def test_a_run_loads_its_own_values_and_a_later_part_run_the_newest(world: World) -> None:
    world.run()
    world.names = ["b", "c"]
    world.run()
    world.names = ["never loaded"]
    world.run("push")

    plans = [plan for plan, _ in world.loaded]
    assert plans == [Plan(("a",)), Plan(("b", "c")), Plan(("b", "c"))]
    assert [users.records for _, users in world.loaded] == [snapshot(*plan.lines).records for plan in plans]
    assert all(users.certificate is not None for _, users in world.loaded)


def test_a_run_keeps_to_its_own_snapshot_although_another_run_published_meanwhile(world: World) -> None:
    # given a run whose first step is followed by another run's before its second step
    @dg.asset(key=["entra", "users"])
    def users() -> Snapshot:
        return snapshot("mine")

    @dg.asset(deps=[["entra", "users"]])
    def meanwhile() -> dg.MaterializeResult[Any]:
        world.manager.store().publish("entra/users", "another-run", b"", snapshot("theirs").manifest(), kind="snapshot")
        return dg.MaterializeResult()

    @dg.asset(ins={"users": dg.AssetIn(["entra", "users"])}, deps=[meanwhile])
    def taken(users: Snapshot) -> None:
        world.loaded.append(users)

    dg.materialize([users, meanwhile, taken], resources={"io_manager": world.manager}, instance=world.instance)
    assert [loaded.records[0]["name"] for loaded in world.loaded] == ["mine"]


def test_the_same_value_can_be_asked_for_outside_a_run(world: World) -> None:
    world.run()
    definitions = dg.Definitions(assets=world.assets(), resources={"io_manager": world.manager})
    loaded = definitions.load_asset_value(["plan", "employees"], python_type=Plan, instance=world.instance)
    assert loaded == Plan(("a",))
    assert definitions.load_asset_value(["entra", "users"], instance=world.instance) == snapshot(
        "a", notices=("a column is missing",)
    )


def test_the_materialization_tells_counts_and_hashes_and_no_value(world: World) -> None:
    world.names = [PERSON, "b"]
    result = world.run()
    users, plan = (result.asset_materializations_for_node(node)[0] for node in ("entra__users", "plan__employees"))
    shown = {key: value.value for key, value in users.metadata.items()}
    certificate = snapshot(PERSON, "b").certificate
    assert certificate is not None
    assert shown["dagster/row_count"] == shown["rows"] == 2
    assert shown["content_hash"] == certificate.content_hash[:12]
    assert shown["notices"] == "a column is missing"
    assert shown["path"].startswith("entra/users/")
    assert {"changes", "path", "size", "content_hash"} <= set(plan.metadata)
    events = "".join(str(entry) for entry in world.instance.all_logs(result.run_id))
    assert PERSON not in events


def test_an_asset_never_materialised_is_a_clear_error(world: World) -> None:
    with pytest.raises(dg.Failure, match="plan/employees has never been materialised"):
        world.run("push")


def test_a_torn_snapshot_fails_the_step_that_needs_it(world: World, tmp_path: Path) -> None:
    world.run()
    for payload in (tmp_path / "snapshots" / "entra" / "users").glob("*.parquet"):
        payload.write_bytes(payload.read_bytes()[:-1])
    with pytest.raises(dg.Failure, match="materialise entra/users again"):
        world.run("push")


def test_what_cannot_be_kept_is_refused(world: World) -> None:
    @dg.asset
    def text() -> str:
        return "text"

    with pytest.raises(dg.Failure, match="text returned str, which is not a Snapshot"):
        dg.materialize([text], resources={"io_manager": world.manager}, instance=world.instance)


def test_a_snapshot_without_certificate_is_refused(world: World) -> None:
    @dg.asset
    def bare() -> Snapshot:
        return Snapshot("bare", (), None)

    with pytest.raises(dg.Failure, match="has no certificate"):
        dg.materialize([bare], resources={"io_manager": world.manager}, instance=world.instance)


@pytest.mark.parametrize("wanted", [Snapshot, Other, Any, str, None])
def test_a_plan_is_only_loaded_as_what_it_is(world: World, wanted: Any) -> None:
    world.run()
    ref = world.manager.store().newest("plan/employees")
    assert ref is not None
    with pytest.raises(SnapshotError, match="plan/employees holds a Plan: annotate the input"):
        world.manager.load(ref, wanted)


def test_each_partition_is_kept_under_its_own_name(world: World) -> None:
    days = dg.StaticPartitionsDefinition(["2026-11-19", "2026-11-20"])

    @dg.asset(partitions_def=days)
    def report(context) -> Plan:  # type: ignore[no-untyped-def]
        return Plan((context.partition_key,))

    @dg.asset(partitions_def=days)
    def mail(context, report: Plan) -> None:  # type: ignore[no-untyped-def]
        world.loaded.append((context.partition_key, report))

    for day in days.get_partition_keys():
        dg.materialize(
            *([report],), partition_key=day, resources={"io_manager": world.manager}, instance=world.instance
        )
    for day in days.get_partition_keys():
        dg.materialize(
            *([report, mail],),
            selection=[mail],
            partition_key=day,
            resources={"io_manager": world.manager},
            instance=world.instance,
        )
    assert world.loaded == [(day, Plan((day,))) for day in days.get_partition_keys()]


def test_old_snapshots_are_pruned_as_new_ones_come(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    world = build_world(tmp_path, instance, SNAPSHOT_KEEP_COUNT="2")
    for _ in range(4):
        world.run("entra/users")
    assert len(list((tmp_path / "snapshots" / "entra" / "users").iterdir())) == 4  # two payloads, two manifests


def test_a_store_that_cannot_be_tidied_does_not_fail_a_run_whose_snapshot_is_safe(world: World, tmp_path: Path) -> None:
    # given an abandoned payload that is a folder, so that it cannot be deleted as a file
    stubborn = tmp_path / "snapshots" / "entra" / "users" / "20200101T000000000000Z_run_00000000.bin"
    (stubborn / "inside").mkdir(parents=True)
    result = world.run("entra/users")
    assert result.success
    told = "".join(entry.user_message for entry in world.instance.all_logs(result.run_id))
    assert "old snapshots were not removed: SNAPSHOT_URL" in told


def test_the_configuration_shows_no_setting(world: World) -> None:
    assert world.manager.store() is world.manager.store()
    assert "SNAPSHOT" not in repr(world.manager)
