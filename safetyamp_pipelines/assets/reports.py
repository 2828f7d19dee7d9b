"""The reports as assets: one partition a day, made from the ledger alone. Their figures are decided in
`operations/reports/`."""

import warnings
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg

from safetyamp_pipelines.operations.local_time import duration
from safetyamp_pipelines.operations.reports.chart import DAYS, chart_of
from safetyamp_pipelines.operations.reports.csv_table import csv_of
from safetyamp_pipelines.operations.reports.daily import DailyReport, daily_reports, summary_of
from safetyamp_pipelines.resources.keys import OWNERS, asset_key
from safetyamp_pipelines.resources.step_failures import diagnosed
from safetyamp_pipelines.resources.systems import LedgerResource, SettingsResource
from safetyamp_pipelines.sync.entities.registry import ENTITIES, asset_name
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

DAILY_CHANGES = "reports/daily_changes"
FIRST_DAY = "2026-01-01"
EACH_DAY = dg.DailyPartitionsDefinition(FIRST_DAY, timezone=SyncConfig().timezone, end_offset=1)
"""The last day is the one that still goes on. The list of days follows the default time zone, because loading the
definitions reads no settings; where a day begins and ends is decided by sync.yaml when its report is made."""

DESCRIPTION = """What was changed in SafetyAmp on a day, one row a change, with how long the changes waited, how fast
leavers lost access, and what kept changes from being done. Made from the ledger: it asks no outside system and writes
nothing to SafetyAmp, so any days can be made again at any time.

Waits are bounds. No source has the time of a change; it fell between the last look that did not ask for the change
and the first one that did. Minutes and hours shown count from the former: nobody waited longer. A record that SafetyAmp
had refused counts from its correction.

As a file: `safetyamp report --from 2026-11-01 --to 2026-11-20 --out changes.csv`.

Red? The ledger or the snapshot store could not be used: see `safetyamp status`. Then materialise the day again."""
CAUSES = dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in ("entity", "ended", "why", "keys")])
COUNTS = dg.TableSchema(columns=[dg.TableColumn("entity", "string"), dg.TableColumn("changes", "string")])


def daily_changes_asset() -> dg.AssetsDefinition:
    """`reports/daily_changes`: what was changed on each day."""

    @dg.asset(
        key=asset_key(DAILY_CHANGES),
        deps=[asset_key(asset_name(spec)) for spec in ENTITIES],
        partitions_def=EACH_DAY,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="reports",
        kinds={"csv"},
        owners=OWNERS,
        description=DESCRIPTION,
    )
    @diagnosed
    def daily_changes(
        context: dg.AssetExecutionContext, sync_settings: SettingsResource, ledger: LedgerResource
    ) -> dg.MaterializeResult[None]:
        """Store each day's rows as CSV beside the snapshots, and show its figures. A backfill is one run."""
        settings = sync_settings.get()
        store, days = snapshot_store(settings), [date.fromisoformat(key) for key in context.partition_keys]
        earliest = min(days) - timedelta(days=DAYS - 1)
        reports = daily_reports(ledger.get(), earliest, max(days), settings.sync_config().employees.timezone)
        for day in days:
            place = (day - earliest).days
            name, rows = f"{DAILY_CHANGES}/{day}", reports[place]
            manifest = {"changes": len(rows.changes)}
            ref = store.publish(name, context.run_id, csv_of([rows]).encode(), manifest, kind="csv")
            store.prune(name)
            metadata = report_metadata(summary_of(rows), reports[place - DAYS + 1 : place + 1], settings.desk_url)
            metadata["path"] = dg.MetadataValue.path(ref.path)
            context.add_asset_metadata(metadata, partition_key=day.isoformat())
        return dg.MaterializeResult()

    return daily_changes


def report_metadata(
    summary: dict[str, Any], days: Sequence[DailyReport], desk_url: str | None = None
) -> dict[str, Any]:
    """The figures of a day, each a number of its own so that the UI plots it over the days, the chart of `days`, and
    where its rows are opened."""
    wait, leavers, day = summary["wait_minutes"], summary["leavers"], summary["day"]
    figures = {
        "dagster/row_count": summary["changes"],
        "changes": summary["changes"],
        "done": summary["done"],
        "not_done": summary["changes"] - summary["done"],
        "pushes": summary["sessions"],
        "calls": summary["calls"]["all"],
        "calls_reading": summary["calls"]["reading"],
        "wait_minutes_p50": wait["p50"],
        "wait_minutes_p95": wait["p95"],
        "leavers_off": leavers["off"],
        "leavers_not_off": leavers["not_off"],
        "leaver_hours_p50": leavers["hours"]["p50"],
        "leaver_hours_longest": leavers["hours"]["longest"],
    }
    return {
        "chart": dg.MetadataValue.md(chart_of(days)),
        **{name: value for name, value in figures.items() if value is not None},
        "by_entity": dg.MetadataValue.table(
            [
                dg.TableRecord({"entity": entity, "changes": ", ".join(f"{n} {what}" for what, n in counts.items())})
                for entity, counts in summary["entities"].items()
            ],
            schema=COUNTS,
        ),
        "top_causes": dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "entity": cause["entity"],
                        "ended": f"{cause['changes']} {cause['status']}",
                        "why": cause["why"],
                        "keys": ", ".join(cause["keys"]),
                    }
                )
                for cause in summary["causes"]
            ],
            schema=CAUSES,
        ),
        "waits": _waits(wait),
        **({"csv": dg.MetadataValue.url(f"{desk_url}/reports/{day}.csv")} if desk_url else {}),
        "as_a_file": f"safetyamp report --from {day} --to {day} --out changes.csv",
        "day": day,
    }


def _waits(minutes: dict[str, Any]) -> str:
    """`half within 12 min, 95 % within 40 min`."""
    if minutes["p50"] is None:
        return "not known: no change has an earlier look at its source"
    return f"half within {duration(minutes['p50'] * 60)}, 95 % within {duration(minutes['p95'] * 60)}"


# `backfill_policy` is marked beta, which Dagster warns of at every load.
with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):
    daily_changes = daily_changes_asset()
