"""No personal value and no secret is told: marked values are pushed through every kind of error, and then everything
that operators see is searched for them.

Values are at home in the snapshots, in plans, and in the ledger's audit trail, and are shown by `safetyamp plan`,
`safetyamp explain` and `safetyamp undo --dry-run` on a terminal. Nowhere else.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from marked_world import (
    BORN,
    MARKERS,
    SECRET,
    WORD,
    ZIP,
    MarkedWorld,
    echo,
    half,
    in_turn,
    marked_world,
    refusal,
    telephone,
)
from typer.testing import CliRunner

from safetyamp_pipelines.cli.main import app
from safetyamp_pipelines.ledger import Ledger

pytestmark = pytest.mark.xdist_group("privacy")

AUDIT_TRAIL = {
    ("ledger_changes", "fields"),
    ("ledger_changes", "answer"),
    ("ledger_links", "pushed"),
}
"""What was intended, sent and answered, and what was last pushed: the columns that may hold values, and no others."""
SNAPSHOTS = ("data/snapshots",)
"""Raw records and plans, below the sandbox's folder."""
WORLD = ("viewpoint.db", "safetyamp.json", "authority.pem", "ca.pem")
"""The sandbox itself."""


@dataclass
class Evidence:
    """What a day of trouble has left: everything that was printed, by command, and where the files are."""

    home: Path
    dagster: Path
    printed: dict[str, str] = field(default_factory=dict)
    exit_codes: dict[str, int] = field(default_factory=dict)
    answered: list[str] = field(default_factory=list)


class Day:
    """Runs commands in this process, with a Dagster home that is kept."""

    def __init__(self, world: MarkedWorld, evidence: Evidence) -> None:
        self.world, self.evidence = world, evidence

    def command(self, name: str, *arguments: str, **changes: str | None) -> str:
        environment = {**self.world.environment, "DAGSTER_HOME": str(self.evidence.dagster), "LOG_LEVEL": "DEBUG"}
        ended = CliRunner().invoke(app, list(arguments), env={**environment, **changes}, catch_exceptions=True)
        trace = "" if ended.exc_info is None or ended.exit_code != 1 else f"\n{ended.exc_info}"
        self.evidence.printed[name] = f"{ended.stdout}\n{ended.stderr}{trace}"
        self.evidence.exit_codes[name] = ended.exit_code
        return ended.stdout

    def trouble(self, name: str, *arguments: str, **changes: str | None) -> str:
        """A command while the servers are indiscreet; afterwards they are well again."""
        told = self.command(name, *arguments, **changes)
        for server in (self.world.safetyamp, self.world.samsara, self.world.microsoft):
            self.evidence.answered += server.answered
            server.says.clear()
            server.answered.clear()
        return told


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A day on which everything goes wrong that can."""
    home, dagster = tmp_path_factory.mktemp("world"), tmp_path_factory.mktemp("dagster")
    shutil.copy(Path(__file__).parents[1] / "dagster.yaml", dagster)
    found = Evidence(home, dagster)
    with marked_world(home) as world:
        day = Day(world, found)
        reads_go_wrong(day)
        writes_go_wrong(day)
        people_and_sources_disagree(day)
        operators_look(day)
    return found


def reads_go_wrong(day: Day) -> None:
    """Every source in turn answers with somebody's values, or cannot be read."""
    world = day.world
    world.microsoft.says["GET", "/v1.0/users"] = echo(403)
    world.samsara.says["GET", "/fleet"] = echo(400)
    world.safetyamp.says["GET", "/api/users"] = echo(404)
    world.safetyamp.says["GET", "/api/sites"] = half
    day.trouble("sources refuse", "plan", "--json", LOG_FORMAT="json")
    world.microsoft.says["POST", "/token"] = echo(400)
    world.samsara.says["GET", "/fleet"] = echo(401)
    world.safetyamp.says["GET", "/api"] = echo(401)
    day.trouble("logins refused", "doctor", "--json")
    spoilt = day.evidence.home / "viewpoint.db.spoilt"
    spoilt.write_text(f"{WORD} {telephone(3)}" * 100)
    day.trouble("viewpoint unreadable", "plan", "titles", "--json", VIEWPOINT_URL=f"sqlite:///{spoilt}")


