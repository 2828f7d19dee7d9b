"""What is read from Viewpoint Vista: tables, columns and the four queries, the same for SQL Server and SQLite.

No connection, no values: reader.py runs the queries and turns rows into snapshots.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.rules.config import WITH_SITE_COLUMNS, SyncConfig, ViewpointConfig

Role = Literal["employees", "departments", "jobs", "contracts", "timecards", "payroll_interface"]

# Columns by role: those the sync cannot do without, and those that read as empty where a site lacks them or its login
# may not see them. Nothing is ever selected but these and the columns that sync.yaml names: the employees table also
# holds pay and bank details.
_WORKED = ("PRCo", "Employee", "JCCo", "Job", "PostDate")
REQUIRED: Mapping[Role, tuple[str, ...]] = {
    "employees": ("PRCo", "Employee", "LastName", "FirstName", "HireDate", "TermDate", "PRDept"),
    "departments": ("PRCo", "PRDept", "Description"),
    "jobs": ("JCCo", "Job", "Description", "Contract", "JobStatus"),
    "contracts": ("JCCo", "Contract", "Department"),
    "timecards": _WORKED,
    "payroll_interface": _WORKED,
}
OPTIONAL: Mapping[Role, tuple[str, ...]] = {
    "employees": (
        *("MidName", "Suffix", "Sex", "BirthDate", "ActiveYN", "Email", "Phone", "CellPhone", "Address", "Address2"),
        *("City", "State", "Zip", "Country", "JCCo", "Job", "udEmpTitle"),
    ),
    "departments": ("udRegion",),
    "jobs": ("PCVisibleInJC", "ShipAddress", "ShipAddress2", "ShipCity", "ShipState", "ShipZip", "ShipCountry"),
}
# Labels whose column has another name at another site, and the key of sync.yaml for it.
_SITE_COLUMNS = {"udEmpTitle": "title", "udRegion": "region"}


@dataclass(frozen=True)
class VistaTable:
    """One table as this site has it: `columns` maps each label to the real column, or to None where it is missing."""

    name: str
    clause: sa.TableClause
    columns: Mapping[str, str | None]
    notices: tuple[str, ...] = ()

    def __getitem__(self, label: str) -> sa.ColumnElement[Any]:
        """The column behind a label; SQL NULL where this site has none."""
        column = self.columns[label]
        return sa.null() if column is None else self.clause.c[column]

    def labelled(self) -> list[sa.Label[Any]]:
        """Every column under its label, in declared order."""
        return [self[label].label(label) for label in self.columns]


@dataclass(frozen=True)
class Query:
    """One snapshot: its table name, the statement that reads it whole, its key and what was degraded."""

    table: str
    statement: sa.Select[Any]
    key: tuple[str, ...]
    notices: tuple[str, ...]


def roles_read(config: ViewpointConfig) -> tuple[Role, ...]:
    """The roles whose tables are read under this configuration."""
    return ("employees", "departments", "jobs", "contracts", config.latest_job_source)


def table_name(config: ViewpointConfig, role: Role) -> str:
    """The site's name of the table that plays this role."""
    name: str = getattr(config.tables, role)
    return name


def vista_tables(config: SyncConfig, found: Mapping[str, Collection[str]]) -> dict[Role, VistaTable]:
    """The site's tables, given the columns `found` in each (a table that is not there is no key of it).

    Raises Refusal naming every missing table and required column, each with the key of sync.yaml to change.
    """
    problems: list[str] = []
    tables: dict[Role, VistaTable] = {}
    viewpoint = config.viewpoint
    for role in roles_read(viewpoint):
        name = table_name(viewpoint, role)
        if name in found:
            tables[role] = _vista_table(config, role, name, found[name], problems)
        else:
            schema = f" in schema {viewpoint.db_schema}" if viewpoint.db_schema else ""
            problems.append(
                f"no table or view {name}{schema} is visible to this login: correct viewpoint.tables.{role} or "
                "viewpoint.db_schema in sync.yaml, or grant SELECT on it"
            )
    if problems:
        raise Refusal("\n".join(f"Viewpoint: {problem}" for problem in problems))
    return tables


def _vista_table(config: SyncConfig, role: Role, name: str, found: Collection[str], problems: list[str]) -> VistaTable:
    """Resolve labels to real columns, case-exactly: under a binary collation `prco` is not `PRCo`."""
    columns: dict[str, str | None] = {}
    notices: list[str] = []
    optional, table = OPTIONAL.get(role, ()), f"viewpoint/{role}"
    named = config.site_columns(table) if table in WITH_SITE_COLUMNS else {}
    for label in (*REQUIRED[role], *optional, *named):
        site_key = _SITE_COLUMNS.get(label)
        column: str = getattr(config.viewpoint.columns, site_key) if site_key else label
        columns[label] = column if column in found else None
        if column in found:
            continue
        similar = sorted(other for other in found if other.lower() == column.lower())
        hint = f"; it has {similar[0]}, and case counts" if similar else ""
        if label in named:
            problems.append(f"{name} has no column {column}{hint}: correct {named[label]} in sync.yaml")
        elif label not in optional:
            problems.append(
                f"{name} has no column {column}{hint}: correct viewpoint.tables.{role} in sync.yaml to a table or view "
                "that has it"
            )
        elif site_key:
            notices.append(
                f"{name} has no column {column}{hint}: read as empty; its name is viewpoint.columns.{site_key} "
                "in sync.yaml"
            )
        else:
            notices.append(f"{name} has no column {column}{hint}: read as empty")
    real: list[sa.ColumnClause[Any]] = [sa.column(column) for column in columns.values() if column is not None]
    return VistaTable(name, sa.table(name, *real, schema=config.viewpoint.db_schema), columns, tuple(notices))


