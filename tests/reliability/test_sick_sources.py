"""Sources that fall ill after a healthy first sync: nobody is switched off, nothing is emptied, nothing is moved."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from once import made_once

from reliability.lean import LeanRun, lean_run
from reliability.small import end_state
from safetyamp_pipelines.cli.running import REFUSED, run_entities
from safetyamp_pipelines.operations.progress import LogProgress
from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec
from safetyamp_pipelines.sync.entities.registry import BY_NAME

PEOPLE = 40
COMPANY = {"PRCo": 1}


def company(home: Path) -> Sandbox:
    """A company large enough for shares to mean something."""
    spec = WorldSpec(employees=PEOPLE, jobs=12, vehicles=6, departments=4, titles=3, mess=False)
    return Sandbox(spec, TargetOptions(calls=100_000, period=0.5), home=home)


@pytest.fixture(scope="module")
def in_step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the company once SafetyAmp is in step with it."""

    def make(home: Path) -> None:
        with company(home) as box:
            first = lean_run(box.environment)
            assert first.is_clean, first
            assert lean_run(box.environment).planned == 0

    return made_once("company-of-sick-sources", make, tmp_path_factory)


@pytest.fixture
def box(in_step: Path, tmp_path: Path) -> Iterator[Sandbox]:
    with company(shutil.copytree(in_step, tmp_path / "home")) as box:
        yield box


def employees(box: Sandbox) -> list[dict[str, Any]]:
    """The company's people in payroll."""
    return [row for row in box.world.viewpoint["bPREH"] if row["PRCo"] == 1]


def departments(box: Sandbox) -> list[str]:
    """Payroll departments, the one with the most people first."""
    codes = [row["PRDept"] for row in employees(box)]
    return sorted(set(codes), key=lambda code: (-codes.count(code), code))


def all_but(box: Sandbox, table: str, kept: Callable[[int], bool]) -> None:
    """Delete the rows of the table whose place in it is not to be kept."""
    for place, row in enumerate(list(box.world.viewpoint[table])):
        if not kept(place):
            box.sources.delete_rows(table, {"KeyID": row["KeyID"]})


def no_employees(box: Sandbox) -> None:
    box.sources.delete_rows("bPREH")


def no_departments(box: Sandbox) -> None:
    box.sources.delete_rows("bPRDP")


def no_jobs(box: Sandbox) -> None:
    box.sources.delete_rows("bJCJM")


def a_view_that_returns_nothing(box: Sandbox) -> None:
    for table in ("bPREH", "bPRDP", "bJCJM", "bJCCM", "bPRTH", "bPRJC"):
        box.sources.delete_rows(table)


def a_tenth_of_the_employees(box: Sandbox) -> None:
    all_but(box, "bPREH", lambda place: place % 10 == 0)


def a_tenth_of_the_jobs(box: Sandbox) -> None:
    all_but(box, "bJCJM", lambda place: place % 10 == 0)


def one_department_terminated_at_once(box: Sandbox) -> None:
    code = departments(box)[0]
    for row in [row for row in employees(box) if row["PRDept"] == code]:
        box.sources.terminate(row["Employee"])


def everybody_terminated(box: Sandbox) -> None:
    box.sources.update("bPREH", COMPANY, TermDate="2026-11-19 00:00:00", ActiveYN="N")


def graph_returns_nobody(box: Sandbox) -> None:
    for account in list(box.world.entra):
        box.sources.entra_remove(account["id"])


def everybody_moved(box: Sandbox) -> None:
    codes = departments(box)
    for row in employees(box):
        box.sources.update("bPREH", {**COMPANY, "Employee": row["Employee"]}, PRDept=_next(codes, row["PRDept"]))
    jobs = [row["Job"] for row in box.world.viewpoint["bJCJM"] if row["JCCo"] == 1 and row["JobStatus"] == 1]
    for place, row in enumerate(employees(box)):
        box.sources.move(row["Employee"], job=jobs[place % len(jobs)])


def every_address_gone(box: Sandbox) -> None:
    box.sources.update("bPREH", COMPANY, Address=None, City=None, State=None, Zip=None)


def _next(codes: list[str], code: str) -> str:
    return codes[(codes.index(code) + 1) % len(codes)]


def sick_run(box: Sandbox) -> tuple[LeanRun, int]:
    """A run and the number of writes it sent."""
    since = len(box.requests())
    run = lean_run(box.environment, hours=1)
    return run, sum(request.is_write for request in box.requests("safetyamp", since))


@pytest.mark.parametrize(
    "falls_ill",
    [
        no_employees,
        no_departments,
        no_jobs,
        a_view_that_returns_nothing,
        a_tenth_of_the_employees,
        a_tenth_of_the_jobs,
        one_department_terminated_at_once,
        everybody_terminated,
        graph_returns_nobody,
        everybody_moved,
    ],
)
def test_what_comes_from_a_sick_source_is_held_before_the_first_write(
    box: Sandbox, falls_ill: Callable[[Sandbox], None]
) -> None:
    before = end_state(box)
    falls_ill(box)

    run, writes = sick_run(box)

    assert run.guards
    assert writes == 0
    assert end_state(box) == before


def test_the_shell_says_refused_and_the_ledger_does_not_learn_the_sick_size(box: Sandbox) -> None:
    """A second run on the same sick source would pass, had the first one taught the guard what is normal."""
    before = end_state(box)
    a_tenth_of_the_employees(box)

    codes = [
        run_entities(list(BY_NAME), push=True, environ=box.environment, progress=LogProgress()).exit_code
        for _ in range(2)
    ]

    assert codes == [REFUSED, REFUSED]
    assert end_state(box) == before


def test_addresses_that_vanish_are_not_taken_away(box: Sandbox) -> None:
    before = end_state(box)
    every_address_gone(box)

    run, writes = sick_run(box)

    assert run.is_clean
    assert writes == 0
    assert end_state(box) == before


def test_one_e_mail_for_everybody_reaches_nobody(box: Sandbox) -> None:
    before = end_state(box)
    box.sources.update("bPREH", COMPANY, Email="everybody@example.com")
    for account in box.world.entra:
        box.sources.entra_update(account["id"], mail="everybody@example.com")

    sick_run(box)

    mails = [row["email"] for row in box.safetyamp.tables()["users"]]
    assert "everybody@example.com" not in mails
    assert end_state(box)["users"] == before["users"]


def test_a_samsara_token_restricted_to_one_tag_takes_no_vehicle_away(box: Sandbox) -> None:
    before = end_state(box)
    box.samsara.only_tag = "no such tag"

    _, writes = sick_run(box)

    assert writes == 0
    assert end_state(box) == before


def test_when_the_source_is_well_again_the_next_run_goes_on(box: Sandbox) -> None:
    everybody = employees(box)
    one_department_terminated_at_once(box)
    assert sick_run(box)[0].guards
    for row in everybody:
        box.sources.update("bPREH", {**COMPANY, "Employee": row["Employee"]}, TermDate=None, ActiveYN="Y")

    run, writes = sick_run(box)

    assert run.is_clean
    assert writes == 0
