"""The snapshots: what each outside system shows now, read whole or not at all."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import monotonic

import dagster as dg

from safetyamp_pipelines.operations.local_time import duration
from safetyamp_pipelines.operations.progress import ProgressReporter
from safetyamp_pipelines.resources.keys import OWNERS, asset_key, now_text
from safetyamp_pipelines.resources.step_failures import diagnosed
from safetyamp_pipelines.resources.systems import Graph, LedgerResource, SafetyAmp, Samsara, SettingsResource, Viewpoint
from safetyamp_pipelines.settings.logs import log_context
from safetyamp_pipelines.sync.entities.registry import TABLES
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.snapshot import Snapshot

VIEWPOINT = {
    "employees": "Employees of the configured companies (bPREH), active or not, exactly as Vista holds them.",
    "departments": "Payroll departments with their region (bPRDP).",
    "jobs": "All jobs with their contract's department (bJCJM, bJCCM), open or not.",
    "recent_jobs": "For each employee the open job worked last, by date, then by job (timecards).",
}
SAMSARA = {
    "vehicles": "Vehicles as Samsara lists them.",
    "drivers": "Active drivers as Samsara lists them; they lead from a vehicle to an employee.",
}
DOCTOR = "\n\nRed? Run `safetyamp doctor`: it shows whether "


@dg.multi_asset(
    name="viewpoint",
    group_name="viewpoint",
    outs={
        name: dg.AssetOut(
            key=asset_key(f"viewpoint/{name}"),
            description=f"{text}{DOCTOR}Viewpoint can be reached and which table or column is missing.",
            kinds={"sqlserver", "parquet"},
            owners=OWNERS,
            dagster_type=Snapshot,
        )
        for name, text in VIEWPOINT.items()
    },
)
@diagnosed
def viewpoint_tables(viewpoint: Viewpoint) -> Iterator[dg.Output[Snapshot]]:
    """Read every table in one transaction, so that they fit each other; a missing column of the site's own is a notice,
    a missing table an error."""
    snapshots = viewpoint.reader().read_all(now_text())
    for name in VIEWPOINT:
        yield dg.Output(snapshots[f"viewpoint/{name}"], output_name=name)


@dg.asset(
    key=asset_key("entra/users"),
    group_name="entra",
    kinds={"azure", "parquet"},
    owners=OWNERS,
    description="Enabled accounts of Microsoft Entra ID as Graph lists them: e-mail, telephone, manager."
    f"{DOCTOR}login, consent (User.Read.All) or network is at fault.",
)
@diagnosed
def entra_users(context: dg.AssetExecutionContext, graph: Graph, sync_settings: SettingsResource) -> Snapshot:
    """Read every page; a page that fails or repeats is an error, never a shorter list."""
    expand_manager = sync_settings.get().sync_config().entra.expand_manager
    client = graph.client()
    with log_context(run_id=context.run_id):
        snapshot = client.list_users(read_at=now_text(), expand_manager=expand_manager)
    context.add_output_metadata({"calls": client.http.calls})
    return snapshot


def samsara_asset(table: str, text: str) -> dg.AssetsDefinition:
    """The snapshot of one Samsara list."""

    @dg.asset(
        key=asset_key(f"samsara/{table}"),
        group_name="samsara",
        kinds={"api", "parquet"},
        owners=OWNERS,
        description=f"{text}{DOCTOR}the token works and has the scopes Read Vehicles, Read Drivers.",
    )
    @diagnosed
    def listed(context: dg.AssetExecutionContext, samsara: Samsara) -> Snapshot:
        client = samsara.client()
        read: Callable[..., Snapshot] = {"vehicles": client.list_vehicles, "drivers": client.list_drivers}[table]
        with log_context(run_id=context.run_id):
            return read(read_at=now_text())

    return listed


def observed_asset(table: str, text: str) -> dg.AssetsDefinition:
    """The snapshot of one SafetyAmp table, read within the call budget."""

    @dg.asset(
        key=asset_key(f"{OBSERVED}/{table}"),
        group_name=OBSERVED,
        kinds={"api", "parquet"},
        owners=OWNERS,
        description=f"{text} as SafetyAmp shows them now: what plans are compared with. Read whole, or not at all."
        "\n\nRed? Run `safetyamp doctor`; if SafetyAmp answers, materialise this asset again.",
    )
    @diagnosed
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
                "took": duration(monotonic() - started),
            }
        )
        return snapshot

    return observed


SNAPSHOTS = [
    viewpoint_tables,
    entra_users,
    *(samsara_asset(table, text) for table, text in SAMSARA.items()),
    *(observed_asset(table.name, table.text) for table in TABLES.values()),
]
