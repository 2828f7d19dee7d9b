"""What somebody does with the desk, in a real browser: find a person and read why, approve what is held and see it
pushed, pause, resume, undo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from time import monotonic, sleep

import pytest
from chromium import Browser, browser, found
from commands import in_this_process
from open_desk import open_desk

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec

pytestmark = [
    pytest.mark.skipif(found() is None, reason="no Chromium (Debian: chromium) is installed"),
    pytest.mark.xdist_group("desk in a browser"),
]
AXE = Path(__file__).parents[2] / ".venv/azurite/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    spec = WorldSpec(employees=30, jobs=8, vehicles=4, mess=False)
    with Sandbox(spec, TargetOptions(calls=100_000)) as started:
        assert in_this_process(started, "sync").exit_code == 0
        yield started


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture
def url(box: Sandbox) -> Iterator[str]:
    with open_desk(box.environment) as visitor:
        yield visitor.url


def test_a_person_is_found_by_name_and_the_page_says_why(box: Sandbox, tab: Browser, url: str) -> None:
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        linked = {link.target_id for link in ledger.links("employees").values()}
    user = next(row for row in box.safetyamp.tables()["users"] if row["id"] in linked and row["system_access"])

    tab.open(url)
    tab.fill("#text", f"{user['first_name']} {user['last_name']}")
    tab.press("Find")
    if "/records/" not in tab.address:  # several have the name, or part of it
        assert f"employee {user['emp_id']}" in tab.text
        tab.press(f"employee {user['emp_id']}")

    assert tab.address.endswith(f"/records/employees/{user['emp_id']}")
    assert user["last_name"] not in tab.address
    assert "recognised by" in tab.text or "is new" in tab.text
    assert "Field by field" in tab.text


def test_of_held_leavers_one_is_refused_one_put_off_and_the_next_sync_switches_off_those_approved(
    box: Sandbox, tab: Browser, url: str
) -> None:
    users = [row for row in box.safetyamp.tables()["users"] if row["emp_id"] and row["system_access"]]
    leavers = [row["emp_id"] for row in users][:12]
    for number in leavers:
        box.sources.terminate(int(number), date(2026, 11, 1))
    in_this_process(box, "sync", "employees")

    def decide(numbers: list[str], button: str) -> str:
        picked = f"one.checked = {json.dumps(numbers)}.includes(one.ariaLabel)"
        tab.run(f"document.querySelectorAll('input[name=change]').forEach(one => {{ {picked} }})")
        tab.fill('input[name="reason"]', "the yard closed")
        tab.fill('input[name="days"]', "3")
        tab.press(button)
        return tab.text

    tab.open(f"{url}/plan/employees")
    before = tab.text
    refused = decide(leavers[:1], "Refuse those picked")
    put_off = decide(leavers[1:2], "Later")
    approved = decide(leavers[2:], "Approve those picked")
    in_this_process(box, "sync", "employees")
    tab.open(f"{url}/plan/employees")
    after = tab.text

    assert "Held by the guard deactivations" in before
    assert all(number in before for number in leavers)
    assert "Refused. Nobody is asked again until they change." in refused
    assert "Put off. You are asked again then." in put_off
    assert "Approved. The next sync pushes these changes." in approved
    on = {row["emp_id"] for row in box.safetyamp.tables()["users"] if row["system_access"]}
    assert on & {*leavers} == {*leavers[:2]}
    assert "Held by the guard" not in after
    decided = in_this_process(box, "decisions", "--entity", "employee", "--json").document()["decisions"]
    assert {(one["source_key"], one["choice"]) for one in decided} == {(leavers[0], "refuse"), (leavers[1], "later")}
    in_days = datetime.fromisoformat(next(one["until"] for one in decided if one["until"])) - datetime.now(UTC)
    assert 2 <= in_days.days < 3


def test_pause_resume_and_undo_are_pressed_and_done(box: Sandbox, tab: Browser, url: str) -> None:
    tab.open(f"{url}/state")
    tab.fill('input[name="reason"]', "moving house")
    tab.press("Pause")
    paused = tab.text
    tab.press("Resume")
    resumed = tab.text

    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        session = next(one for one in ledger.sessions(20) if one.counts)
        tab.open(f"{url}/runs/{session.id}")
        tab.press("Preview an undo of this push")
        preview = tab.text
        tab.fill('input[name="reason"]', "a mistake")
        tab.press("Undo this push")
        end = monotonic() + 600
        while not any(one.undoes == session.id and one.ended_at for one in ledger.sessions(20)) and monotonic() < end:
            sleep(0.2)
        undone = next(one for one in ledger.sessions(20) if one.undoes == session.id)
        while "takes back session" not in tab.text and monotonic() < end:
            tab.open(f"{url}/runs/{session.id}")

    assert f"session {undone.id} takes back session {session.id}" in tab.text
    assert "moving house" in paused
    assert "Syncing is resumed." in resumed
    assert "Syncing is paused first and stays paused" in preview
    assert undone.status == "done"
    assert in_this_process(box, "resume").exit_code == 0


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: `make azurite` does that, with node and npm")
@pytest.mark.parametrize("path", ["/", "/plan/employees", "/queue", "/runs", "/runs/1", "/calls", "/state"])
def test_axe_has_no_serious_finding(tab: Browser, url: str, path: str) -> None:
    tab.open(url + path)
    tab.run(AXE.read_text(encoding="utf-8"))
    problems = tab.run("axe.run().then(found => found.violations.map(one => [one.impact, one.id, one.nodes[0].html]))")
    assert [one for one in problems if one[0] in ("serious", "critical")] == []


def test_what_is_held_is_decided_on_the_page_of_the_record_and_taken_back(box: Sandbox, tab: Browser, url: str) -> None:
    # given somebody whom a person switched off in SafetyAmp, and who still works
    user = [row for row in box.safetyamp.tables()["users"] if row["emp_id"] and row["system_access"]][-1]
    box.safetyamp.edit("users", user["id"], system_access=False)
    in_this_process(box, "sync", "employees")

    tab.open(f"{url}/records/employees/{user['emp_id']}")
    asked = tab.text
    tab.fill('form[action="/decide"] input[name="reason"]', "is on leave")
    tab.press("Keep SafetyAmp's")
    decided = tab.text
    tab.press("Take the decision back")
    undone = tab.text

    assert "To be decided:" in asked
    assert "Decided. The next sync follows it." in decided
    assert "is on leave" in decided
    assert "The decision is withdrawn." in undone
