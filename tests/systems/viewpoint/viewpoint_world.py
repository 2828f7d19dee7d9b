"""A tiny Viewpoint as a SQLite file for the tests beside it; also every Vista column that may be selected."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from safetyamp_pipelines.sync.rules.config import SyncConfig

READ_AT = "2026-11-20T10:00:00Z"

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "bPREH": (
        *("PRCo", "Employee", "LastName", "FirstName", "MidName", "Suffix", "SortName", "SSN", "Race", "Sex"),
        *("BirthDate", "HireDate", "TermDate", "ActiveYN", "PRDept", "Email", "Phone", "CellPhone", "Address"),
        *("Address2", "City", "State", "Zip", "Country", "JCCo", "Job", "HrlyRate", "BankAcct", "udEmpTitle"),
    ),
    "bPRDP": ("PRCo", "PRDept", "Description", "GLCo", "udRegion"),
    "bJCJM": (
        *("JCCo", "Job", "Description", "Contract", "JobStatus", "PCVisibleInJC", "ShipAddress", "ShipAddress2"),
        *("ShipCity", "ShipState", "ShipZip", "ShipCountry"),
    ),
    "bJCCM": ("JCCo", "Contract", "Description", "Department"),
    "bPRTH": ("PRCo", "Employee", "PREndDate", "PostDate", "JCCo", "Job", "Rate", "Amt"),
    "bPRJC": ("PRCo", "Employee", "PostDate", "JCCo", "Job", "Amt"),
}

EMPLOYEE = {
    "PRCo": 1,
    "Employee": 7,
    "LastName": "Test ",
    "FirstName": "Nora",
    "PRDept": "10",
    "HireDate": "2024-01-05",
}
DEPARTMENT = {"PRCo": 1, "PRDept": "10", "Description": "Civil ", "udRegion": "South"}
JOB = {"JCCo": 1, "Job": "24113.", "Description": "Bridge", "Contract": "24113.", "JobStatus": 1, "PCVisibleInJC": "Y"}
CONTRACT = {"JCCo": 1, "Contract": "24113.", "Department": "SO"}

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def write_viewpoint(path: Path, rows: Rows, *, without: Mapping[str, Sequence[str]] | None = None) -> sa.URL:
    """Write the tables with these rows, leaving out the columns `without`; the URL that reads them."""
    missing = without or {}
    with sqlite3.connect(path) as database:
        for table, columns in COLUMNS.items():
            present = [column for column in columns if column not in missing.get(table, ())]
            database.execute(f"CREATE TABLE {table} ({', '.join(present)})")
            for row in rows.get(table, ()):
                insert(database, table, row)
    database.close()
    return sa.URL.create("sqlite", database=str(path))


def insert(database: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    """Add one row."""
    holes = ", ".join("?" for _ in row)
    database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({holes})", tuple(row.values()))


def config(**sections: Any) -> SyncConfig:
    """A SyncConfig with these sections over the defaults."""
    return SyncConfig.model_validate(sections)


def work(
    job: str | None, on: str, *, employee: int = 7, company: int = 1, job_company: int | None = 1
) -> dict[str, Any]:
    """One day's work on a job."""
    return {"PRCo": company, "Employee": employee, "JCCo": job_company, "Job": job, "PostDate": on}
