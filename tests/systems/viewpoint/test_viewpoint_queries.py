"""The queries as SQL Server gets them: exact names, plain columns, varchar parameters, legal Transact-SQL."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from fake_odbc import FakeOdbc
from sqlalchemy.dialects.mssql.pyodbc import MSDialect_pyodbc
from viewpoint_world import COLUMNS, READ_AT, config, write_viewpoint

from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.systems.viewpoint.queries import OPTIONAL, REQUIRED, Query, viewpoint_queries, vista_tables
from safetyamp_pipelines.systems.viewpoint.reader import ViewpointReader

# Pay, bank, race, identity numbers: what the public column list of Vista marks as sensitive in the tables read here.
SENSITIVE = {
    *("SSN", "Race", "HrlyRate", "SalaryAmt", "JCFixedRate", "EMFixedRate", "YTDSUI", "DirDeposit", "RoutingId"),
    *("BankAcct", "AcctType", "CSLimit", "NonResAlienYN", "HDAmt", "F1Amt", "LCFStock", "LCPStock"),
    *("AUAccountNumber", "AUBSB", "AUReference", "Rate", "Amt", "OldAmt"),
}


def queries(settings: SyncConfig) -> dict[str, Query]:
    tables = vista_tables(settings, COLUMNS)
    return {query.table: query for query in viewpoint_queries(settings, tables, read_on=date(2026, 11, 20))}


def transact_sql(settings: SyncConfig) -> dict[str, str]:
    """Every query as text for SQL Server, parameters left out of the text."""
    dialect = MSDialect_pyodbc()
    return {table: str(query.statement.compile(dialect=dialect)) for table, query in queries(settings).items()}


VARIANTS = pytest.mark.parametrize(
    "settings",
    [
        pytest.param(config(), id="defaults"),
        pytest.param(config(viewpoint={"latest_job_source": "payroll_interface", "lookback_days": 90}), id="interface"),
        pytest.param(config(companies=[1, 2], viewpoint={"db_schema": "dbo"}), id="two companies, schema"),
    ],
)


@VARIANTS
def test_every_query_names_its_columns_and_selects_nothing_sensitive(settings: SyncConfig) -> None:
    for text in transact_sql(settings).values():
        assert "*" not in text
        assert not SENSITIVE & set(re.findall(r"\w+", text))


@VARIANTS
def test_mixed_case_names_are_bracketed_so_that_a_binary_collation_finds_them(settings: SyncConfig) -> None:
    for table, text in transact_sql(settings).items():
        outside_brackets = re.sub(r"\[\w+\]", "", text)
        for names in COLUMNS.values():
            for name in names:
                assert not re.search(rf"\b{name}\b", outside_brackets), f"{name} stands bare in {table}"


def test_the_employees_query_reads_exactly_this() -> None:
    text = transact_sql(config())["viewpoint/employees"]
    assert text.startswith("SELECT [bPREH].[PRCo] AS [PRCo], [bPREH].[Employee] AS [Employee], ")
    assert text.endswith("FROM [bPREH] \nWHERE [bPREH].[PRCo] IN (__[POSTCOMPILE_PRCo_1])")


def test_a_schema_stands_before_every_table() -> None:
    for text in transact_sql(config(viewpoint={"db_schema": "vista"})).values():
        assert re.findall(r"(?:FROM|JOIN) (\[b\w+\])", text) == []
        assert "vista.[b" in text


def test_the_latest_job_is_ranked_in_the_database_by_date_then_job() -> None:
    text = transact_sql(config())["viewpoint/recent_jobs"]
    assert "row_number() OVER (PARTITION BY work.[PRCo], work.[Employee] ORDER BY work.[LastWorked] DESC, " in text
    assert re.search(r"work\.\[LastWorked\] DESC, work\.\[TrimmedJob\] DESC, work\.\[JCCo\] DESC", text)


def test_sql_server_accepts_the_shape_no_order_in_subqueries_and_no_parameter_in_group_by() -> None:
    text = transact_sql(config())["viewpoint/recent_jobs"]
    outside_windows = re.sub(r"OVER \([^()]*(?:\([^()]*\)[^()]*)*\)", "", text)
    assert "ORDER BY" not in outside_windows  # illegal in a derived table without TOP
    groups = re.findall(r"GROUP BY (.*?)\) AS (?:work|open_jobs)", text, re.DOTALL)
    assert len(groups) == 2
    assert not set(":?") & set("".join(groups))  # two parameters are two expressions to SQL Server


@VARIANTS
def test_text_parameters_are_varchar_so_that_indexes_stay_usable(settings: SyncConfig) -> None:
    for query in queries(settings).values():
        compiled = query.statement.compile(dialect=MSDialect_pyodbc())
        for parameter in compiled.binds.values():
            assert not isinstance(parameter.type, sa.Unicode)
            assert not isinstance(parameter.type, sa.types.NullType)


def test_the_driver_is_told_varchar(tmp_path: Path) -> None:
    # given the text parameters of a read: the blank job and the Y of a visible job
    odbc = FakeOdbc(tmp_path / "viewpoint.db")
    write_viewpoint(odbc.path, {})
    reader = ViewpointReader(sa.make_url("mssql+pyodbc://u:p@sql01/Viewpoint"), config(), dbapi=odbc)
    odbc.on_select = lambda statement: odbc.parameter_types.append(statement)

    # when everything is read, and only what was bound after the first SELECT of data is looked at
    reader.read_all(READ_AT)
    first = next(index for index, kind in enumerate(odbc.parameter_types) if str(kind).startswith("SELECT [bPREH]"))
    texts = [kind[0] for kind in odbc.parameter_types[first:] if isinstance(kind, tuple) and "char" in str(kind[0])]

    # then
    assert texts == ["varchar", "varchar"]


def test_every_column_read_is_one_that_vista_has_or_a_site_adds() -> None:
    for role, table in config().viewpoint.tables.model_dump().items():
        assert set(REQUIRED[role]) | set(OPTIONAL.get(role, ())) <= set(COLUMNS[table])


def test_missing_tables_and_columns_are_told_all_at_once_with_the_key_to_change() -> None:
    found = {table: list(columns) for table, columns in COLUMNS.items() if table != "bPRDP"}
    found["bPREH"].remove("PRDept")
    found["bPREH"].append("prdept")

    with pytest.raises(Refusal) as refusal:
        vista_tables(config(), found)

    lines = str(refusal.value).splitlines()
    assert len(lines) == 2
    assert "bPREH has no column PRDept; it has prdept, and case counts" in lines[0]
    assert "viewpoint.tables.employees in sync.yaml" in lines[0]
    assert "bPRDP is visible to this login: correct viewpoint.tables.departments" in lines[1]


def test_a_column_that_only_the_rules_name_is_read_and_one_that_is_missing_is_refused_with_its_key() -> None:
    settings = config(employees={"only": {"udUnion": "LU 1"}})
    there = {**COLUMNS, "bPREH": [*COLUMNS["bPREH"], "udUnion"]}

    assert str(vista_tables(settings, there)["employees"]["udUnion"]) == '"bPREH"."udUnion"'
    with pytest.raises(Refusal, match=r"bPREH has no column udUnion: correct employees.only.udUnion in sync.yaml"):
        vista_tables(settings, COLUMNS)


def test_a_missing_optional_column_becomes_null_and_one_notice() -> None:
    found = {**COLUMNS, "bPREH": [column for column in COLUMNS["bPREH"] if column not in ("udEmpTitle", "Suffix")]}
    tables = vista_tables(config(), found)

    assert str(tables["employees"]["udEmpTitle"]) == "NULL"
    assert tables["employees"].notices == (
        "bPREH has no column Suffix: read as empty",
        "bPREH has no column udEmpTitle: read as empty; its name is viewpoint.columns.title in sync.yaml",
    )


def test_a_column_of_another_name_is_read_under_the_known_label() -> None:
    settings = config(viewpoint={"columns": {"title": "udPosition"}, "tables": {"employees": "PREH"}})
    found = {**COLUMNS, "PREH": [*COLUMNS["bPREH"], "udPosition"]}
    tables = vista_tables(settings, found)

    (query, *_) = viewpoint_queries(settings, tables, read_on=date(2026, 11, 20))

    assert "[PREH].[udPosition] AS [udEmpTitle]" in str(query.statement.compile(dialect=MSDialect_pyodbc()))


def test_the_helper_columns_cover_the_labels_promised_to_the_rest() -> None:
    assert json.dumps(sorted(queries(config())["viewpoint/jobs"].statement.selected_columns.keys())) == json.dumps(
        sorted([*REQUIRED["jobs"], *OPTIONAL["jobs"], "Department"])
    )
