"""Lanes: whatever cannot be read, planned or pushed, a leaver is switched off, and nothing rests on what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from once import made_once
from reliability.lean import lean_run

from safetyamp_pipelines.cli.running import FAILED, IN_STEP, Ran, run_entities
from safetyamp_pipelines.operations.progress import LogProgress
from safetyamp_pipelines.sandbox import FaultRule, Sandbox, TargetOptions, WorldSpec
from safetyamp_pipelines.sync.entities.registry import BY_NAME


def company(home: Path) -> Sandbox:
    spec = WorldSpec(employees=20, jobs=6, vehicles=3, departments=4, titles=3, mess=False)
    return Sandbox(spec, TargetOptions(calls=100_000, period=0.5), home=home)


@pytest.fixture(scope="module")
def in_step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a company with which SafetyAmp is in step."""

    def make(home: Path) -> None:
        with company(home) as box:
            assert lean_run(box.environment).is_clean

    return made_once("company-of-lanes", make, tmp_path_factory)


@pytest.fixture
def box(in_step: Path, tmp_path: Path) -> Iterator[Sandbox]:
    with company(shutil.copytree(in_step, tmp_path / "home")) as box:
        yield box


def no_entra(box: Sandbox) -> None:
    box.faults.add(FaultRule("status", system="login", status=401, times=None))


def no_samsara(box: Sandbox) -> None:
    box.faults.add(FaultRule("status", system="samsara", status=401, times=None))


def no_other_table(box: Sandbox) -> None:
    """Of SafetyAmp only the users can be read."""
    tables = "/(site_clusters|sites|user_titles|roles|asset_types|assets)"
    box.faults.add(FaultRule("status", system="safetyamp", method="GET", path_regex=tables, status=404, times=None))


def no_departments(box: Sandbox) -> None:
    """The check of the snapshot fails, so there is no plan for departments."""
    box.sources.delete_rows("bPRDP")


def no_jobs(box: Sandbox) -> None:
    """A guard holds the moves that would follow."""
    box.sources.delete_rows("bJCJM")


def everything_else(box: Sandbox) -> None:
    for take_away in (no_entra, no_samsara, no_other_table, no_departments, no_jobs):
        take_away(box)


def sync(box: Sandbox, *entities: str) -> Ran:
    return run_entities(list(entities or BY_NAME), push=True, environ=box.environment, progress=LogProgress())


def users(box: Sandbox) -> dict[str, dict[str, Any]]:
    """SafetyAmp's users by number, without the time of their last change."""
    rows = box.safetyamp.tables()["users"]
    return {
        row["emp_id"]: {name: row[name] for name in row if name not in ("updated_at", "updated_by")} for row in rows
    }


@pytest.mark.parametrize(
    ("take_away", "beside"),
    [
        (no_entra, ()),
        (no_samsara, ("vehicles",)),
        (no_other_table, ("titles",)),
        (no_departments, ("departments",)),
        (no_jobs, ("jobs",)),
        (everything_else, ("departments", "jobs", "titles", "vehicles")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_leaver_is_switched_off_whatever_else_is_missing_and_nobody_else_is_touched(
    box: Sandbox, take_away: Callable[[Sandbox], None], beside: tuple[str, ...]
) -> None:
    before = users(box)
    others = {table: rows for table, rows in box.safetyamp.tables().items() if table != "users"}
    leaver = next(
        row for row in box.world.viewpoint["bPREH"] if before.get(str(row["Employee"]), {}).get("system_access")
    )
    box.sources.terminate(leaver["Employee"])
    take_away(box)

    ran = sync(box, "employees", *beside)

    number = str(leaver["Employee"])
    assert users(box) == {**before, number: {**before[number], "system_access": 0}}
    assert {table: rows for table, rows in box.safetyamp.tables().items() if table != "users"} == others
    assert (ran.exit_code, ran.writes) == (FAILED, 1), ran.causes
    assert ran.as_json()["figures"].startswith("done: employees 1 deactivated")


def test_nothing_is_missing_from_a_run_in_which_all_went_well(box: Sandbox) -> None:
    ran = sync(box)

    assert (ran.exit_code, ran.writes) == (IN_STEP, 0), ran.causes
    assert all(set(BY_NAME[name].sources) <= plan.inputs.keys() for name, plan in ran.plans.items())


def test_of_two_accounts_with_one_number_everybody_means_the_one_that_is_linked(box: Sandbox) -> None:
    """SafetyAmp lists the other one first."""
    (asset, *_) = [row for row in box.safetyamp.tables()["assets"] if row["current_user_id"] is not None]
    driver = box.safetyamp.row("users", asset["current_user_id"])
    assert driver is not None
    twin = {"first_name": "Eve", "last_name": "Hand", "email": "by.hand@example.com"}
    box.safetyamp.insert("users", id="00000", emp_id=driver["emp_id"], **twin)

    ran = sync(box)

    assert (ran.exit_code, ran.writes) == (IN_STEP, 0), ran.causes
