"""`safetyamp compare`: what two plans would do differently, record by record; and plans made again from snapshots
under other rules or by another release. Only reads, calls no outside system; what it makes cannot be pushed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.journal import remembered
from safetyamp_pipelines.operations.plan_step import kept_plans, linked_rows, plan_named
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.errors import Refusal, SnapshotError
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Change, Plan
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.planning.derive import plan_entity
from safetyamp_pipelines.sync.planning.expected import expected_references
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.systems.snapshots.parquet import snapshot_from_parquet
from safetyamp_pipelines.systems.snapshots.store import SnapshotRef, SnapshotStore

NOT_THERE = "not there"


@dataclass(frozen=True)
class Difference:
    """A record that two plans treat differently: verdict, action, and fields as [before, after], of each side."""

    key: str
    verdicts: tuple[str, str]
    actions: tuple[str | None, str | None]
    fields: tuple[Mapping[str, Sequence[Any]], Mapping[str, Sequence[Any]]]

    def differing_fields(self) -> list[str]:
        """The fields that the two sides would set to other values."""
        old, new = self.fields
        return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))

    def document(self, *, values: bool) -> dict[str, Any]:
        """As plain values; `values` adds what people must not see everywhere."""
        shown: dict[str, Any] = {"key": self.key, "verdicts": self.verdicts, "actions": self.actions}
        names = self.differing_fields()
        old, new = self.fields
        return shown | {"fields": {name: [old.get(name), new.get(name)] for name in names} if values else names}


@dataclass(frozen=True)
class Comparison:
    """Two plans of one entity, and the records they treat differently."""

    entity: str
    old: Plan
    new: Plan
    run_id: str = ""

    @cached_property
    def differences(self) -> list[Difference]:
        """In the order of the keys."""
        sides = [_by_key(self.old), _by_key(self.new)]
        return [
            Difference(key, (old[0], new[0]), (old[1], new[1]), (old[2], new[2]))
            for key in sorted({*sides[0], *sides[1]})
            if (old := sides[0].get(key, ABSENT)) != (new := sides[1].get(key, ABSENT))
        ]

    def document(self, *, values: bool = False) -> dict[str, Any]:
        """The comparison as one JSON document."""
        return {
            "entity": self.entity,
            "run": self.run_id,
            "plans": [self.old.hash, self.new.hash],
            "same_snapshots": self.old.inputs == self.new.inputs,
            "changes": [len(self.old.changes), len(self.new.changes)],
            "verdicts": [self.old.counts(), self.new.counts()],
            "guards": [[str(one) for one in plan.refused] for plan in (self.old, self.new)],
            "differences": [one.document(values=values) for one in self.differences],
        }


Side = tuple[str, str | None, Mapping[str, Sequence[Any]]]
ABSENT: Side = (NOT_THERE, None, {})


def _by_key(plan: Plan) -> dict[str, Side]:
    changes: dict[str, list[Change]] = {}
    for change in plan.changes:
        changes.setdefault(change.source_key, []).append(change)
    found: dict[str, Side] = {}
    for verdict in plan.verdicts:
        own = changes.get(verdict.source_key, [])
        fields = {name: list(pair) for change in own for name, pair in change.fields.items()}
        found[verdict.source_key] = (verdict.outcome.value, "+".join(change.action for change in own) or None, fields)
    return found


def stored_plans(store: SnapshotStore, old: str, new: str) -> Comparison:
    """Two kept plans of one entity, by their hashes. Raises Refusal for an unknown hash, or plans of two entities."""
    before, after = (Plan.from_bytes(store.read(plan_named(store, wanted))) for wanted in (old, new))
    if before.entity != after.entity:
        raise Refusal(f"{old} is a plan of {before.entity}, {new} one of {after.entity}: compare two of one entity")
    return Comparison(before.entity, before, after)


def replanned(
    store: SnapshotStore,
    ledger: Ledger,
    config: SyncConfig,
    *,
    new_config: SyncConfig | None = None,
    entities: Iterable[str] = (),
    runs: int = 1,
) -> Iterator[Comparison]:
    """The last runs planned again from their own snapshots, newest first.

    With `new_config` both sides are planned here and now, so that the rules alone differ; without it the plan that was
    stored then is compared with what this release makes of the same snapshots. Links and refusals are the ledger's of
    today. Raises SnapshotError when no run has all its snapshots any more.
    """
    chosen = [spec for spec in ENTITIES if spec.name in set(entities)] or list(ENTITIES)
    found = 0
    for run_id in _whole_runs(store, runs):
        snapshots = _Snapshots(store, run_id)
        old = _plans(snapshots, ledger, config) if new_config is not None else snapshots.plans
        new = _plans(snapshots, ledger, new_config or config)
        for spec in chosen:
            if spec.name in old and spec.name in new:
                found += 1
                yield Comparison(spec.name, old[spec.name], new[spec.name], run_id)
    if not found:
        raise SnapshotError("no run of the last ones has its snapshots and plans any more: run `safetyamp plan` first")


def _whole_runs(store: SnapshotStore, runs: int) -> list[str]:
    """The newest runs that planned every entity: syncs, and trials while there was none."""
    return (_planning_all(store, of_syncs) or _planning_all(store, kept_plans))[:runs]


def _planning_all(store: SnapshotStore, kept: Callable[[SnapshotStore, str], list[SnapshotRef]]) -> list[str]:
    planned = [[ref.run_id for ref in kept(store, spec.name)] for spec in ENTITIES]
    return [run_id for run_id in planned[0] if all(run_id in others for others in planned)]


def of_syncs(store: SnapshotStore, entity: str) -> list[SnapshotRef]:
    """The kept plans that were not trials."""
    return store.history(f"plan/{entity}")


class _Snapshots:
    """What one run read and planned."""

    def __init__(self, store: SnapshotStore, run_id: str) -> None:
        self._store, self._run_id = store, run_id
        self._read: dict[str, Snapshot] = {}
        self.plans = {
            spec.name: Plan.from_bytes(store.read(ref))
            for spec in ENTITIES
            if (ref := next((one for one in kept_plans(store, spec.name) if one.run_id == run_id), None)) is not None
        }

    def of(self, table: str) -> Snapshot | None:
        """The table as that run read it; None when it is no longer kept."""
        if table not in self._read:
            ref: SnapshotRef | None = self._store.newest(table, self._run_id)
            if ref is None:
                return None
            self._read[table] = snapshot_from_parquet(self._store.read(ref), ref.content)
        return self._read[table]


def _plans(snapshots: _Snapshots, ledger: Ledger, config: SyncConfig) -> dict[str, Plan]:
    """Every entity planned in its order, as a run does; an entity whose snapshots are gone is left out."""
    made: dict[str, Plan] = {}
    for spec in ENTITIES:
        read = {table: snapshot for table in spec.snapshots if (snapshot := snapshots.of(table)) is not None}
        if len(read) < len(spec.snapshots) or not set(spec.after) <= set(made):
            continue
        observed = {table: read[f"{OBSERVED}/{table}"].records for table in spec.observed}
        earlier = [(BY_NAME[name], made[name]) for name in spec.after]
        expected = expected_references(observed, earlier, linked_rows(spec, ledger))
        inputs = Inputs(read, expected, remembered(ledger, spec.name), config)
        made[spec.name] = plan_entity(spec, inputs, config)
    return made


def render(comparison: Comparison, *, values: bool) -> Iterator[str]:
    """Lines for people."""
    differences, run = comparison.differences, f", run {comparison.run_id[:8]}" if comparison.run_id else ""
    old, new = comparison.old, comparison.new
    yield (
        f"{comparison.entity}{run}: {len(differences)} records differ; "
        f"{len(old.changes)} changes → {len(new.changes)} changes (plan {old.hash[:12]} → {new.hash[:12]})"
    )
    if old.inputs != new.inputs:
        yield "  the two were made of different snapshots: records may have changed between them"
    for name, plan in (("old", old), ("new", new)):
        yield from (f"  guard against the {name} plan: {refused}" for refused in plan.refused)
    for one in differences:
        yield f"  {one.key}: {_side(one, 0)} → {_side(one, 1)}"
        for field in one.differing_fields():
            before, after = (_value(side.get(field), values=values) for side in one.fields)
            yield f"    {field}: {before} → {after}"


def _side(one: Difference, side: int) -> str:
    return one.verdicts[side] if one.actions[side] is None else f"{one.verdicts[side]} ({one.actions[side]})"


def _value(pair: Sequence[Any] | None, *, values: bool) -> str:
    if pair is None:
        return "left as it is"
    return repr(pair[1]) if values else "set"
