"""One plan, as assets and commands call it: snapshots → earlier plans → expected state → memory → plan.

Asks no outside system. Where the snapshots and plans come from is handed in: a step of a run has them, the checks that
prove a plan and `safetyamp explain` read them from the store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.journal import remembered
from safetyamp_pipelines.settings.logs import get_logger, log_context
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES, asset_name, references, writers
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.errors import PlanRefused, SnapshotError
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec
from safetyamp_pipelines.sync.model.tables import Id, References
from safetyamp_pipelines.sync.planning.custom import desired_of
from safetyamp_pipelines.sync.planning.derive import plan_entity
from safetyamp_pipelines.sync.planning.expected import expected_references
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.systems.snapshots.parquet import snapshot_from_parquet
from safetyamp_pipelines.systems.snapshots.store import SnapshotRef, SnapshotStore

log = get_logger(__name__)

LEAST_CHARACTERS = 8
Fetch = Callable[[str], Any]
"""Gives the snapshot or plan of an asset's name, such as `viewpoint/employees` or `plan/jobs`."""


def linked_rows(spec: EntitySpec, ledger: Ledger) -> dict[str, frozenset[Id]]:
    """By table, the rows that are linked, of those tables that the entity is planned against."""
    owners = {table: [ledger.linked_ids(owner.name) for owner in writers(table)] for table in spec.observed}
    return {table: frozenset().union(*found) for table, found in owners.items()}


def expected_state(
    spec: EntitySpec, fetch: Fetch, unread: Container[str] = (), linked: Mapping[str, Set[Id]] | None = None
) -> References:
    """SafetyAmp as the plans before this entity's leave it: what its plan is compared with."""
    names = {table: f"{OBSERVED}/{table}" for table in spec.observed}
    observed = {table: fetch(name).records for table, name in names.items() if name not in unread}
    earlier = [name for name in spec.after if f"plan/{name}" not in unread]
    return expected_references(observed, [(BY_NAME[name], fetch(f"plan/{name}")) for name in earlier], linked)


def plan_inputs(
    spec: EntitySpec, fetch: Fetch, ledger: Ledger, config: SyncConfig, unread: Mapping[str, str] | None = None
) -> Inputs:
    """All that the entity is planned from. `unread` are snapshots and plans that are not there, with the reasons.

    Raises SnapshotError for a snapshot that is not whole.
    """
    unread = unread or {}
    snapshots = {table: fetch(table) for table in spec.snapshots if table not in unread}
    approved, twice = ledger.approved(spec.name), ledger.approved(spec.name, logins=2)
    memory = replace(
        remembered(ledger, spec.name),
        approved=approved,
        approved_twice=twice,
        decisions=ledger.decided(spec.name),
        swings=ledger.swings(spec.name),
    )
    expected = expected_state(spec, fetch, unread, linked_rows(spec, ledger))
    return Inputs(snapshots, expected, memory, config, unread)


def make_plan(
    spec: EntitySpec,
    fetch: Fetch,
    unread: Mapping[str, str],
    *,
    ledger: Ledger,
    config: SyncConfig,
    run_id: str,
    keys: Collection[str] = (),
    is_trial: bool = False,
) -> Plan:
    """Plan the entity, or some of its source keys, and record the verdicts, unless it is a trial. Writes nothing to
    SafetyAmp.

    Raises SnapshotError for a snapshot that is not whole, PlanRefused for a key that is not a record.
    """
    inputs = plan_inputs(spec, fetch, ledger, config, unread)
    plan = plan_entity(spec, inputs, config, keys)
    looked_at = min(datetime.fromisoformat(inputs.as_of(source)) for source in spec.sources if source not in unread)
    if not is_trial:
        ledger.log_verdicts(run_id, spec.name, looked_at, plan.verdicts)
    with log_context(run_id=run_id, entity=spec.name):
        log_plan(plan)
        for name, why in unread.items():
            log.warning("planned_without", missing=name, why=why)
    return plan


def log_plan(plan: Plan) -> None:
    """One line with counts, and one for each guard that holds changes."""
    log.info("planned", plan=plan.hash[:12], changes=len(plan.changes), held=len(plan.held), verdicts=plan.counts())
    for refused in plan.refused:
        log.warning("guard_holds", guard=refused.guard, figures=refused.figures, setting=refused.setting)


def is_approved(plan: Plan, ledger: Ledger) -> bool:
    """Whether people have approved the plan of an undo: one, or two of one as large as sync.yaml says."""
    return ledger.approval(plan.hash, logins=2 if plan.by_two else 1) is not None


@dataclass(frozen=True)
class Stored:
    """One entity's newest plan with what it was made from.

    `shown` are SafetyAmp's tables as the run of the plan left them: after its push where it pushed, else as observed.
    """

    spec: EntitySpec
    config: SyncConfig
    run_id: str
    plan: Plan
    snapshots: Mapping[str, Snapshot]
    inputs: Inputs
    shown: References

    @cached_property
    def desired(self) -> tuple[Desired, ...]:
        """The desired records, mapped now."""
        return self._desired(self.inputs)

    def desired_of(self, is_meant: Callable[[str], bool]) -> tuple[Desired, ...]:
        """The same of the rows with such keys, where that can be had without mapping thousands of others."""
        if not self.spec.is_read_row_by_row:
            return self.desired
        table, key = self.spec.key.table, self.spec.key
        rows = tuple(row for row in self.records(table) if is_meant(key.of(row)))
        return self._desired(self.inputs.narrowed(table, rows)) if rows else ()

    def _desired(self, inputs: Inputs) -> tuple[Desired, ...]:
        return tuple(desired_of(self.spec, inputs, self.config.of(self.spec)))

    def records(self, table: str) -> tuple[Record, ...]:
        """The raw records of a snapshot."""
        return self.snapshots[table].records

    def read_at(self, table: str) -> str:
        """When that snapshot was read (ISO 8601 UTC)."""
        return self.inputs.as_of(table)


