"""The reader over the embedded world's Viewpoint: every row of the company, and the latest jobs worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from safetyamp_pipelines.resources.systems import SettingsResource, Viewpoint
from safetyamp_pipelines.sandbox.viewpoint import write_viewpoint
from safetyamp_pipelines.sandbox.viewpoint_schema import MARKED
from safetyamp_pipelines.sandbox.world import WorldSpec, build_world
from safetyamp_pipelines.sync.model.snapshot import Snapshot

READ_AT = "2026-11-20T10:00:00Z"
OPEN = 1


@pytest.fixture
def tables_and_snapshots(tmp_path: Path) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Snapshot]]:
    """The rows of a world, and what an asset reads of them through the resource."""
    world = build_world(WorldSpec(seed=11, employees=80, jobs=40))
    path = tmp_path / "viewpoint.db"
    write_viewpoint(world, path)
    url = sa.URL.create("sqlite", database=str(path)).render_as_string()
    taken: dict[str, Snapshot] = {}

    @dg.asset
    def read(viewpoint: Viewpoint) -> None:
        taken.update(viewpoint.reader().read_all(READ_AT))

    resource = Viewpoint(settings=SettingsResource.of({"VIEWPOINT_URL": url}))
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([read], resources={"viewpoint": resource}, instance=instance)
    return world.viewpoint, taken


def latest_open_jobs(tables: dict[str, list[dict[str, Any]]]) -> dict[int, str]:
    """Employee to job, from the rows themselves: the greatest pair of day and job among the open, visible ones."""
    open_jobs = {
        job["Job"].rstrip()
        for job in tables["bJCJM"]
        if job["JCCo"] == 1 and job["JobStatus"] == OPEN and job["PCVisibleInJC"] == "Y"
    }
    latest: dict[int, tuple[str, str]] = {}
    for day in tables["bPRTH"]:
        job = (day["Job"] or "").rstrip()
        if day["PRCo"] == 1 and day["JCCo"] == 1 and job in open_jobs:
            latest[day["Employee"]] = max(latest.get(day["Employee"], ("", "")), (str(day["PostDate"]), job))
    return {employee: job for employee, (_, job) in latest.items()}


def test_every_row_of_the_company_is_read_verbatim_and_no_marked_column(tables_and_snapshots: Any) -> None:
    tables, snapshots = tables_and_snapshots
    for name, table in (("employees", "bPREH"), ("departments", "bPRDP"), ("jobs", "bJCJM")):
        snapshot = snapshots[f"viewpoint/{name}"]
        company = "JCCo" if table == "bJCJM" else "PRCo"
        expected = [row for row in tables[table] if row[company] == 1]
        wanted = [{label: row[label] for label in snapshot.records[0] if label in row} for row in expected]
        shown = [{label: record[label] for label in wanted[0]} for record in snapshot.records]
        assert sorted(map(repr, shown)) == sorted(map(repr, wanted))
        assert MARKED not in repr(snapshot.records)
        assert snapshot.verified().notices == ()


def test_the_latest_open_job_of_each_employee(tables_and_snapshots: Any) -> None:
    tables, snapshots = tables_and_snapshots
    read = {record["Employee"]: record["Job"].rstrip() for record in snapshots["viewpoint/recent_jobs"].records}
    assert read == latest_open_jobs(tables)
    assert len(read) > 40


def test_each_job_has_the_department_of_its_contract(tables_and_snapshots: Any) -> None:
    tables, snapshots = tables_and_snapshots
    departments = {row["Contract"].rstrip(): row["Department"] for row in tables["bJCCM"] if row["JCCo"] == 1}
    for record in snapshots["viewpoint/jobs"].records:
        assert record["Department"] == departments.get((record["Contract"] or "").rstrip())


def test_the_reader_is_closed_with_the_run_and_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "viewpoint.db"
    write_viewpoint(build_world(WorldSpec(employees=20, jobs=10)), path)
    resource = Viewpoint(settings=SettingsResource.of({"VIEWPOINT_URL": f"sqlite:///{path}"}))
    first = resource.reader()
    assert resource.reader() is first
    assert "queries ready" in first.check()
    resource.teardown_after_execution(dg.build_init_resource_context())
    assert resource.reader() is not first
