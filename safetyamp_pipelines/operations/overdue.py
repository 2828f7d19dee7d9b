"""Who has left and can still log in, from the newest snapshots. Asks no outside system."""

from __future__ import annotations

from datetime import datetime, timedelta

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sync.entities.employees import SPEC
from safetyamp_pipelines.sync.entities.registry import asset_name, references
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.planning.conditions import rows_in_scope
from safetyamp_pipelines.sync.planning.proofs import leavers_still_on
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.systems.snapshots.parquet import snapshot_from_parquet
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore


def leavers_with_access(store: SnapshotStore, ledger: Ledger, config: SyncConfig) -> dict[str, datetime] | None:
    """Employee number → when employment ended; None as long as nothing was read."""
    employees = store.newest(SPEC.key.table)
    shown = [store.newest(name) for name in (f"{OBSERVED}/{SPEC.table}", asset_name(SPEC))]
    users = max((ref for ref in shown if ref is not None), key=lambda ref: ref.published_at, default=None)
    if employees is None or users is None:
        return None
    rows = snapshot_from_parquet(store.read(users), users.content).records
    links, people = ledger.links(SPEC.name), snapshot_from_parquet(store.read(employees), employees.content).records
    return leavers_still_on(
        rows_in_scope(SPEC, config.of(SPEC), people, links),
        references({SPEC.table: rows})[SPEC.table],
        links,
        at=datetime.fromisoformat(employees.published_at),
        promised=timedelta(),
        timezone=config.of(SPEC).timezone,
        last_day_worked=config.of(SPEC).last_day_worked,
    )
