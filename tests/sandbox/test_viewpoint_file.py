"""The SQLite twin of Viewpoint: the world's rows, Vista's columns and comparisons, marks on what nobody may read."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from safetyamp_pipelines.sandbox.viewpoint import write_viewpoint
from safetyamp_pipelines.sandbox.viewpoint_schema import MARKED, SENSITIVE, TABLES
from safetyamp_pipelines.sandbox.world import WorldSpec, build_world
from safetyamp_pipelines.sandbox.world_timecards import MARKED_RATE

WORLD = build_world(WorldSpec())


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    path = tmp_path_factory.mktemp("viewpoint") / "viewpoint.db"
    write_viewpoint(WORLD, path)
    with closing(sqlite3.connect(path)) as opened:
        opened.row_factory = sqlite3.Row
        yield opened


@pytest.mark.parametrize("table", TABLES)
def test_every_row_of_the_world_is_in_the_file(connection, table):
    rows = [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]
    assert rows == WORLD.viewpoint[table]


def test_the_columns_the_sync_reads_are_there():
    read = {
        "bPREH": "PRCo Employee LastName FirstName MidName Suffix Sex BirthDate HireDate TermDate ActiveYN PRDept "
        "Email Phone CellPhone Address Address2 City State Zip Country JCCo Job udEmpTitle",
        "bPRDP": "PRCo PRDept Description udRegion",
        "bJCJM": "JCCo Job Description Contract JobStatus PCVisibleInJC ShipAddress ShipAddress2 ShipCity ShipState "
        "ShipZip ShipCountry",
        "bJCCM": "JCCo Contract Department",
        "bPRTH": "PRCo Employee PostDate JCCo Job",
        "bPRJC": "PRCo Employee PostDate JCCo Job",
    }
    for table, columns in read.items():
        assert set(columns.split()) <= set(TABLES[table])


def test_a_comparison_ignores_trailing_blanks_only(connection):
    padded = WORLD.noted("jobs_padded")[0]
    joined = connection.execute(
        "SELECT c.Department FROM bJCJM j JOIN bJCCM c ON c.JCCo = j.JCCo AND c.Contract = j.Contract "
        "WHERE j.JCCo = 1 AND j.Job = ?",
        [padded],
    ).fetchall()
    assert len(joined) == 1
    assert connection.execute("SELECT 'a' = 'a ' COLLATE RTRIM, 'a' = ' a' COLLATE RTRIM").fetchone()[:] == (1, 0)
    names = "SELECT count(*) FROM bPREH WHERE LastName = ?"
    assert connection.execute(names, ["nowak"]).fetchone()[0] == 0 < connection.execute(names, ["Nowak"]).fetchone()[0]


def test_dates_are_text_at_midnight(connection):
    for column in ("HireDate", "TermDate", "BirthDate"):
        for (value,) in connection.execute(f"SELECT {column} FROM bPREH WHERE {column} IS NOT NULL"):
            assert value.endswith(" 00:00:00")
            assert len(value) == len("2026-11-20 00:00:00")


def test_columns_nobody_may_read_are_marked(connection):
    marks = {MARKED, MARKED[:11], MARKED_RATE, "ZZ"}
    for table, columns in SENSITIVE.items():
        for column in columns:
            found = {value for (value,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}")}
            assert found
            assert found <= marks


def test_a_key_cannot_stand_twice(connection):
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO bPRDP SELECT * FROM bPRDP LIMIT 1")


def test_an_existing_file_is_left_alone(tmp_path):
    path = tmp_path / "viewpoint.db"
    path.write_text("somebody's")
    with pytest.raises(FileExistsError):
        write_viewpoint(WORLD, path)
    assert path.read_text() == "somebody's"
