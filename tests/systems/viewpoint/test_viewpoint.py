"""Reading Viewpoint on SQLite: every value whole and verbatim, one moment for all tables, an error and never less."""

from __future__ import annotations

import json
import sqlite3
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from viewpoint_world import (
    CONTRACT,
    DEPARTMENT,
    EMPLOYEE,
    JOB,
    READ_AT,
    Rows,
    config,
    insert,
    work,
    write_viewpoint,
)

from safetyamp_pipelines.sync.model.errors import FatalCall, ReadError, Refusal, RetriableCall
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot
from safetyamp_pipelines.systems.viewpoint.reader import ViewpointReader, _json_value

WHOLE: Rows = {"bPREH": [EMPLOYEE], "bPRDP": [DEPARTMENT], "bJCJM": [JOB], "bJCCM": [CONTRACT]}


def read(folder: Path, rows: Rows, *, without: Any = None, **sections: Any) -> dict[str, Snapshot]:
    """All snapshots of a Viewpoint with these rows."""
    reader = ViewpointReader(write_viewpoint(folder / "viewpoint.db", rows, without=without), config(**sections))
    try:
        return reader.read_all(READ_AT)
    finally:
        reader.close()


def recent(folder: Path, days: list[dict[str, Any]], known: list[Record] | None = None, **sections: Any) -> list[Any]:
    """Employee, job and day of the recent jobs, in order."""
    rows = {"bPRTH": days, "bJCJM": [JOB] if known is None else known}
    records = read(folder, rows, **sections)["viewpoint/recent_jobs"].records
    return [(record["Employee"], record["Job"], record["LastWorked"]) for record in records]


def test_four_certified_snapshots_with_whole_verbatim_records(tmp_path: Path) -> None:
    job = {**JOB, "Contract": "24113.  "}  # the contract's key has other trailing blanks
    snapshots = read(tmp_path, {**WHOLE, "bJCJM": [job], "bPRTH": [work("24113.", "2026-11-01T00:00:00")]})

    assert list(snapshots) == [f"viewpoint/{name}" for name in ("employees", "departments", "jobs", "recent_jobs")]
    for table, snapshot in snapshots.items():
        certificate = snapshot.verified().certificate
        assert certificate is not None
        assert snapshot.table == table
        assert snapshot.notices == ()
        assert (certificate.pages, certificate.rows, certificate.unique_keys) == (1, 1, 1)
        assert certificate.read_at == READ_AT
    (employee,) = snapshots["viewpoint/employees"].records
    assert employee["LastName"] == "Test "
    assert employee["MidName"] is None
    assert "SSN" not in employee
    assert snapshots["viewpoint/departments"].records == (DEPARTMENT,)
    assert snapshots["viewpoint/jobs"].records[0]["Department"] == "SO"
    assert snapshots["viewpoint/jobs"].records[0]["Contract"] == "24113.  "
    assert snapshots["viewpoint/recent_jobs"].records == (
        {"PRCo": 1, "Employee": 7, "JCCo": 1, "Job": "24113.", "LastWorked": "2026-11-01T00:00:00"},
    )


def test_only_the_configured_companies_are_read(tmp_path: Path) -> None:
    rows = {
        "bPREH": [{**EMPLOYEE, "PRCo": company} for company in (1, 2, 90)],
        "bPRDP": [{**DEPARTMENT, "PRCo": company} for company in (1, 2, 90)],
        "bJCJM": [{**JOB, "JCCo": company} for company in (1, 2, 90)],
        "bPRTH": [work("24113.", "2026-11-01", company=company, job_company=company) for company in (1, 2, 90)],
    }
    for snapshot in read(tmp_path, rows, companies=[1, 2]).values():
        assert [record.get("PRCo", record.get("JCCo")) for record in snapshot.records] == [1, 2]


