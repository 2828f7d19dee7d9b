"""Snapshots of Samsara: vehicles and drivers, each listed once."""

import dagster as dg

from safetyamp_pipelines.assets.naming import OWNERS, asset_key, now_text
from safetyamp_pipelines.resources.samsara import Samsara
from safetyamp_pipelines.sync.snapshot import Snapshot

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
def samsara_vehicles(samsara: Samsara) -> Snapshot:
    """Read every page until Samsara says there is no next one."""
    return samsara.client().list_vehicles(read_at=now_text())


@dg.asset(
    key=asset_key("samsara/drivers"),
    group_name="samsara",
    kinds={"api", "parquet"},
    owners=OWNERS,
    description="Active drivers as Samsara lists them; they lead from a vehicle to an employee." + RED,
)
def samsara_drivers(samsara: Samsara) -> Snapshot:
    """Read every page until Samsara says there is no next one."""
    return samsara.client().list_drivers(read_at=now_text())
