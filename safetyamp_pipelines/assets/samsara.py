"""Snapshots of Samsara: vehicles and drivers, each listed once."""

import dagster as dg

from safetyamp_pipelines.resources.keys import OWNERS, asset_key, now_text
from safetyamp_pipelines.resources.systems import Samsara
from safetyamp_pipelines.settings.logs import log_context
from safetyamp_pipelines.sync.model.snapshot import Snapshot

RED = (
    "\n\nRed? Run `safetyamp doctor`: it tells whether the token works and has the scopes Read Vehicles, Read Drivers."
)


@dg.asset(
    key=asset_key("samsara/vehicles"),
    group_name="samsara",
    kinds={"api", "parquet"},
    owners=OWNERS,
    description="Vehicles as Samsara lists them." + RED,
)
def samsara_vehicles(context: dg.AssetExecutionContext, samsara: Samsara) -> Snapshot:
    """Read every page until Samsara says there is no next one."""
    with log_context(run_id=context.run_id):
        return samsara.client().list_vehicles(read_at=now_text())


@dg.asset(
    key=asset_key("samsara/drivers"),
    group_name="samsara",
    kinds={"api", "parquet"},
    owners=OWNERS,
    description="Active drivers as Samsara lists them; they lead from a vehicle to an employee." + RED,
)
def samsara_drivers(context: dg.AssetExecutionContext, samsara: Samsara) -> Snapshot:
    """Read every page until Samsara says there is no next one."""
    with log_context(run_id=context.run_id):
        return samsara.client().list_drivers(read_at=now_text())