def test_all_jobs_are_read_open_or_not_with_or_without_contract(tmp_path: Path) -> None:
    jobs = [
        {**JOB, "Job": "1.", "JobStatus": 3},
        {**JOB, "Job": "2.", "PCVisibleInJC": "N"},
        {**JOB, "Job": "3.", "Contract": None},
        {**JOB, "Job": "4.", "Contract": "gone."},
    ]
    records = read(tmp_path, {"bJCJM": jobs, "bJCCM": [CONTRACT]})["viewpoint/jobs"].records
    assert [(record["Job"], record["Department"]) for record in records] == [
        *(("1.", "SO"), ("2.", "SO"), ("3.", None), ("4.", None)),
    ]


def test_a_contract_of_another_company_gives_no_department(tmp_path: Path) -> None:
    records = read(tmp_path, {"bJCJM": [JOB], "bJCCM": [{**CONTRACT, "JCCo": 2}]})["viewpoint/jobs"].records
    assert [record["Department"] for record in records] == [None]


# The latest job -------------------------------------------------------------------------------------------------


def test_the_latest_job_is_by_date_then_by_job_whatever_the_order_of_rows(tmp_path: Path) -> None:
    jobs: list[Record] = [{**JOB, "Job": job} for job in ("10.", "20.", "30.")]
    days = [work("30.", "2026-10-01"), work("10.", "2026-11-02"), work("20.", "2026-11-02"), work("10.", "2026-11-01")]
    for number, order in enumerate((days, days[::-1], sorted(days, key=str))):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert recent(folder, order, jobs) == [(7, "20.", "2026-11-02")]


def test_one_latest_job_for_each_employee_of_each_company(tmp_path: Path) -> None:
    days = [
        work("24113.", "2026-11-01"),
        work("24113.", "2026-11-03", employee=8),
        work("24113.", "2026-11-02", company=2),
        work("24113.", "2026-11-04"),
    ]
    assert recent(tmp_path, days, companies=[1, 2]) == [
        *((7, "24113.", "2026-11-04"), (8, "24113.", "2026-11-03"), (7, "24113.", "2026-11-02")),
    ]


@pytest.mark.parametrize(
    ("job", "counts"),
    [
        pytest.param(JOB, True, id="open"),
        pytest.param({**JOB, "JobStatus": 3}, False, id="closed"),
        pytest.param({**JOB, "JobStatus": 0}, False, id="pending"),
        pytest.param({**JOB, "PCVisibleInJC": "N"}, False, id="potential"),
        pytest.param({**JOB, "PCVisibleInJC": None}, True, id="not marked"),
        pytest.param({**JOB, "JCCo": 2}, False, id="of another company"),
        pytest.param({**JOB, "Job": "24113. "}, True, id="trailing blank"),
        pytest.param({**JOB, "Job": " 24113."}, False, id="leading blank is another key"),
    ],
)
def test_only_open_jobs_count_and_an_older_open_one_stands_in(tmp_path: Path, job: Record, counts: bool) -> None:
    older = {**JOB, "Job": "1."}
    days = [work("1.", "2026-01-01"), work("24113.", "2026-11-01")]
    expected = (7, job["Job"], "2026-11-01") if counts else (7, "1.", "2026-01-01")
    assert recent(tmp_path, days, [job, older]) == [expected]


def test_the_statuses_that_count_as_open_are_configured(tmp_path: Path) -> None:
    jobs: list[Record] = [{**JOB, "JobStatus": 0}]
    assert recent(tmp_path, [work("24113.", "2026-11-01")], jobs, jobs={"open_statuses": [0, 1]}) != []


def test_without_the_visibility_column_a_job_counts_and_a_notice_says_so(tmp_path: Path) -> None:
    rows = {"bPRTH": [work("24113.", "2026-11-01")], "bJCJM": [{**JOB}]}
    del rows["bJCJM"][0]["PCVisibleInJC"]
    snapshot = read(tmp_path, rows, without={"bJCJM": ["PCVisibleInJC"]})["viewpoint/recent_jobs"]
    assert len(snapshot.records) == 1
    assert snapshot.notices == ("bJCJM has no column PCVisibleInJC: read as empty",)


