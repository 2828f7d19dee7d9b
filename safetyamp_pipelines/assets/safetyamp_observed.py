"""Snapshots of SafetyAmp: what it says now, table by table, within the call budget."""

from datetime import UTC, datetime
from time import monotonic

import dagster as dg

from safetyamp_pipelines.operations.progress import ProgressReporter
from safetyamp_pipelines.resources.keys import OBSERVED, OWNERS, asset_key, now_text
from safetyamp_pipelines.resources.ledger import LedgerResource
from safetyamp_pipelines.resources.systems import SafetyAmp
from safetyamp_pipelines.settings.logs import log_context
from safetyamp_pipelines.sync.model.snapshot import Snapshot

TABLES = {
    "site_clusters": "Site clusters, the tree of root, regions and departments,",
    "sites": "Sites, which are jobs and home offices,",
    "user_titles": "User titles",
    "roles": "Roles, which plans name and pushes look up,",
    "users": "Users, active or not,",
    "asset_types": "Asset types, one of each name per site,",
    "assets": "Assets, which are vehicles and whatever people added by hand,",
}


def observed_asset(table: str, text: str) -> dg.AssetsDefinition:
    """The snapshot of one SafetyAmp table."""

    @dg.asset(
        key=asset_key(f"{OBSERVED}/{table}"),
        group_name=OBSERVED,
        kinds={"api", "parquet"},
        owners=OWNERS,
        description=f"{text} as SafetyAmp shows them now: what plans are compared with. Read whole, or not at all."
        "\n\nRed? Run `safetyamp doctor`; if SafetyAmp answers, materialise this asset again.",
    )
    def observed(
        context: dg.AssetExecutionContext,
        safetyamp: SafetyAmp,
        ledger: LedgerResource,
        progress: dg.ResourceParam[ProgressReporter],
    ) -> Snapshot:
        client, book, started = safetyamp.client(), ledger.get(), monotonic()
        calls_before = client.http.calls
        with log_context(run_id=context.run_id):
            snapshot = client.list_table(table, read_at=now_text(), previous_rows=book.previous_rows(table))
            calls = client.http.calls - calls_before
            book.record_observation(table, len(snapshot.records), datetime.now(UTC), calls)
            progress.read(table, len(snapshot.records), calls)
        context.add_output_metadata(
            {
                "calls": calls,
                "fewest_calls": snapshot.certificate.pages if snapshot.certificate else 0,
                "seconds": round(monotonic() - started, 3),
            }
        )
        return snapshot

    return observed


observed_assets = [observed_asset(table, text) for table, text in TABLES.items()]
