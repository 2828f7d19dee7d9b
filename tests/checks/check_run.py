"""Runs checks as Dagster does, on snapshots and plans made by hand: what is before them and behind them are stubs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from small_worlds import READ_AT

from safetyamp_pipelines.resources.io_manager import SnapshotIOManager
from safetyamp_pipelines.resources.keys import asset_key
from safetyamp_pipelines.resources.systems import LedgerResource, SettingsResource
from safetyamp_pipelines.sync.entities.registry import SCHEMAS
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot

PROMISED = {"measured", "limit", "keys", "look_closer"}
"""What every check says."""


@dataclass(frozen=True)
class Checked:
    """What the checks said, and whether the run was green and went on behind them."""

    said: Mapping[str, dg.AssetCheckEvaluation]
    is_green: bool
    went_on: bool

    def levels(self) -> dict[str, str]:
        """By check: fine, WARN or ERROR."""
        return {name: "fine" if one.passed else one.severity.value for name, one in self.said.items()}

    def told(self, name: str) -> dict[str, Any]:
        """The metadata of one check as plain values."""
        return {key: value.value for key, value in self.said[name].metadata.items()}


def snapshot_of(table: str, records: Iterable[Record], notices: tuple[str, ...] = ()) -> Snapshot:
    """Certified, whatever its records are."""
    columns = SCHEMAS[table].key
    return Snapshot.certified(
        table, records, key=lambda row: [row.get(name) for name in columns], pages=1, read_at=READ_AT, notices=notices
    )


def checked(
    checks: dg.AssetChecksDefinition,
    values: Mapping[str, Snapshot | Plan],
    *,
    home: Path,
    instance: dg.DagsterInstance,
    rules: str = "{}",
) -> Checked:
    """Materialise the values under their asset names, run the checks on the last, then what depends on it."""
    (home / "sync.yaml").write_text(rules, encoding="utf-8")
    environment = {"SAFETYAMP_DATA_DIR": str(home), "SYNC_CONFIG": str(home / "sync.yaml")}
    settings = SettingsResource.of(environment)
    names = list(values)
    stubs = [_stub(name, value, names[:place]) for place, (name, value) in enumerate(values.items())]

    @dg.asset(deps=[asset_key(names[-1])])
    def behind() -> None:
        """What a failed blocking check keeps from running."""

    result = dg.materialize(
        [*stubs, behind, checks],
        instance=instance,
        raise_on_error=False,
        resources={
            "sync_settings": settings,
            "ledger": LedgerResource(settings=settings),
            "io_manager": SnapshotIOManager(settings=settings),
        },
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    said = {one.check_name: one for one in result.get_asset_check_evaluations()}
    went_on = any(event.is_step_success and event.step_key == "behind" for event in result.all_events)
    return Checked(said, result.success, went_on)


def _stub(name: str, value: Snapshot | Plan, before: list[str]) -> dg.AssetsDefinition:
    @dg.asset(key=asset_key(name), deps=[asset_key(one) for one in before], dagster_type=type(value))
    def stub() -> Any:
        return value

    return stub