@pytest.mark.parametrize("job", [None, "", "   "])
def test_work_on_no_job_is_no_latest_job(tmp_path: Path, job: str | None) -> None:
    jobs: list[Record] = [JOB, {**JOB, "Job": ""}]
    assert recent(tmp_path, [work(job, "2026-11-02"), work("24113.", "2026-11-01")], jobs) == [
        (7, "24113.", "2026-11-01")
    ]


@pytest.mark.parametrize("spelling", ["{}", "{}T00:00:00", "{} 00:00:00"])
def test_lookback_counts_back_from_the_read_and_includes_its_first_day(tmp_path: Path, spelling: str) -> None:
    days = [work("24113.", spelling.format("2026-11-10"), employee=8), work("24113.", spelling.format("2026-11-09"))]
    (only,) = recent(tmp_path, days, viewpoint={"lookback_days": 10})
    assert only[0] == 8


def test_the_payroll_interface_can_be_the_source(tmp_path: Path) -> None:
    rows = {"bPRTH": [work("1.", "2026-11-09")], "bPRJC": [work("24113.", "2026-11-01")], "bJCJM": [JOB]}
    snapshots = read(tmp_path, rows, viewpoint={"latest_job_source": "payroll_interface"})
    assert [record["Job"] for record in snapshots["viewpoint/recent_jobs"].records] == ["24113."]


# One consistent read --------------------------------------------------------------------------------------------


def test_all_tables_are_of_one_moment_although_a_writer_commits_in_between(tmp_path: Path) -> None:
    # given a file that is written while it is read
    url = write_viewpoint(tmp_path / "viewpoint.db", WHOLE)
    writer = sqlite3.connect(tmp_path / "viewpoint.db")
    writer.execute("PRAGMA journal_mode = WAL")
    reader = ViewpointReader(url, config())

    # when a department and a job are committed right after the employees were read
    def commit_changes(*event: Any) -> None:
        if event[2].startswith('SELECT "bPREH"') and writer.in_transaction:
            writer.commit()

    insert(writer, "bPRDP", {**DEPARTMENT, "PRDept": "20"})
    insert(writer, "bJCJM", {**JOB, "Job": "new."})
    sa.event.listen(reader._engine, "after_cursor_execute", commit_changes)
    first = reader.read_all(READ_AT)
    assert not writer.in_transaction, "the writer was to commit within the read"

    # then that read does not see them, and the next one does
    second = reader.read_all(READ_AT)
    assert [len(snapshot.records) for snapshot in first.values()] == [1, 1, 1, 0]
    assert [len(snapshot.records) for snapshot in second.values()] == [1, 2, 2, 0]
    writer.close()
    reader.close()


def test_the_file_is_never_written_and_a_missing_one_never_created(tmp_path: Path) -> None:
    missing = tmp_path / "gone" / "viewpoint.db"
    here = tmp_path / "viewpoint.db"
    for path in (missing, here):
        with pytest.raises(Refusal, match=r"cannot be opened \(SQLITE_CANTOPEN\): check that VIEWPOINT_URL"):
            ViewpointReader(sa.URL.create("sqlite", database=str(path)), config()).read_all(READ_AT)
        assert not path.exists()

    url = write_viewpoint(here, WHOLE)
    with ViewpointReader(url, config())._engine.connect() as connection, pytest.raises(sa.exc.OperationalError):
        connection.exec_driver_sql("DELETE FROM bPREH")


@pytest.mark.parametrize("name", ["with blank.db", "100%.db", "what?.db", "a#b.db"])
def test_any_file_name_is_found(tmp_path: Path, name: str) -> None:
    reader = ViewpointReader(write_viewpoint(tmp_path / name, WHOLE), config())
    assert len(reader.read_all(READ_AT)["viewpoint/employees"].records) == 1


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "viewpoint.db").write_text("this is not a database, and long enough to have a header to be read\n" * 20)
    with pytest.raises(Refusal, match="not a whole SQLite file"):
        ViewpointReader(sa.URL.create("sqlite", database=str(tmp_path / "viewpoint.db")), config()).read_all(READ_AT)