def viewpoint_queries(config: SyncConfig, tables: Mapping[Role, VistaTable], *, read_on: date) -> tuple[Query, ...]:
    """The four reads. `read_on` is the day from which `lookback_days` counts back."""
    employees, departments, jobs, contracts = (
        tables[role] for role in ("employees", "departments", "jobs", "contracts")
    )
    return (
        Query(
            "viewpoint/employees",
            sa.select(*employees.labelled()).where(employees["PRCo"].in_(config.companies)),
            ("PRCo", "Employee"),
            employees.notices,
        ),
        Query(
            "viewpoint/departments",
            sa.select(*departments.labelled()).where(departments["PRCo"].in_(config.companies)),
            ("PRCo", "PRDept"),
            departments.notices,
        ),
        Query("viewpoint/jobs", _jobs(config, jobs, contracts), ("JCCo", "Job"), jobs.notices),
        Query(
            "viewpoint/recent_jobs",
            _recent_jobs(config, tables[config.viewpoint.latest_job_source], jobs, read_on),
            ("PRCo", "Employee"),
            tuple(notice for notice in jobs.notices if "PCVisibleInJC" in notice),
        ),
    )


def _trimmed(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Without trailing blanks, which SQL Server ignores in a comparison and other databases do not."""
    return sa.func.rtrim(column)


def _jobs(config: SyncConfig, jobs: VistaTable, contracts: VistaTable) -> sa.Select[Any]:
    """All jobs of the companies, open or not, with the department of their contract where it has one."""
    # Grouped, a contract gives one row whatever its blanks, and SQLite can index it: joined on two trimmed columns,
    # 850 jobs took seconds.
    by_contract = (
        sa.select(contracts["JCCo"].label("JCCo"), _trimmed(contracts["Contract"]).label("Contract"))
        .add_columns(sa.func.max(contracts["Department"]).label("Department"))
        .where(contracts["JCCo"].in_(config.companies))
        .group_by(contracts["JCCo"], _trimmed(contracts["Contract"]))
        .subquery("by_contract")
    )
    same = sa.and_(by_contract.c.JCCo == jobs["JCCo"], by_contract.c.Contract == _trimmed(jobs["Contract"]))
    return (
        sa.select(*jobs.labelled(), by_contract.c.Department)
        .select_from(jobs.clause.outerjoin(by_contract, same))
        .where(jobs["JCCo"].in_(config.companies))
    )


def _recent_jobs(config: SyncConfig, worked: VistaTable, jobs: VistaTable, read_on: date) -> sa.Select[Any]:
    """The latest open job each employee worked: by date, then job, then company, so that equal data give equal rows.

    Timecards are grouped first: history has millions of rows, and only one of each employee and job matters.
    """
    work, open_jobs = _work(config, worked, read_on).subquery("work"), _open_jobs(config, jobs).subquery("open_jobs")
    newest_first = (work.c.LastWorked.desc(), work.c.TrimmedJob.desc(), work.c.JCCo.desc())
    rank = sa.func.row_number().over(partition_by=(work.c.PRCo, work.c.Employee), order_by=newest_first)
    same = sa.and_(open_jobs.c.JCCo == work.c.JCCo, open_jobs.c.TrimmedJob == work.c.TrimmedJob)
    ranked = (
        sa.select(work.c.PRCo, work.c.Employee, open_jobs.c.JCCo, open_jobs.c.Job, work.c.LastWorked)
        .add_columns(rank.label("Rank"))
        .select_from(work.join(open_jobs, same))
        .subquery("ranked")
    )
    columns = (ranked.c[label] for label in ("PRCo", "Employee", "JCCo", "Job", "LastWorked"))
    return sa.select(*columns).where(ranked.c.Rank == 1)


def _work(config: SyncConfig, worked: VistaTable, read_on: date) -> sa.Select[Any]:
    """One row for each employee and job worked, with the last day."""
    job = _trimmed(worked["Job"])
    work = (
        sa.select(worked["PRCo"].label("PRCo"), worked["Employee"].label("Employee"), worked["JCCo"].label("JCCo"))
        .add_columns(job.label("TrimmedJob"), sa.func.max(worked["PostDate"]).label("LastWorked"))
        .where(worked["PRCo"].in_(config.companies), worked["JCCo"].in_(config.companies))
        .where(worked["Job"].is_not(None), job != sa.literal("", sa.String()))
        .group_by(worked["PRCo"], worked["Employee"], worked["JCCo"], job)
    )
    if config.viewpoint.lookback_days is None:
        return work
    since = read_on - timedelta(days=config.viewpoint.lookback_days)
    return work.where(worked["PostDate"] >= sa.literal(since, sa.Date()))


def _open_jobs(config: SyncConfig, jobs: VistaTable) -> sa.Select[Any]:
    """One row for each open job, its key both verbatim and trimmed.

    A potential project is not open: it stands in the base table too, with PCVisibleInJC other than Y.
    """
    trimmed = _trimmed(jobs["Job"])
    open_jobs = (
        sa.select(jobs["JCCo"].label("JCCo"), trimmed.label("TrimmedJob"), sa.func.max(jobs["Job"]).label("Job"))
        .where(jobs["JCCo"].in_(config.companies), jobs["JobStatus"].in_(config.jobs.open_statuses))
        .group_by(jobs["JCCo"], trimmed)
    )
    if jobs.columns["PCVisibleInJC"] is None:
        return open_jobs
    visible = jobs["PCVisibleInJC"]
    return open_jobs.where(sa.or_(visible.is_(None), _trimmed(visible) == sa.literal("Y", sa.String())))
