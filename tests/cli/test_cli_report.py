"""`safetyamp report`: a file for spreadsheets or a document for programs, of the same changes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import Answer, in_this_process, small_world

from safetyamp_pipelines.operations.reports.csv_table import COLUMNS
from safetyamp_pipelines.operations.reports.daily import day_of
from safetyamp_pipelines.sandbox import Sandbox

pytestmark = pytest.mark.xdist_group("cli report")

TODAY = day_of(datetime.now(UTC), "America/Chicago")
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A world whose titles were synced."""
    with small_world() as started:
        assert in_this_process(started, "sync", "titles").exit_code == 0
        yield started


def report(box: Sandbox, *options: str, first: object = YESTERDAY, last: object = TOMORROW) -> Answer:
    return in_this_process(box, "report", "--from", str(first), "--to", str(last), *options)


def test_the_file_and_the_document_tell_the_same_changes(box: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "changes.csv"

    told = report(box, "--out", str(file))
    shown = report(box)
    document = report(box, "--json").document()

    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline="")))
    assert rows
    assert [row["key"] for row in rows] == [change["key"] for change in document["changes"]]
    assert {row["entity"] for row in rows} == {"titles"}
    assert list(csv.DictReader(io.StringIO(shown.stdout, newline=""))) == rows
    assert told.stdout == f"{file}: {len(rows)} changes in 3 days, {len(rows)} of them done\n"
    assert [day["day"] for day in document["days"]] == [str(YESTERDAY), str(TODAY), str(TOMORROW)]
    assert sum(day["changes"] for day in document["days"]) == len(rows)
    assert (told.exit_code, told.calls, shown.calls) == (0, [], [])


def test_days_without_changes_are_no_error(box: Sandbox) -> None:
    answer = report(box, first="2026-01-01", last="2026-01-02")

    assert (answer.exit_code, answer.stdout.splitlines()) == (0, [",".join(COLUMNS)])


@pytest.mark.parametrize("as_json", [False, True])
def test_days_in_the_wrong_order_are_refused(box: Sandbox, as_json: bool) -> None:
    answer = report(box, *(["--json"] if as_json else []), first="2026-11-20", last="2026-11-01")

    assert answer.exit_code == 2
    assert "--to 2026-11-01 is before --from 2026-11-20" in answer.stderr
    assert answer.document()["exit_code"] == 2 if as_json else answer.stdout == ""


def test_a_last_day_that_means_for_ever_is_refused(box: Sandbox) -> None:
    answer = report(box, "--json", first="2026-11-01", last="9999-12-31")

    assert answer.exit_code == answer.document()["exit_code"] == 2
    assert "3660 are allowed" in answer.stderr


def test_a_file_that_cannot_be_written_is_refused(box: Sandbox, tmp_path: Path) -> None:
    answer = report(box, "--out", str(tmp_path / "no folder" / "changes.csv"))

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "cannot be written" in answer.stderr


def test_a_day_that_is_none_is_refused_by_the_command_line(box: Sandbox) -> None:
    answer = report(box, first="2026-11-31")

    assert answer.exit_code == 2
    assert "2026-11-31" in answer.stderr