def test_a_locked_file_is_tried_three_times_and_then_an_error(tmp_path: Path) -> None:
    # given a writer that holds the whole file
    url = write_viewpoint(tmp_path / "viewpoint.db", WHOLE).update_query_dict({"timeout": "0"})
    writer = sqlite3.connect(tmp_path / "viewpoint.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    waits: list[float] = []

    # when / then
    with pytest.raises(RetriableCall, match="locked by a writer"):
        ViewpointReader(url, config(), sleep=waits.append).read_all(READ_AT)
    assert len(waits) == 2
    writer.execute("ROLLBACK")

    # and a lock that goes away in time does no harm
    writer.execute("BEGIN EXCLUSIVE")
    reader = ViewpointReader(url, config(), sleep=lambda _: writer.execute("ROLLBACK") and None)
    assert len(reader.read_all(READ_AT)["viewpoint/employees"].records) == 1
    writer.close()


def test_the_work_grows_with_the_rows_and_not_with_their_square(tmp_path: Path) -> None:
    def steps(count: int) -> int:
        """Thousands of steps of the database for so many jobs, each with its contract and a day's work."""
        numbers = [f"{number}." for number in range(count)]
        rows: Rows = {
            "bJCJM": [{**JOB, "Job": number, "Contract": number} for number in numbers],
            "bJCCM": [{**CONTRACT, "Contract": number} for number in numbers],
            "bPRTH": [work(number, "2026-11-01", employee=index) for index, number in enumerate(numbers)],
        }
        reader = ViewpointReader(write_viewpoint(tmp_path / f"{count}.db", rows), config())
        taken: list[None] = []
        count_steps = lambda connection, _: connection.set_progress_handler(lambda: taken.append(None), 1000)  # noqa: E731
        sa.event.listen(reader._engine, "connect", count_steps)
        snapshots = reader.read_all(READ_AT)
        assert [len(snapshot.records) for snapshot in snapshots.values()] == [0, 0, count, count]
        return len(taken)

    assert steps(1200) < 6 * steps(300)


# Refusals -------------------------------------------------------------------------------------------------------


def test_a_missing_table_is_refused_by_read_and_check(tmp_path: Path) -> None:
    url = write_viewpoint(tmp_path / "viewpoint.db", WHOLE)
    reader = ViewpointReader(url, config(viewpoint={"tables": {"employees": "bPREHX"}}))
    for call in (reader.check, lambda: reader.read_all(READ_AT)):
        with pytest.raises(Refusal, match=r"bPREHX is visible to this login: correct viewpoint\.tables\.employees"):
            call()


def test_missing_site_columns_degrade_with_a_notice(tmp_path: Path) -> None:
    department = {key: value for key, value in DEPARTMENT.items() if key != "udRegion"}
    snapshots = read(
        *(tmp_path, {**WHOLE, "bPRDP": [department]}),
        without={"bPREH": ["udEmpTitle"], "bPRDP": ["udRegion"]},
    )
    assert snapshots["viewpoint/employees"].records[0]["udEmpTitle"] is None
    assert snapshots["viewpoint/departments"].records == ({**department, "udRegion": None},)
    assert "viewpoint.columns.title" in snapshots["viewpoint/employees"].notices[0]
    assert "viewpoint.columns.region" in snapshots["viewpoint/departments"].notices[0]
    assert snapshots["viewpoint/jobs"].notices == ()


def test_check_says_what_is_ready_and_what_is_degraded(tmp_path: Path) -> None:
    employee = {key: value for key, value in EMPLOYEE.items() if key != "udEmpTitle"}
    url = write_viewpoint(tmp_path / "v.db", {**WHOLE, "bPREH": [employee]}, without={"bPREH": ["udEmpTitle"]})
    said = ViewpointReader(url, config()).check()
    assert "4 queries ready over 5 tables" in said
    assert "bPREH has no column udEmpTitle" in said


def test_check_refuses_tables_that_show_no_rows(tmp_path: Path) -> None:
    url = write_viewpoint(tmp_path / "viewpoint.db", WHOLE)
    with pytest.raises(Refusal, match=r"no rows of viewpoint/employees, viewpoint/departments.* for companies \[9\]"):
        ViewpointReader(url, config(companies=[9])).check()


def test_another_database_is_refused() -> None:
    with pytest.raises(Refusal, match="give one of mssql\\+pyodbc or sqlite"):
        ViewpointReader(sa.make_url("postgresql://u:secret@host/db"), config())


def test_a_broken_view_is_a_clear_error_without_values(tmp_path: Path) -> None:
    url = write_viewpoint(tmp_path / "viewpoint.db", WHOLE)
    with sqlite3.connect(tmp_path / "viewpoint.db") as database:
        columns = ", ".join(f"abs('x') + json('not json') AS {name}" for name in ("PRCo", "PRDept", "Description"))
        database.execute(f"CREATE VIEW broken AS SELECT {columns} FROM bPREH")
    reader = ViewpointReader(url, config(viewpoint={"tables": {"departments": "broken"}}))
    with pytest.raises(FatalCall, match=r"viewpoint/departments: the database answered an error") as error:
        reader.read_all(READ_AT)
    assert "not json" not in str(error.value)


# Values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 11, 1), "2026-11-01"),
        (datetime(2026, 11, 1, 7, 30), "2026-11-01T07:30:00"),
        (date(2026, 11, 1), "2026-11-01"),
        (Decimal("24113"), 24113),
        (Decimal("24113.00"), 24113),
        (Decimal("1.50"), "1.50"),
        ("2026-11-01 00:00:00 ", "2026-11-01 00:00:00 "),
        (1.5, 1.5),
        (None, None),
        (True, True),
    ],
)
def test_values_become_json_and_text_stays_verbatim(value: Any, expected: Any) -> None:
    assert _json_value("viewpoint/jobs", "X", value) == expected