def writes_go_wrong(day: Day) -> None:
    """SafetyAmp refuses, fails and answers nonsense, each time with the values that were sent."""
    users = ("POST", "/api/users"), ("P(UT|ATCH)", "/api/users/")
    says = day.world.safetyamp.says
    says[users[0]] = in_turn(refusal(), refusal("mobile_phone", "city"), half, echo(200, "text/html"), echo(400))
    says[users[1]] = in_turn(refusal("email", "first_name"), echo(500), echo(404), half)
    day.trouble("writes go wrong", "sync")
    with Ledger.open(day.world.environment["LEDGER_URL"]) as ledger:
        for key in ledger.failures("employees"):
            ledger.mark_failure("employees", key, "retry")


def people_and_sources_disagree(day: Day) -> None:
    """Shared addresses, edits by hand, an account switched off, and a whole company dismissed."""
    box = day.world.box
    day.command("in step", "sync", "employees", "--json", LOG_FORMAT="json", DAGSTER_HOME=None)  # a third of the cost
    people = [row for row in box.world.viewpoint["bPREH"] if row["PRCo"] == 1 and row["HireDate"]]
    numbers = [row["Employee"] for row in people if not row["TermDate"]]
    for number in numbers[:2]:
        box.sources.update("bPREH", {"PRCo": 1, "Employee": number}, Email=f"{WORD}.shared@example.com")
        no_mailbox(day, number, None)
    box.sources.update("bPREH", {"PRCo": 1, "Employee": numbers[2]}, Email=f"{WORD} no address")
    no_mailbox(day, numbers[2], f"{WORD}@{WORD}.onmicrosoft.com")
    users = [row for row in box.safetyamp.tables()["users"] if row["emp_id"] and row["system_access"]]
    box.safetyamp.edit("users", users[-1]["id"], system_access=0)
    box.safetyamp.edit("users", users[-2]["id"], first_name=f"{WORD} by hand", mobile_phone="+15045995999")
    day.command("collisions and edits", "sync", "employees", "--json")
    rules = day.evidence.home / "strict.yaml"
    rules.write_text("guards: {deactivations: {records: 1, share: 0.01}, updates: {records: 1, share: 0.01}}\n")
    box.sources.update("bPREH", {"PRCo": 1}, TermDate="2026-11-19 00:00:00", ActiveYN="N")
    box.sources.update("bPREH", {"PRCo": 1, "Employee": numbers[3]}, TermDate=None, LastName=f"{WORD} new")
    day.command("refused by guards", "sync", "employees", SYNC_CONFIG=str(rules))
    box.sources.delete_rows("bPRDP")
    day.command("a source emptied", "sync", "departments", SYNC_CONFIG=str(rules))


def no_mailbox(day: Day, number: int, mail: str | None) -> None:
    """Take the mailbox of an employee's account, if there is one."""
    with suppress(KeyError):
        day.world.box.sources.entra_update(number, mail=mail)


def operators_look(day: Day) -> None:
    """Every command that answers, but those that are there to show values."""
    world = day.world
    for name in ("failures list", "failures list --json", "status --json", "history --json", "history", "history 4"):
        day.command(name, *name.split())
    day.command("doctor", "doctor", SAFETYAMP_TOKEN=f"{SECRET}-wrong", MS_GRAPH_CLIENT_SECRET=f"{SECRET}-wrong")
    day.command("config", "config", "show")
    day.command("config as JSON", "config", "show", "--json")
    world.safetyamp.says["GET", "/api"] = echo(500)
    day.trouble("explain nobody", "explain", "employee", "999999")
    with Ledger.open(world.environment["LEDGER_URL"]) as ledger:
        change = ledger.changes(entity="employees", limit=1)[0]
    day.command("undo", "undo", str(change.session_id), "--json")
    day.command("forget", "forget", "employee", change.source_key, "--yes")


