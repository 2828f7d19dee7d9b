"""The commands that write tables: `report`, what was changed on some days, and `drift`, what the source lacks."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from safetyamp_pipelines.cli.shell import AsJson, EntityName, print_json, print_lines, with_ledger, write_file
from safetyamp_pipelines.operations.drift import drift_table
from safetyamp_pipelines.operations.plan_step import load_stored
from safetyamp_pipelines.operations.reports.csv_table import cells, csv_of
from safetyamp_pipelines.operations.reports.daily import daily_reports, summary_of
from safetyamp_pipelines.operations.sheet import csv_text, workbook
from safetyamp_pipelines.sync.entities.registry import entity_named
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

MOST_DAYS = 3660
"""Ten years: more is a typing error, such as a last day that means "for ever"."""


def report(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day, such as 2026-11-01.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, inclusive.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The CSV file to write; standard output without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List every change in these days, for spreadsheets. Calls no outside system; contains no personal values."""
    with with_ledger(as_json) as (ledger, settings):
        if last < first:
            raise Refusal(f"--to {last:%Y-%m-%d} is before --from {first:%Y-%m-%d}")
        if (days := (last - first).days + 1) > MOST_DAYS:
            raise Refusal(f"these are {days} days, and {MOST_DAYS} are allowed: give a later --from or an earlier --to")
        timezone = settings.sync_config().employees.timezone
        reports = daily_reports(ledger, first.date(), last.date(), timezone)
        if out is not None:
            write_file(out, csv_of(reports).encode("utf-8-sig"))
    if as_json:
        print_json(
            {
                "timezone": timezone,
                "days": [summary_of(day) for day in reports],
                "changes": [cells(day.day, change) for day in reports for change in day.changes],
            }
        )
    elif out is None:
        sys.stdout.write(csv_of(reports))
    else:
        changes, done = sum(len(day.changes) for day in reports), sum(day.done for day in reports)
        print_lines(f"{out}: {changes} changes in {len(reports)} days, {done} of them done")


def drift(
    entity: EntityName = "employees",
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file.")] = None,
    xlsx_file: Annotated[Path | None, typer.Option("--xlsx", help="Write an Excel file.")] = None,
) -> None:
    """List what people entered in SafetyAmp that the source lacks, in the source's columns, for payroll to import."""
    with with_ledger() as (ledger, settings):
        spec = entity_named(entity)
        header, rows = drift_table(load_stored(spec, snapshot_store(settings), ledger, settings.sync_config()))
        table = header, list(rows)
        if csv_file is not None:
            write_file(csv_file, csv_text(*table).encode("utf-8-sig"))
        if xlsx_file is not None:
            write_file(xlsx_file, workbook({spec.name: table}, about=f"What SafetyAmp has and {spec.key.table} lacks"))
    if csv_file is None and xlsx_file is None:
        sys.stdout.write(csv_text(*table))
    else:
        print_lines(f"{len(table[1])} {spec.name} with values that {spec.key.table} lacks")
