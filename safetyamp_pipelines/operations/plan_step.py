"""What the newest run left of one entity: its plan, the snapshots it was made from, and SafetyAmp after its pushes.

Asks no outside system.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.journal import remembered
from safetyamp_pipelines.sync.entities.registry import BY_NAME, asset_name, references, writers
from safetyamp_pipelines.sync.model.errors import SnapshotError
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec
from safetyamp_pipelines.sync.model.tables import References
from safetyamp_pipelines.sync.planning.expected import expected_references
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.systems.snapshots.parquet import snapshot_from_parquet
from safetyamp_pipelines.systems.snapshots.store import SnapshotRef, SnapshotStore

OBSERVED = "safetyamp_observed"


@dataclass(frozen=True)
class Stored:
    """One entity's newest plan with what it was made from, and what its mapping says of every source record now.

    `shown` are SafetyAmp's tables as the run of the plan left them: after its push where it pushed, else as observed.
    """

    spec: EntitySpec
    config: SyncConfig
    run_id: str
    plan: Plan
    snapshots: Mapping[str, Snapshot]
    inputs: Inputs
    shown: References
    desired: tuple[Desired, ...]

    def records(self, table: str) -> tuple[Record, ...]:
        """The raw records of a snapshot."""
        return self.snapshots[table].records

    def read_at(self, table: str) -> str:
        """When that snapshot was read (ISO 8601 UTC)."""
        return self.inputs.as_of(table)


def load_stored(spec: EntitySpec, store: SnapshotStore, ledger: Ledger, config: SyncConfig) -> Stored:
    """Read the plan and its snapshots. Raises SnapshotError when the entity was never planned, or one is gone."""
    ref = _ref(store, f"plan/{spec.name}", None)
    tables = [*spec.sources, *(f"{OBSERVED}/{table}" for table in spec.observed)]
    snapshots = {table: _snapshot(store, _ref(store, table, ref.run_id)) for table in tables}
    earlier = [(BY_NAME[name], _plan(store, _ref(store, f"plan/{name}", ref.run_id))) for name in spec.after]
    observed = {table: snapshots[f"{OBSERVED}/{table}"].records for table in spec.observed}
    expected = expected_references(observed, earlier)
    inputs = Inputs(snapshots, expected, remembered(ledger, spec.name), config)
    pushed = {table: _pushed(store, table, ref.run_id) for table in spec.observed}
    shown = references({table: pushed[table] or rows for table, rows in observed.items()})
    desired = tuple(spec.desire(inputs, config.of(spec)))
    return Stored(spec, config, ref.run_id, _plan(store, ref), snapshots, inputs, shown, desired)


def _pushed(store: SnapshotStore, table: str, run_id: str) -> tuple[Record, ...] | None:
    """The table as a push of that run left it; None when the run did not push it."""
    stored = [ref for spec in writers(table) if (ref := store.newest(asset_name(spec), run_id)) is not None]
    return _snapshot(store, stored[-1]).records if stored else None


def _ref(store: SnapshotStore, name: str, run_id: str | None) -> SnapshotRef:
    """The one of that run, as the plan read it, else the newest."""
    ref = (store.newest(name, run_id) if run_id is not None else None) or store.newest(name)
    if ref is None:
        raise SnapshotError(f"{name} is not stored: run `safetyamp plan` first")
    return ref


def _plan(store: SnapshotStore, ref: SnapshotRef) -> Plan:
    return Plan.from_bytes(store.read(ref))


def _snapshot(store: SnapshotStore, ref: SnapshotRef) -> Snapshot:
    return snapshot_from_parquet(store.read(ref), ref.content)