def test_the_day_met_what_it_was_made_for(evidence: Evidence) -> None:
    """A search that finds nothing proves nothing unless the values went through."""
    printed, codes = evidence.printed, evidence.exit_codes

    assert (codes["sources refuse"], codes["logins refused"], codes["viewpoint unreadable"]) == (2, 2, 2)
    said = {re.sub(r"users/\w+", "users/{id}", line) for line in evidence.answered}
    assert {"GET /v1.0/users 403", "GET /fleet/drivers 400", "GET /api/users 404", "GET /api/roles 401"} <= said
    assert {
        "POST /api/users 422",
        "POST /api/users 200",
        "PATCH /api/users/{id} 422",
        "PATCH /api/users/{id} 500",
    } <= said
    outcomes = set(re.findall(r'"(\w+)": \d', printed["collisions and edits"]))
    assert {"rejected", "held"} <= outcomes
    assert (codes["refused by guards"], codes["a source emptied"]) == (1, 2)
    assert "guards" in printed["refused by guards"]
    assert "row_count" in printed["a source emptied"]
    assert not [name for name, text in printed.items() if "Traceback" in text]


def test_nothing_printed_tells_a_value(evidence: Evidence) -> None:
    assert {name: found for name, text in evidence.printed.items() if (found := told(text))} == {}


def test_dagster_keeps_no_value_in_runs_events_and_logs(evidence: Evidence) -> None:
    files = [path for path in evidence.dagster.rglob("*") if path.is_file()]

    assert any(path.name == "runs.db" for path in files)
    assert {str(path.relative_to(evidence.dagster)): f for path in files if (f := told_in_file(path))} == {}


def test_the_ledger_keeps_values_in_its_audit_trail_alone(evidence: Evidence) -> None:
    cells = list(cells_of(evidence.home / "data" / "ledger.db"))

    assert {column for column, text in cells if told(text)} - AUDIT_TRAIL == set()
    # The trail does hold them: so the search finds what is there.
    assert ("ledger_changes", "fields") in {column for column, text in cells if told(text)}


def test_no_other_file_is_left_with_a_value(evidence: Evidence) -> None:
    found = {}
    for path in (path for path in evidence.home.rglob("*") if path.is_file()):
        name = path.relative_to(evidence.home).as_posix()
        if not name.startswith((*SNAPSHOTS, *WORLD, "data/ledger.db")) and (values := told_in_file(path)):
            found[name] = values

    assert found == {}


@pytest.mark.parametrize(
    "value",
    [
        f"{WORD.upper()}first",
        f"a.{WORD}@example.com",
        "+15045990001",
        telephone(7),
        "(504) 599-0001",
        ZIP,
        BORN,
        SECRET,
    ],
)
def test_the_search_finds_every_kind_of_marker(value: str) -> None:
    assert told(json.dumps({"message": f"the value '{value}' is taken"}))


def told(text: str) -> set[str]:
    """The markers in a text."""
    return {found.group().lower() for found in MARKERS.finditer(text)}


def told_in_file(path: Path) -> set[str]:
    """The markers in a file's bytes, and in what a database of Dagster's keeps compressed."""
    found = told(path.read_bytes().decode("latin-1"))
    if path.read_bytes().startswith(b"SQLite format 3"):
        for _, text in cells_of(path):
            found |= told(text)
    return found


def cells_of(path: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """Every cell of a SQLite database as ((table, column), text), unpacked where it is compressed."""
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in names:
            rows = database.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in rows.description]
            for row in rows:
                yield from (((table, column), _text(cell)) for column, cell in zip(columns, row, strict=True))


def _text(cell: Any) -> str:
    if not isinstance(cell, bytes):
        return str(cell)
    with suppress(zlib.error):
        cell = zlib.decompress(cell)
    return cell.decode("latin-1")
