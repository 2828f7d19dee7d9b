"""What goes out as a file: a plan as page and workbook, and what SafetyAmp has and the source lacks; and --strict."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import in_this_process
from typer.testing import CliRunner

from safetyamp_pipelines.cli.main import COMMANDS, app
from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec

pytestmark = pytest.mark.xdist_group("cli files")


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(WorldSpec(employees=14, jobs=6, vehicles=3, mess=False), TargetOptions(calls=100_000)) as started:
        assert in_this_process(started, "sync").exit_code == 0
        yield started


def test_a_plan_becomes_a_page_and_a_workbook_that_need_nothing_else(box: Sandbox, tmp_path: Path) -> None:
    number = box.sources.hire("Ada", "=Newhire")
    page, book = tmp_path / "plan.html", tmp_path / "plan.xlsx"

    answer = in_this_process(box, "plan", "employee", "--html", str(page), "--xlsx", str(book))

    assert (answer.exit_code, answer.writes) == (0, [])
    (short,) = re.findall(r"employees: .* plan (\w{12})", answer.stdout)
    text = page.read_text(encoding="utf-8")
    (whole,) = re.findall(r'<meta name="plan-employees" content="(\w{64})">', text)
    assert whole.startswith(short)
    assert "Ada =Newhire" in text
    assert not re.search(r"<script|<link|src=|https?://", text)
    with zipfile.ZipFile(book) as parts:
        names = parts.namelist()
        strings = parts.read("xl/sharedStrings.xml").decode()
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    assert "xl/worksheets/sheet1.xml" in names
    assert str(number) in strings
    assert whole in strings
    assert "<f>" not in sheet  # what looks like a formula stays text


def test_strict_says_by_its_exit_code_that_people_have_work(box: Sandbox) -> None:
    quiet = in_this_process(box, "status", "--strict")
    box.sources.hire("Bo", "Silent", with_account=False, Email=None)
    plain = in_this_process(box, "sync", "employees")
    strict = in_this_process(box, "sync", "employees", "--strict")
    status = in_this_process(box, "status", "--strict")

    assert quiet.exit_code == 0
    assert (plain.exit_code, strict.exit_code, status.exit_code) == (0, 3, 3)
    assert status.stdout.splitlines()[0] == "people have work"
    assert "1 rejected: `safetyamp plan employees`" in status.stdout


def test_what_people_entered_in_safetyamp_comes_back_in_the_columns_of_the_source(box: Sandbox, tmp_path: Path) -> None:
    # given somebody whose second address line Viewpoint does not have
    rows = {str(row["Employee"]): row for row in box.world.viewpoint["bPREH"]}
    user = next(
        row
        for row in box.safetyamp.tables()["users"]
        if row["emp_id"] in rows and row["system_access"] and not rows[row["emp_id"]]["Address2"]
    )
    box.safetyamp.edit("users", user["id"], street2="Building 7")

    # and somebody without an e-mail of whom SafetyAmp has one, and an account that no source has
    silent = box.sources.hire("Bo", "Silent", with_account=False, Email=None)
    box.safetyamp.insert("users", first_name="Bo", last_name="Silent", email="bo@example.com", emp_id=str(silent))
    box.safetyamp.insert("users", first_name="Vi", last_name="Visitor", email="vi@example.com")
    in_this_process(box, "sync", "employees")

    # when payroll asks for the way back
    since = len(box.requests())
    answer = in_this_process(box, "drift", "--csv", str(tmp_path / "drift.csv"), "--xlsx", str(tmp_path / "drift.xlsx"))

    # then the file has Viewpoint's own names, and nothing was asked of any system
    assert (answer.exit_code, len(box.requests())) == (0, since)
    text = (tmp_path / "drift.csv").read_text(encoding="utf-8-sig")
    lines = {line["Name in SafetyAmp"]: line for line in csv.DictReader(io.StringIO(text))}
    assert text.startswith("PRCo,Employee,")
    edited, needed, alone = (
        lines[name] for name in (f"{user['first_name']} {user['last_name']}", "Bo Silent", "Vi Visitor")
    )
    assert (edited["Employee"], edited["Address2"], edited["Note"]) == (
        user["emp_id"],
        "Building 7",
        "entered in SafetyAmp",
    )
    assert (needed["Employee"], needed["Email"], needed["FirstName"]) == (str(silent), "bo@example.com", "")
    assert (alone["Employee"], alone["Email"], alone["Note"]) == ("", "vi@example.com", "only in SafetyAmp")
    assert zipfile.is_zipfile(tmp_path / "drift.xlsx")
    assert in_this_process(box, "drift", "person").exit_code == 2


def test_the_help_lists_every_command_and_each_has_its_own() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    for name, entry in COMMANDS.items():
        assert name in shown
        help_of = CliRunner().invoke(app, [name, "--help"], prog_name="safetyamp")
        assert help_of.exit_code == 0, (name, entry)
    assert CliRunner().invoke(app, ["--version"]).stdout.strip().count(".") == 2
