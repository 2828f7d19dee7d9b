"""`safetyamp apply`: exactly the plan that was looked at is pushed; what no longer holds is left out and named."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import assert_declined, in_this_process, planned_hash
from personnel import employed, leavers, people, strict

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import Sandbox


@pytest.fixture
def box(synced_box: Sandbox) -> Sandbox:
    return synced_box


def test_the_plan_that_was_looked_at_is_pushed_as_far_as_it_holds(box: Sandbox, tmp_path: Path) -> None:
    # given a plan of one hire and two changes, after which somebody else is hired and one of the two is edited by hand
    one, two, *_ = employed(box)
    for number in (one, two):
        assert box.sources.update("bPREH", {"Employee": int(number)}, City="Newtown") == 1
    hired = str(box.sources.hire("Dee", "Fresh"))
    looked_at = planned_hash(in_this_process(box, "plan", "employees"))
    late = str(box.sources.hire("Eve", "Late"))
    box.safetyamp.edit("users", people(box)[two]["id"], city="Edited")
    in_this_process(box, "plan", "employees")  # another plan is newer by now

    # when the first one is applied
    applied = in_this_process(box, "apply", looked_at, "--json")

    # then it is pushed, and what SafetyAmp shows otherwise is left out
    document = applied.document()
    assert (applied.exit_code, document["writes"], document["errors"]) == (1, 2, [])
    assert [(left["key"], left["verdict"]) for left in document["left_out"]] == [(two, "stale")]
    assert "City" in document["left_out"][0]["why"][0]
    counts = document["entities"]["employees"]
    assert (counts["created"], counts["updated"], counts["stale"]) == (1, 1, 1)
    assert (hired in people(box), late in people(box)) == (True, False)
    assert (people(box)[one]["city"], people(box)[two]["city"]) == ("Newtown", "Edited")
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        session = ledger.session(document["session"])
        assert session is not None
        assert session.plan_hash.startswith(looked_at)
        assert ledger.verdict_history("employees", two)[0].outcome == "stale"

    # and again it writes nothing, and a pause, other rules or another name refuse it
    again = in_this_process(box, "apply", looked_at)
    in_this_process(box, "pause", "--reason", "moving house", "--by", "Kim")
    paused = in_this_process(box, "apply", looked_at)
    in_this_process(box, "resume")
    rules = tmp_path / "other.yaml"
    rules.write_text(Path(box.environment["SYNC_CONFIG"]).read_text() + "\nguards: {shrunk_source: 0.3}\n")
    other = in_this_process(box, "apply", looked_at, SYNC_CONFIG=str(rules))
    assert (again.exit_code, again.writes) == (1, [])
    assert f"{two} stale: changed in SafetyAmp since the plan was made: City" in again.stdout
    assert (paused.exit_code, paused.writes, "moving house" in paused.stderr) == (2, [], True)
    assert (other.exit_code, other.writes, "sync.yaml has changed" in other.stderr) == (2, [], True)
    assert_declined(in_this_process(box, "apply", "0123456789"), "no stored plan begins with 0123456789")
    assert_declined(in_this_process(box, "apply", "abc"), "at least 8")


def test_an_approval_that_was_used_serves_no_plan_that_was_made_with_it(box: Sandbox, tmp_path: Path) -> None:
    rules, left = strict(box, tmp_path), leavers(box, 2)
    held = in_this_process(box, "sync", "employees", "--json", **rules).document()["errors"]
    (error,) = [found["error"] for found in held if "guards hold" in found["error"]]
    wanted = error.partition("safetyamp approve ")[2].split()[0]
    in_this_process(box, "approve", wanted, "--reason", "they left", **rules)
    looked_at = planned_hash(in_this_process(box, "plan", "employees", **rules))

    applied = in_this_process(box, "apply", looked_at, "--json", **rules)
    for number in left:
        box.safetyamp.edit("users", people(box)[number]["id"], system_access=True)
    again = in_this_process(box, "apply", looked_at, "--json", **rules)

    assert (applied.exit_code, applied.document()["writes"]) == (0, 2), applied.stdout
    assert (again.writes, {one["key"] for one in again.document()["left_out"]}) == ([], set(left))
    assert all("an approval of it was used" in one["why"][0] for one in again.document()["left_out"])
    assert all(people(box)[number]["system_access"] == 1 for number in left)
