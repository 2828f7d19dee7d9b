"""`safetyamp undo` on the whole system: what was written is set back where it still stands, and nothing redoes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import Answer, in_this_process, small_world
from once import made_once
from personnel import employed, people, strict

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import FaultRule, Sandbox


@pytest.fixture
def box(synced_box: Sandbox) -> Sandbox:
    return synced_box


def newest_session(box: Sandbox) -> int:
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        return ledger.sessions(1)[0].id


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("updated_at", "updated_by")}


@dataclass
class Day:
    """A bad day after its push: three misspelt (of two the city, too), one who left, two hired."""

    box: Sandbox
    before: dict[str, dict[str, Any]]
    keys: list[str]

    def happen(self) -> None:
        """In the sources, which a sandbox that opens the folder again begins anew."""
        *self.moved, renamed, self.left = self.keys
        self.misspelt = [*self.moved, renamed]
        for key in self.misspelt:
            self.box.sources.update("bPREH", {"PRCo": 1, "Employee": int(key)}, FirstName="Misspelt")
        for key in self.moved:
            self.box.sources.update("bPREH", {"PRCo": 1, "Employee": int(key)}, City="Nowhere")
        self.box.sources.terminate(int(self.left))
        self.hired = [str(self.box.sources.hire(name, "Fresh")) for name in ("Dee", "Eve")]


@pytest.fixture
def day(synced_home: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Day]:
    def push(home: Path) -> None:
        with small_world(home=shutil.copytree(synced_home, home)) as box:
            before = people(box), employed(box, 4)
            (home / "before.json").write_text(json.dumps(before))
            Day(box, *before).happen()
            assert in_this_process(box, "sync", "employees").exit_code == 0

    home = shutil.copytree(made_once("bad-day", push, tmp_path_factory), tmp_path / "home")
    with small_world(home=home) as box:
        day = Day(box, *json.loads((home / "before.json").read_text()))
        day.happen()
        yield day


def told_why(answer: Answer) -> str:
    assert (answer.exit_code, answer.stdout) == (2, ""), answer.stderr
    assert "Traceback" not in answer.stderr
    return "\n".join(answer.told)


def test_a_push_is_taken_back_and_stays_so_until_somebody_resumes(day: Day) -> None:
    box, before, renamed = day.box, day.before, day.moved[0]
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        session = ledger.sessions(1)[0].id
        done = len(ledger.changes_done(session))

    # when the bad day's push is looked at and then undone
    dry = in_this_process(box, "undo", str(session), "--dry-run")
    undone = in_this_process(box, "undo", str(session), "--reason", "wrong file", "--by", "Kim", "--json")

    # then everything is as it was, the new accounts are there without access, and the session says what it was
    assert (dry.exit_code, dry.writes) == (0, [])
    assert f"  First name: 'Misspelt' → {before[renamed]['first_name']!r}" in dry.stdout.splitlines()
    document = undone.document()
    assert (undone.exit_code, len(undone.writes), document["writes"]) == (0, done, done)
    assert (document["verdicts"]["deactivated"], document["verdicts"]["reactivated"]) == (len(day.hired), 1)
    assert document["paused"]["reason"] == f"undo of session {session}: wrong file"
    now = people(box)
    for key in (*day.misspelt, day.left):
        assert {name: now[key][name] for name in ("first_name", "city", "system_access")} == {
            name: before[key][name] for name in ("first_name", "city", "system_access")
        }
    assert [now[key]["system_access"] for key in day.hired] == [0, 0]
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        newest = ledger.sessions(1)[0]
    assert (newest.undoes, newest.is_whole, newest.id) == (session, False, document["session"])
    # and the schedule and the shell do not redo it
    assert "undo of session" in told_why(in_this_process(box, "sync", "employees"))
    in_this_process(box, "resume")
    assert len(in_this_process(box, "sync", "employees", "--json").writes) == done
    assert [people(box)[key]["system_access"] for key in day.hired] == [1, 1]


def test_an_undo_can_be_undone(day: Day) -> None:
    box, after = day.box, people(day.box)
    session = newest_session(box)

    undo = in_this_process(box, "undo", str(session), "--json").document()
    again = in_this_process(box, "undo", str(undo["session"]), "--json")

    assert (again.exit_code, len(again.writes)) == (0, undo["writes"])
    assert {key: without_times(row) for key, row in people(box).items()} == {
        key: without_times(row) for key, row in after.items()
    }
    assert in_this_process(box, "undo", str(undo["session"]), "--json").document()["writes"] == 0


def test_what_changed_since_is_left_alone_and_told(day: Day) -> None:
    box, (one, other) = day.box, day.moved
    box.safetyamp.edit("users", people(box)[one]["id"], first_name="By hand")
    box.safetyamp.edit("users", people(box)[other]["id"], first_name="By hand", city="By hand")

    document = in_this_process(box, "undo", str(newest_session(box)), "--json").document()

    assert people(box)[one]["first_name"] == people(box)[other]["first_name"] == "By hand"
    assert people(box)[one]["city"] != "Nowhere"
    assert people(box)[other]["city"] == "By hand"
    left = {found["key"]: (found["verdict"], found["why"]) for found in document["left_alone"]}
    assert left[one] == ("updated", ["First name: changed since, left as it is"])
    assert left[other][0] == "held"
    assert len(left[other][1]) == 2
    assert document["exit_code"] == 0


def test_places_and_vehicles_are_set_back_too(box: Sandbox, ledger: Ledger) -> None:
    site = next(row for row in box.safetyamp.tables()["sites"] if str(row["ext_id"]).endswith("."))
    asset = next(row for row in box.safetyamp.tables()["assets"] if str(row["name"]).startswith("Unit"))
    vehicle = next(row for row in box.world.samsara_vehicles if asset["serial"] in (row.get("vin"), row.get("serial")))
    box.sources.update("bJCJM", {"JCCo": 1, "Job": site["ext_id"]}, Description="misspelt")
    box.sources.samsara_update(vehicle["id"], name="misspelt")
    serials = {row["id"]: row["serial"] for row in box.safetyamp.tables()["assets"]}
    one, other = [row for row in box.world.samsara_vehicles if row.get("vin") in serials.values()][:2]
    vins = one["vin"], other["vin"]
    box.sources.samsara_update(one["id"], vin=vins[1])
    box.sources.samsara_update(other["id"], vin=vins[0])
    assert in_this_process(box, "sync", "jobs", "vehicles").exit_code == 0
    swapped = {row["id"]: row["serial"] for row in box.safetyamp.tables()["assets"]}
    assert {serials[row_id] for row_id in serials if swapped[row_id] != serials[row_id]} == set(vins)
    pushed = {session.entity: session.id for session in ledger.sessions(2)}

    taken_back = {
        entity: in_this_process(box, "undo", str(pushed[entity]), "--json").document()
        for entity in ("vehicles", "jobs")
    }
    assert {entity: told["left_alone"] for entity, told in taken_back.items()} == {"vehicles": [], "jobs": []}

    now = box.safetyamp.tables()
    assert {row["id"]: row["name"] for row in now["sites"]}[site["id"]] == site["name"]
    assert {row["id"]: row["name"] for row in now["assets"]}[asset["id"]] == asset["name"]
    assert {row["id"]: row["serial"] for row in now["assets"]} == serials


def test_an_undo_without_anything_to_set_back_pauses_nothing(box: Sandbox, ledger: Ledger) -> None:
    titles = next(session for session in ledger.sessions() if session.entity == "titles")

    answer = in_this_process(box, "undo", str(titles.id))

    # Titles are only ever created, and nothing is deleted.
    assert (answer.exit_code, answer.writes) == (0, [])
    assert "it was created; nothing is ever deleted, and it has no switch to turn off" in answer.stdout
    assert ledger.pause_state() is None


def test_a_guard_judges_an_undo_and_an_approval_lets_exactly_it_through(day: Day, tmp_path: Path) -> None:
    box, session = day.box, newest_session(day.box)
    rules = strict(box, tmp_path)

    refused = in_this_process(box, "undo", str(session), **rules)
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        after_refusal, done = ledger.pause_state(), len(ledger.changes_done(session))
    shown = in_this_process(box, "undo", str(session), "--dry-run", "--json", **rules).document()
    approved = in_this_process(box, "approve", shown["plan"][:12], "--reason", "a wrong import", **rules)
    undone = in_this_process(box, "undo", str(session), "--json", **rules)

    assert "deactivations: 2 of" in told_why(refused)
    assert f"safetyamp undo {session} --dry-run" in refused.stderr
    assert (refused.writes, after_refusal) == ([], None)
    assert shown["refused"][0]["guard"] == "deactivations"
    assert approved.exit_code == 0, approved.stderr
    assert (undone.exit_code, len(undone.writes)) == (0, done)
    assert [people(box)[key]["system_access"] for key in day.hired] == [0, 0]


def test_what_stood_before_is_in_the_ledger_before_the_call_is_made(box: Sandbox, ledger: Ledger) -> None:
    """The server never answers, so all that the ledger knows of this change was written before the call."""
    (renamed,) = employed(box, 1)
    first_name = people(box)[renamed]["first_name"]
    box.sources.update("bPREH", {"PRCo": 1, "Employee": int(renamed)}, FirstName="Misspelt")
    box.faults.add(FaultRule("cut_before", system="safetyamp", method="PATCH", path_regex="/api/users", times=50))
    in_this_process(box, "sync", "employees")

    change = ledger.changes(source_key=renamed)[0]

    assert change.status != "done"
    assert change.fields["first_name"] == (first_name, "Misspelt")


def test_while_somebody_pushes_nothing_is_undone(box: Sandbox, ledger: Ledger) -> None:
    session = ledger.sessions(1)[0].id
    lease = ledger.acquire_lease("push", "run 7 on host-3", 60)

    assert "run 7 on host-3 is pushing since" in told_why(in_this_process(box, "undo", str(session)))
    assert ledger.pause_state() is None
    ledger.release(lease)
    assert "there is no session 999" in told_why(in_this_process(box, "undo", "999"))


@pytest.mark.parametrize(
    ("variable", "value"), [("SAFETYAMP_TOKEN", "entirely-wrong"), ("SAFETYAMP_BASE_URL", "http://127.0.0.1:1")]
)
def test_without_safetyamp_nothing_is_undone_or_paused_and_the_setting_is_named(
    box: Sandbox, ledger: Ledger, variable: str, value: str
) -> None:
    session = ledger.sessions(1)[0].id

    (message,) = told_why(in_this_process(box, "undo", str(session), **{variable: value})).splitlines()

    assert f"Check {variable}" in message
    assert "entirely-wrong" not in message
    assert (ledger.pause_state(), len(ledger.sessions(1))) == (None, 1)
    assert ledger.sessions(1)[0].id == session


def test_a_refusal_of_an_undo_is_no_failure_of_a_sync(day: Day) -> None:
    box, session = day.box, newest_session(day.box)
    box.faults.add(FaultRule("status", system="safetyamp", method="PATCH", path_regex="/api/users", status=409))

    undone = in_this_process(box, "undo", str(session), "--json")

    assert (undone.exit_code, undone.document()["verdicts"]["failed"]) == (1, 1)
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        assert ledger.failures("employees") == {}
    again = in_this_process(box, "undo", str(session), "--json")
    assert (again.exit_code, len(again.writes)) == (0, 1)


def test_history_shows_the_changes_of_a_session_without_values(day: Day) -> None:
    box, session = day.box, newest_session(day.box)
    (renamed,) = set(day.misspelt) - set(day.moved)
    in_this_process(box, "undo", str(session))

    shown = in_this_process(box, "history", str(session)).stdout.splitlines()
    document = in_this_process(box, "history", str(session), "--json").document()
    listed = in_this_process(box, "history", "--limit", "1").stdout

    assert shown[0].startswith(f"session {session}  ")
    assert [line for line in shown[1:] if line.endswith(f"  {renamed} update done [First name]")]
    assert [change["fields"] for change in document["changes"] if change["key"] == renamed] == [["First name"]]
    assert "Misspelt" not in "".join(shown) + str(document)
    assert f"employees (undo of session {session})  done" in listed
    assert "there is no session 999" in told_why(in_this_process(box, "history", "999"))
