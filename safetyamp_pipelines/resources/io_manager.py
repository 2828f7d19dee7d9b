"""Snapshots and plans between Dagster and the store: what an asset returns is published, what it takes is loaded.

What a run has just written or read is kept in memory for the steps after it, within bounds: a snapshot has half a dozen
readers. Storage is in `systems/snapshots/`; what a record means is of no concern here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

import dagster as dg
from pydantic import PrivateAttr

from safetyamp_pipelines.operations.plan_step import trial_name
from safetyamp_pipelines.resources.keys import is_trial
from safetyamp_pipelines.resources.step_failures import diagnosed
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sync.model.errors import SnapshotError
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.systems.snapshots.parquet import SNAPSHOT_KIND, snapshot_from_parquet, snapshot_to_parquet
from safetyamp_pipelines.systems.snapshots.store import SnapshotRef, SnapshotStore, snapshot_store

MOST_BYTES = 8_000_000
"""Stored bytes of the values kept in memory, where they take about twenty times as much."""


@runtime_checkable
class Storable(Protocol):
    """What else can be kept: it turns itself into bytes and back. `manifest()` is JSON without personal data."""

    def to_bytes(self) -> bytes: ...
    def manifest(self) -> Mapping[str, Any]: ...
    @classmethod
    def from_bytes(cls, payload: bytes) -> Self: ...


class SnapshotIOManager(dg.ConfigurableIOManager):
    """Keeps what assets return and loads it again: what the same run produced, else the newest.

    A Snapshot becomes Parquet, any other Storable its own bytes; everything else is refused.
    """

    settings: SettingsResource
    _store: SnapshotStore | None = PrivateAttr(default=None)
    _published: dict[tuple[str, str], SnapshotRef] = PrivateAttr(default_factory=dict)
    _kept: dict[str, tuple[Any, int]] = PrivateAttr(default_factory=dict)

    def store(self) -> SnapshotStore:
        """The store behind this manager."""
        if self._store is None:
            self._store = snapshot_store(self.settings.get())
        return self._store

    @diagnosed
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Publish, then prune. The metadata carries counts and hashes, never a value."""
        name = "/".join(context.get_asset_identifier())
        if isinstance(obj, Snapshot):
            manifest, payload, kind = obj.manifest(), snapshot_to_parquet(obj), SNAPSHOT_KIND
        elif isinstance(obj, Storable):
            manifest, payload, kind = dict(obj.manifest()), obj.to_bytes(), type(obj).__name__
        else:
            raise SnapshotError(f"{name} returned {type(obj).__name__}, which is not a Snapshot and has no to_bytes")
        kept = name
        if isinstance(obj, Plan) and is_trial(context.step_context.dagster_run):
            kept = trial_name(obj.entity)
        ref = self.store().publish(kept, context.run_id, payload, manifest, kind=kind)
        self._published[name, context.run_id] = ref
        self._keep(ref, obj)
        context.add_output_metadata(_metadata(ref))
        self._prune(context, kept)

    @diagnosed
    def load_input(self, context: dg.InputContext) -> Any:
        """The value of the run that produced it for this one, else the newest; SnapshotError when there is none."""
        name = "/".join(context.get_asset_identifier())
        return self.newest(name, _producing_run(context), context.dagster_type.typing_type)

    def newest(self, name: str, run_id: str | None, wanted: Any = Snapshot) -> Any:
        """The value that this run made, else the newest; for a step that learns only while it runs what it needs."""
        ref = (None if run_id is None else self._ref(name, run_id)) or self.store().newest(name)
        if ref is None:
            raise SnapshotError(f"{name} has never been materialised: materialise it first")
        return self.load(ref, wanted)

    def has(self, name: str, run_id: str) -> bool:
        """Whether that run has published a value of this name."""
        return self._ref(name, run_id) is not None

    def _ref(self, name: str, run_id: str) -> SnapshotRef | None:
        return self._published.get((name, run_id)) or self.store().newest(name, run_id)

    def load(self, ref: SnapshotRef, wanted: Any = Snapshot) -> Any:
        """One stored value. `wanted` is the annotated type of the input; Snapshot needs none."""
        is_wanted = isinstance(wanted, type) and hasattr(wanted, "from_bytes") and wanted.__name__ == ref.kind
        if ref.kind != SNAPSHOT_KIND and not is_wanted:
            raise SnapshotError(f"{ref.name} holds a {ref.kind}: annotate the input that takes it with that type")
        if ref.path in self._kept:
            value, _ = self._kept[ref.path]
        else:
            payload = self.store().read(ref)
            is_snapshot = ref.kind == SNAPSHOT_KIND
            value = snapshot_from_parquet(payload, ref.content) if is_snapshot else wanted.from_bytes(payload)
        self._keep(ref, value)
        return value

    def _keep(self, ref: SnapshotRef, value: Any) -> None:
        """Keep it as the one used last, and drop the least recently used ones while all together are too large."""
        self._kept.pop(ref.path, None)
        self._kept[ref.path] = (value, ref.size)
        while sum(size for _, size in self._kept.values()) > MOST_BYTES:
            del self._kept[next(iter(self._kept))]

    def _prune(self, context: dg.OutputContext, name: str) -> None:
        """Housekeeping must not fail a step whose snapshot is safely stored."""
        try:
            self.store().prune(name)
        except SnapshotError as error:
            context.log.warning("old snapshots were not removed: %s", error)


def _producing_run(context: dg.InputContext) -> str | None:
    """The run whose output this is: this one, or the parent of a partial re-execution; None outside a run's steps."""
    if context.upstream_output is None:
        return None
    try:
        return context.upstream_output.run_id
    except dg.DagsterInvariantViolationError:  # an asset loaded from outside the job carries no run
        return None


def _metadata(ref: SnapshotRef) -> dict[str, Any]:
    metadata: dict[str, Any] = {"path": dg.MetadataValue.path(ref.path), "size": f"{ref.size:,} bytes"}
    if ref.kind != SNAPSHOT_KIND:
        return {**metadata, "content_hash": ref.sha256[:12]}
    certificate = ref.content["certificate"]
    notices = ref.content["notices"]
    return {
        **metadata,
        "dagster/row_count": certificate["rows"],
        "rows": certificate["rows"],
        "content_hash": certificate["content_hash"][:12],
        **({"notices": "\n".join(notices)} if notices else {}),
    }