def trial_name(entity: str) -> str:
    """The name under which trials are stored: no push uses them, and none of them is the newest plan where a sync has
    made one."""
    return f"trial/{entity}"


def newest_plan(store: SnapshotStore, entity: str, *, trials: bool = False) -> SnapshotRef | None:
    """The newest plan of the syncs; with `trials`, or while there is none, the newest of all."""
    own = store.newest(f"plan/{entity}")
    trial = store.newest(trial_name(entity)) if trials or own is None else None
    found = [ref for ref in (own, trial) if ref is not None]
    return max(found, key=lambda ref: ref.published_at, default=None)


def kept_plans(store: SnapshotStore, entity: str) -> list[SnapshotRef]:
    """Every stored plan, trials too, newest first."""
    refs = [*store.history(f"plan/{entity}"), *store.history(trial_name(entity))]
    return sorted(refs, key=lambda ref: ref.published_at, reverse=True)


def plan_named(store: SnapshotStore, wanted: str) -> SnapshotRef:
    """The newest stored plan whose hash begins so. Raises PlanRefused for none, or for several."""
    wanted = long_enough(wanted)
    refs = [ref for spec in ENTITIES for ref in reversed(kept_plans(store, spec.name))]
    found = {str(ref.content["plan_hash"]): ref for ref in refs if str(ref.content["plan_hash"]).startswith(wanted)}
    if not found:
        raise PlanRefused(f"no stored plan begins with {wanted}: `safetyamp plan` shows the newest with their hashes")
    if len(found) > 1:
        raise PlanRefused(f"{wanted} is the beginning of several plans: {', '.join(sorted(found))}. Give more of it")
    return next(iter(found.values()))


def long_enough(wanted: str) -> str:
    """The beginning of a hash, as hashes are written. Raises PlanRefused for one that is too short to name anything."""
    wanted = wanted.strip().lower()
    if len(wanted) < LEAST_CHARACTERS:
        raise PlanRefused(f"{wanted!r} is too short: give at least {LEAST_CHARACTERS} characters of the hash")
    return wanted


def load_stored(
    spec: EntitySpec, store: SnapshotStore, ledger: Ledger, config: SyncConfig, *, trials: bool = False
) -> Stored:
    """Read the plan and its snapshots; with `trials` also one that a person made to look at, if it is the newest.

    Raises SnapshotError when the entity was never planned, or one is gone.
    """
    ref = newest_plan(store, spec.name, trials=trials)
    if ref is None:
        raise SnapshotError(f"plan/{spec.name} is not stored: run `safetyamp plan` first")
    fetched: dict[str, Any] = {}

    def fetch(name: str) -> Any:
        if name not in fetched:
            fetched[name] = _value(store, _ref(store, name, ref.run_id))
        return fetched[name]

    plan: Plan = _value(store, ref)
    unread = {table: "not read by the run of the plan" for table in spec.snapshots if table not in plan.inputs}
    inputs = plan_inputs(spec, fetch, ledger, config, unread)
    snapshots = {table: inputs.snapshot(table) for table in spec.snapshots}
    read = [table for table in spec.observed if f"{OBSERVED}/{table}" not in unread]
    shown = references({table: _table_after_push(store, table, ref.run_id, fetch) for table in read})
    return Stored(spec.with_custom(config.of(spec)), config, ref.run_id, plan, snapshots, inputs, shown)


def _table_after_push(store: SnapshotStore, table: str, run_id: str, fetch: Fetch) -> tuple[Record, ...]:
    """The table as a push of that run left it, else as it was observed."""
    stored = [ref for spec in writers(table) if (ref := store.newest(asset_name(spec), run_id)) is not None]
    found: Snapshot = _value(store, stored[-1]) if stored else fetch(f"{OBSERVED}/{table}")
    return found.records


def _ref(store: SnapshotStore, name: str, run_id: str | None) -> SnapshotRef:
    """The one of that run, as the plan read it, else the newest."""
    names = [name, trial_name(name.removeprefix("plan/"))] if name.startswith("plan/") else [name]
    own = (store.newest(one, run_id) for one in names if run_id is not None)
    ref = next((one for one in own if one is not None), None) or store.newest(name)
    if ref is None:
        raise SnapshotError(f"{name} is not stored: run `safetyamp plan` first")
    return ref


def _value(store: SnapshotStore, ref: SnapshotRef) -> Any:
    payload = store.read(ref)
    if ref.kind == "Plan":
        return Plan.from_bytes(payload).known_as(ref.content["plan_hash"])
    return snapshot_from_parquet(payload, ref.content, to_look=True)
