"""How a report looks: a file that spreadsheets open without harm, a chart that is small enough for the event log."""

from __future__ import annotations

import base64
import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from safetyamp_pipelines.operations.reports.chart import DAYS, chart_of
from safetyamp_pipelines.operations.reports.csv_table import COLUMNS, csv_of
from safetyamp_pipelines.operations.reports.daily import DailyReport
from safetyamp_pipelines.operations.reports.rows import ReportedChange

CHANGE = ReportedChange(
    entity="employees",
    key="100482",
    action="update",
    status="done",
    fields=("email", "first_name"),
    refused_fields=(),
    rule="",
    http_status=None,
    run_id="run-1",
    session=7,
    intended_at=datetime(2026, 11, 20, 10, 0, 1, 500_000, tzinfo=UTC),
    answered_at=datetime(2026, 11, 20, 10, 0, 2, tzinfo=UTC),
    waited_at_least_seconds=61.5,
    waited_at_most_seconds=None,
)
FAILED = replace(CHANGE, status="failed")
FIRST = date(2026, 11, 7)


def days(*changes: Sequence[ReportedChange]) -> list[DailyReport]:
    return [DailyReport(FIRST + timedelta(days=place), tuple(made), ()) for place, made in enumerate(changes)]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_of_the_file_is_a_change_with_everything_but_values():
    (row,) = rows_of(csv_of(days([CHANGE])))

    assert row == {
        "day": "2026-11-07",
        "entity": "employees",
        "key": "100482",
        "action": "update",
        "status": "done",
        "fields": "email, first_name",
        "refused_fields": "",
        "rule": "",
        "http_status": "",
        "session": "7",
        "run_id": "run-1",
        "intended_at": "2026-11-20T10:00:01.500Z",
        "answered_at": "2026-11-20T10:00:02.000Z",
        "waited_at_least_seconds": "61.5",
        "waited_at_most_seconds": "",
    }


def test_days_without_changes_give_the_header_alone():
    assert csv_of(days([], [])).splitlines() == [",".join(COLUMNS)]


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_no_cell_is_a_formula(start: str):
    odd = replace(CHANGE, key=f"{start}1+1", rule=f'{start}cmd|" /C calc"!A0', run_id=f"{start}x")

    (row,) = rows_of(csv_of(days([odd])))

    assert [name for name, cell in row.items() if cell.startswith(FORMULA_STARTS)] == []
    assert row["key"] == f"'{start}1+1"


def test_a_key_keeps_its_dot_its_zeros_and_its_line_breaks():
    odd = replace(CHANGE, key='024113.,"a"\nb')

    (row,) = rows_of(csv_of(days([odd])))

    assert row["key"] == '024113.,"a"\nb'


def picture(markdown: str) -> ElementTree.Element:
    encoded = markdown.partition("base64,")[2].partition(")")[0]
    return ElementTree.fromstring(base64.b64decode(encoded))


def strokes(markdown: str) -> list[str]:
    """The path of each colour below, then above; the first path is the ground line."""
    return [part.attrib["d"] for part in picture(markdown) if "d" in part.attrib][1:]


def test_the_chart_stacks_what_is_not_done_on_what_is():
    chart = chart_of(days([CHANGE, CHANGE, FAILED, FAILED], [], [CHANGE]))

    assert strokes(chart) == ["M23 0v-30M51 0v-15", "M23 -30v-30"]
    assert chart.startswith("![Changes a day: at most 4](data:image/svg+xml;base64,")
    assert [text.text for text in picture(chart) if text.text] == ["4", "done", "not done", "07 Nov", "09 Nov"]
    assert int(picture(chart).attrib["width"]) >= 200


def test_the_chart_of_days_without_changes_is_a_line():
    chart = chart_of(days([], []))

    assert strokes(chart) == []
    assert "at most 0" in chart


def test_the_busiest_chart_is_shown_at_once_by_dagster_and_costs_the_event_log_little():
    busy = days(*[[CHANGE] * (30 + place) + [FAILED] * (29 - place) for place in range(DAYS)])

    assert len(chart_of(busy)) < 1000
