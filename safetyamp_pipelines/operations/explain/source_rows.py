"""Which raw rows one source record is read from, so that each declared source of a field can be shown. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.sync.entities.employees import ENTRA, join_entra
from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Desired

Rows = dict[str, Record]
"""Snapshot table → the row of it that the record is read from."""


def rows_of(stored: Stored, record: Desired) -> Rows:
    """The rows behind a record; a table that says nothing of it is left out."""
    return FINDERS[stored.spec.name](stored, record)


def _of_employee(stored: Stored, record: Desired) -> Rows:
    rows = _of_company(stored, record, "viewpoint/employees", "PRCo", lambda row: clean.number(row["Employee"], ""))
    joined = join_entra(pd.DataFrame({"rule.number": [record.natural_key]}, dtype=object), stored.inputs)
    account = {
        str(name).removeprefix(f"{ENTRA}."): value
        for name, value in joined.iloc[0].to_dict().items()
        if str(name).startswith(f"{ENTRA}.")
    }
    return {**rows, ENTRA: account}


def _of_job(stored: Stored, record: Desired) -> Rows:
    return _of_company(stored, record, "viewpoint/jobs", "JCCo", lambda row: clean.key(row["Job"], ""))


def _of_department(stored: Stored, record: Desired) -> Rows:
    """A region has no row: it is a name in the rows of its departments."""
    return _of_company(stored, record, "viewpoint/departments", "PRCo", lambda row: clean.text(row["PRDept"], ""))


def _of_title(stored: Stored, record: Desired) -> Rows:
    """One of the employees with that title, in the spelling that stands."""
    table, title = "viewpoint/employees", record.natural_key
    found = [row for row in stored.records(table) if clean.text(row.get("udEmpTitle") or "", "") == title]
    return {table: {"udEmpTitle": found[0]["udEmpTitle"]}} if found else {}


def _of_vehicle(stored: Stored, record: Desired) -> Rows:
    table = "samsara/vehicles"
    found = [row for row in stored.records(table) if str(row["id"]) == record.source_key]
    return {table: found[0]} if found else {}


FINDERS: Mapping[str, Callable[[Stored, Desired], Rows]] = {
    "departments": _of_department,
    "jobs": _of_job,
    "titles": _of_title,
    "employees": _of_employee,
    "vehicles": _of_vehicle,
}


def _of_company(
    stored: Stored, record: Desired, table: str, company: str, key_of: Callable[[Record], Any]
) -> dict[str, Record]:
    """The row of the company whose record this is. The owner of a number that several companies have is keyed by the
    number alone, the others by `company/number`."""
    same = [other.source_key for other in stored.desired if other.natural_key == record.natural_key]
    others = {f"{row[company]}/{record.natural_key}" for row in stored.records(table)} & set(same)
    for row in stored.records(table):
        name = f"{row[company]}/{record.natural_key}"
        is_mine = name == record.source_key if record.source_key in others else name not in others
        if is_mine and key_of(row) == record.natural_key:
            return {table: row}
    return {}
