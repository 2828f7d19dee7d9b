"""Reports as CSV, for spreadsheets: one row a change. What a row holds is decided in `rows.py`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import date, datetime
from typing import Any

from safetyamp_pipelines.operations.reports.daily import DailyReport
from safetyamp_pipelines.operations.reports.rows import ReportedChange
from safetyamp_pipelines.operations.sheet import csv_text

COLUMNS = ("day", *(field.name for field in fields(ReportedChange)))


def cells(day: date, change: ReportedChange) -> dict[str, Any]:
    """The change by column, as plain values."""
    return {"day": day.isoformat(), **{name: _plain(value) for name, value in vars(change).items()}}


def csv_of(reports: Iterable[DailyReport]) -> str:
    """All changes of these days below one header; safe to open in a spreadsheet."""
    changes = ((report.day, change) for report in reports for change in report.changes)
    return csv_text(COLUMNS, (list(cells(*one).values()) for one in changes))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return ", ".join(value) if isinstance(value, tuple) else value
