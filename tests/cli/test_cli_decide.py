"""What only people decide: whose values stand, which record it is, and what a guard holds; remembered, undoable, and
carried out by the next sync."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import Answer, assert_declined, in_this_process
from personnel import employed, leavers, people, strict
from reliability.lean import lean_run

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import Sandbox


@pytest.fixture
def box(synced_box: Sandbox) -> Sandbox:
    return synced_box


def outcome(answer: Answer, key: str) -> dict[str, Any] | None:
    """The line of the record among those that are not in step."""
    lines = answer.document()["not_in_step"]["employees"]
    return next((line for line in lines if line["key"] == key), None)


def test_an_account_switched_off_by_hand_is_decided_upon_undone_and_decided_again(box: Sandbox, ledger: Ledger) -> None:
    key = employed(box)[0]
    box.safetyamp.edit("users", people(box)[key]["id"], system_access=False)

    # It is held, and names its ways out.
    held = in_this_process(box, "sync", "employees", "--json")
    line = outcome(held, key)
    assert line is not None
    assert [way.split("`")[1] for way in line["ways"]] == [
        f"safetyamp decide employee {key} {choice}" for choice in ("source", "keep", "leave")
    ]
    assert "way out" in in_this_process(box, "explain", "employee", key).stdout
    assert_declined(in_this_process(box, "decide", "employees", key), "source, keep, leave", "nobody answered")
    assert_declined(in_this_process(box, "decide", "employees", key, "link", "--reason", "x"), "not a choice")
    assert_declined(in_this_process(box, "decide", "employees", "no one"), "waits for no decision")

    # A person is shown both sides and asked; the next syncs go by the answer, and ask no more.
    asked = in_this_process(box, "decide", "employee", key, "--by", "Kim", typed="keep\non leave\n")
    assert (asked.exit_code, asked.calls) == (0, [])
    assert "Access: SafetyAmp 0, the source 1" in asked.stderr
    kept = in_this_process(box, "sync", "employees", "--json")
    assert (outcome(kept, key), people(box)[key]["system_access"]) == (None, 0)
    told = in_this_process(box, "explain", "employee", key).stdout
    assert "SafetyAmp's value stands, as Kim decided: on leave" in told
    assert "keep SafetyAmp's, decided by Kim" in told

    # Taken back, it is asked again; the other way it is carried out once, and counts no more after that.
    undone = in_this_process(box, "decide", "employees", key, "--undo", "--json").document()
    assert undone["ended"].startswith("undone by")
    again = in_this_process(box, "sync", "employees", "--json")
    assert outcome(again, key) is not None
    on = in_this_process(box, "decide", "employees", key, "source", "--reason", "back", "--json").document()
    assert (on["choice"], on["login"] != "", "about" in on) == ("source", True, False)
    switched = in_this_process(box, "sync", "employees")
    assert (switched.exit_code, people(box)[key]["system_access"]) == (0, 1)
    box.safetyamp.edit("users", people(box)[key]["id"], system_access=False)
    later = in_this_process(box, "sync", "employees", "--json")
    assert (outcome(later, key) is not None, people(box)[key]["system_access"]) == (True, 0)
    ended = {one["ended"] for one in in_this_process(box, "decisions", "--json").document()["decisions"]}
    assert "carried out" in ended
    assert_declined(in_this_process(box, "decide", "employees", key, "--undo"), "nothing was decided")


def test_a_record_is_linked_by_a_persons_word_and_that_is_undone(box: Sandbox, ledger: Ledger) -> None:
    key, other, *_ = employed(box)
    own, theirs = people(box)[key]["id"], people(box)[other]["id"]
    entered = box.safetyamp.insert("users", first_name="Kim", last_name="Twice", email="twice@example.com", emp_id=None)
    why = ("--reason", "asked her", "--by", "Kim")

    in_this_process(box, "plan", "employees")
    assert_declined(in_this_process(box, "link", "employees", key, "nothing", *why), "lists no record", "users")
    assert_declined(in_this_process(box, "link", "employees", key, theirs, *why), f"employees {other}", "unlink")
    assert_declined(in_this_process(box, "link", "employees", "no one", own, *why), "no employee has the key")
    assert_declined(in_this_process(box, "link", "employees", key, own, "--reason", " "), "--reason")

    made = in_this_process(box, "link", "employee", key, str(entered["id"]), *why, "--json").document()
    assert (made["target_id"], made["who"], made["reason"]) == (entered["id"], "Kim", "asked her")
    assert ledger.links("employees")[key].target_id == entered["id"]
    (shown,) = in_this_process(box, "links", "list", "--json").document()["links"]
    assert (shown["source_key"], shown["who"]) == (key, "Kim")
    listed = in_this_process(box, "links", "list", "--all").stdout
    assert f"employees {key} is SafetyAmp id {entered['id']}, linked by Kim" in listed
    assert f"employees {key}: forgotten by Kim at" in listed, "the earlier pair"

    # Undone as a decision, or as any link: the next plan recognises the record by its keys again.
    in_this_process(box, "decide", "employees", key, "--undo")
    assert key not in ledger.links("employees")
    in_this_process(box, "sync", "employees")
    assert ledger.links("employees")[key].target_id == own
    assert in_this_process(box, "links", "list", "--json").document()["links"] == []


def test_what_a_guard_holds_is_refused_or_put_off_and_nobody_is_asked_again(box: Sandbox, tmp_path: Path) -> None:
    rules = strict(box, tmp_path)
    one, two = leavers(box, 2)
    held = in_this_process(box, "sync", "employees", "--json", **rules)
    (error,) = [found["error"] for found in held.document()["errors"] if "guards hold" in found["error"]]
    wanted = error.partition("safetyamp approve ")[2].split()[0]
    assert held.exit_code > 0

    refused = in_this_process(box, "refuse", wanted, "--key", one, "--reason", "she stays", "--by", "Kim", **rules)
    past = in_this_process(box, "later", wanted, "--until", "2020-01-01", "--reason", "x", **rules)
    rest = in_this_process(box, "plan", "employees", "--json", **rules)
    single = in_this_process(
        box, "decide", "employees", two, "later", "--until", "2999-01-01", "--reason", "HR asks", **rules
    )
    quiet = in_this_process(box, "sync", "employees", "--json", **rules)

    assert f"refused by Kim: 1 changes of employees: {one}" in refused.stdout
    assert_declined(past, "has passed")
    assert [line["key"] for line in rest.document()["not_in_step"]["employees"] if line["verdict"] == "held"] == [two]
    assert single.exit_code == 0, single.stderr
    assert (quiet.exit_code, quiet.document()["errors"]) == (0, [])
    assert "held" not in quiet.document()["entities"]["employees"]
    assert people(box)[one]["system_access"] == people(box)[two]["system_access"] == 1
    assert "refused, as Kim decided: she stays" in in_this_process(box, "explain", "employee", one, **rules).stdout

    # Taken back and approved, it goes.
    in_this_process(box, "decide", "employees", one, "--undo", **rules)
    in_this_process(box, "plan", "employees", **rules)
    in_this_process(box, "decide", "employees", one, "approve", "--reason", "she left", **rules)
    gone = in_this_process(box, "sync", "employees", "--json", **rules)
    assert (gone.exit_code, people(box)[one]["system_access"], people(box)[two]["system_access"]) == (0, 0, 1)


def test_a_value_that_swings_is_held_after_the_third_time_and_both_sides_can_be_taken(box: Sandbox) -> None:
    key = employed(box)[0]
    was, other = people(box)[key]["city"], "Newtown"

    written = []
    for city in (other, was, other):
        box.sources.update("bPREH", {"Employee": int(key)}, City=city)
        assert lean_run(box.environment).is_clean
        written.append(people(box)[key]["city"])
    box.sources.update("bPREH", {"Employee": int(key)}, City=was)
    fourth = in_this_process(box, "sync", "employees", "--json")

    assert (written, people(box)[key]["city"]) == ([other, was, other], other)
    line = outcome(fourth, key)
    assert line is not None
    assert "swings to and fro" in line["why"][0]
    taken = in_this_process(box, "decide", "employees", key, "source", "--reason", "HR has settled it")
    settled = in_this_process(box, "sync", "employees", "--json")
    assert (taken.exit_code, settled.exit_code, people(box)[key]["city"]) == (0, 0, was)
