"""A push outside of Dagster: SafetyAmp is read, and a plan pushed, as by a sync. Which plan, and how it is reported, is
in `undo_step.py` and `apply_step.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.interrupts import interrupts_deferred
from safetyamp_pipelines.operations.progress import ProgressReporter
from safetyamp_pipelines.operations.push_step import Pushed, push_plan
from safetyamp_pipelines.settings.logs import log_context
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore

if TYPE_CHECKING:
    from safetyamp_pipelines.systems.safetyamp import SafetyAmpClient


@dataclass(frozen=True)
class DirectPush:
    """Everything it needs from outside."""

    client: SafetyAmpClient
    ledger: Ledger
    settings: Settings
    store: SnapshotStore
    progress: ProgressReporter
    run_id: str

    def read_observed(self, spec: EntitySpec) -> dict[str, Snapshot]:
        """The tables of SafetyAmp that the entity is pushed against, read now. Raises ReadError."""
        return {table: self._read(table) for table in spec.observed}

    def push(
        self, spec: EntitySpec, plan: Plan, observed: Mapping[str, Snapshot], *, undoes: int | None = None
    ) -> Pushed:
        """Push the plan against these tables; an interrupt stops it between two calls. Raises as `push_plan`."""
        shown = references({table: taken.records for table, taken in observed.items()})
        read_at = datetime.fromisoformat(observed[spec.table].read_at)
        with log_context(run_id=self.run_id, entity=spec.name), interrupts_deferred() as is_interrupted:
            pushed = push_plan(
                spec,
                plan,
                client=self.client,
                ledger=self.ledger,
                settings=self.settings,
                references=shown,
                observed_at=read_at,
                asked_at=read_at,
                run_id=self.run_id,
                progress=self.progress.of(spec.name, lambda: self.client.http.calls),
                undoes=undoes,
                is_interrupted=is_interrupted,
            )
            self.progress.pushed(spec.name, pushed.result.verdicts)
        return pushed

    def _read(self, table: str) -> Snapshot:
        calls_before = self.client.http.calls
        read_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        taken = self.client.list_table(table, read_at=read_at, previous_rows=self.ledger.previous_rows(table))
        calls = self.client.http.calls - calls_before
        self.ledger.record_observation(table, len(taken.records), datetime.now(UTC), calls)
        self.progress.read(table, len(taken.records), calls)
        return taken