@pytest.mark.parametrize("value", [b"\x00", Decimal("NaN"), object()])
def test_what_is_no_json_is_refused_without_showing_it(value: Any) -> None:
    with pytest.raises(ReadError, match=r"viewpoint/jobs was not read whole: column Job holds \w+ values"):
        _json_value("viewpoint/jobs", "Job", value)


def test_a_number_that_is_none_and_text_of_no_encoding_are_read_as_such_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "viewpoint.db"
    write_viewpoint(path, {**WHOLE, "bPREH": [{**EMPLOYEE, "LastName": "Nguyen\0", "Zip": float("inf")}]})
    with sqlite3.connect(path) as database:
        database.execute("UPDATE bPREH SET FirstName = CAST(X'4EEDA0BD' AS TEXT)")

    snapshot = ViewpointReader(sa.URL.create("sqlite", database=str(path)), config()).read_all(READ_AT)[
        "viewpoint/employees"
    ]

    record = snapshot.records[0]
    assert (record["LastName"], record["Zip"]) == ("Nguyen", None)
    assert record["FirstName"].startswith("N\ufffd")
    assert [f"{field} of [1," in snapshot.notices[-1] for field in ("LastName", "FirstName", "Zip")] == [True] * 3
    assert json.loads(snapshot.as_read[0])["LastName"] == "Nguyen\0"


def test_bytes_in_the_database_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="column LastName holds bytes"):
        read(tmp_path, {**WHOLE, "bPREH": [{**EMPLOYEE, "LastName": b"\xff"}]})


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.one_of(st.none(), st.booleans(), st.integers(), FINITE, st.text(), st.decimals(), st.datetimes()))
def test_every_value_is_json_or_refused(value: Any) -> None:
    try:
        result = _json_value("viewpoint/jobs", "X", value)
    except ReadError:
        return
    assert json.loads(json.dumps(result, allow_nan=False)) == result
