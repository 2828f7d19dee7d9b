"""Reports as CSV, for spreadsheets: one row a change. What a row holds is decided in `rows.py`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from safetyamp_pipelines.operations.reports.daily import DailyReport
from safetyamp_pipelines.operations.reports.rows import ReportedChange
from safetyamp_pipelines.operations.sheet import safe_cell

COLUMNS = (
    "day",
    "entity",
    "key",
    "action",
    "status",
    "fields",
    "refused_fields",
    "rule",
    "http_status",
    "session",
    "run_id",
    "intended_at",
    "answered_at",
    "waited_at_least_seconds",
    "waited_at_most_seconds",
)


def cells(day: date, change: ReportedChange) -> dict[str, Any]:
    """The change by column, as plain values."""
    return {
        "day": day.isoformat(),
        "entity": change.entity,
        "key": change.key,
        "action": change.action,
        "status": change.status,
        "fields": ", ".join(change.fields),
        "refused_fields": ", ".join(change.refused_fields),
        "rule": change.rule,
        "http_status": change.http_status,
        "session": change.session,
        "run_id": change.run_id,
        "intended_at": _moment(change.intended_at),
        "answered_at": None if change.answered_at is None else _moment(change.answered_at),
        "waited_at_least_seconds": change.waited_at_least,
        "waited_at_most_seconds": change.waited_at_most,
    }


def csv_of(reports: Iterable[DailyReport]) -> str:
    """All changes of these days below one header; safe to open in a spreadsheet."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for report in reports:
        for change in report.changes:
            writer.writerow({name: safe_cell(value) for name, value in cells(report.day, change).items()})
    return text.getvalue()


def _moment(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
