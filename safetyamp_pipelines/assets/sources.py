"""Snapshots of Viewpoint Vista: all tables in one consistent transaction, so they fit each other."""

from collections.abc import Iterator

import dagster as dg

from safetyamp_pipelines.resources.keys import OWNERS, asset_key, now_text
from safetyamp_pipelines.resources.systems import Viewpoint
from safetyamp_pipelines.sync.model.snapshot import Snapshot

TABLES = {
    "employees": "Employees of the configured companies (bPREH), active or not, exactly as Vista holds them.",
    "departments": "Payroll departments with their region (bPRDP).",
    "jobs": "All jobs with their contract's department (bJCJM, bJCCM), open or not.",
    "recent_jobs": "For each employee the open job worked last, by date, then by job (timecards).",
}
RED = "\n\nRed? Run `safetyamp doctor`: it tells whether Viewpoint can be reached and which table or column is missing."


@dg.multi_asset(
    name="viewpoint",
    group_name="viewpoint",
    outs={
        name: dg.AssetOut(
            key=asset_key(f"viewpoint/{name}"),
            description=text + RED,
            kinds={"sqlserver", "parquet"},
            owners=OWNERS,
            dagster_type=Snapshot,
        )
        for name, text in TABLES.items()
    },
)
def viewpoint_tables(viewpoint: Viewpoint) -> Iterator[dg.Output[Snapshot]]:
    """Read every table in one transaction; a missing column of the site's own is a notice, a missing table an error."""
    snapshots = viewpoint.reader().read_all(now_text())
    for name in TABLES:
        yield dg.Output(snapshots[f"viewpoint/{name}"], output_name=name)
