"""Checks on snapshots, made from one list of tables: is the read certified whole, and are its keys unique?"""

import dagster as dg

from safetyamp_pipelines.assets import safetyamp_observed, viewpoint
from safetyamp_pipelines.assets.naming import OBSERVED, asset_key
from safetyamp_pipelines.sync.snapshot import Snapshot

TABLES = (
    *(f"viewpoint/{name}" for name in viewpoint.TABLES),
    "entra/users",
    "samsara/vehicles",
    "samsara/drivers",
    *(f"{OBSERVED}/{name}" for name in safetyamp_observed.TABLES),
)


def certificate_check(table: str) -> dg.AssetChecksDefinition:
    """Blocking: the snapshot fits its certificate (loading it verifies that) and no key occurs twice."""

    @dg.asset_check(
        asset=asset_key(table),
        name="certificate",
        blocking=True,
        description="The snapshot is whole and its keys are unique. Red? Materialise the snapshot again.",
    )
    def certificate(snapshot: Snapshot) -> dg.AssetCheckResult:
        held = snapshot.verified().certificate
        assert held is not None
        return dg.AssetCheckResult(
            passed=held.rows == held.unique_keys,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "rows": held.rows,
                "unique_keys": held.unique_keys,
                "pages": held.pages,
                "read_at": held.read_at,
            },
        )

    return certificate


certificate_checks = [certificate_check(table) for table in TABLES]
