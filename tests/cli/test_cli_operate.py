"""The operators' commands on the whole system: the real command, the sandbox's SafetyAmp, the ledger in its file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from commands import Answer, as_process, assert_declined, in_this_process
from ledger_entries import refuse, stored
from personnel import leavers, strict

from safetyamp_pipelines.desk.view import Desk
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.plan_view import plan_view
from safetyamp_pipelines.sandbox import FaultRule, Sandbox
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.sync.entities.employees import SPEC as EMPLOYEES
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

# --- pause, resume, status ---


def test_a_pause_stops_the_next_sync_until_it_is_ended_and_status_tells_who_and_why(box: Sandbox) -> None:
    paused = in_this_process(box, "pause", "--reason", "SafetyAmp moves house", "--by", "Kim")
    again = in_this_process(box, "pause", "--reason", "another", "--by", "Lee", "--json").document()
    refused = in_this_process(box, "sync", "titles")
    status = in_this_process(box, "status", "--json").document()
    told = in_this_process(box, "status").stdout.splitlines()
    ended = in_this_process(box, "resume", "--by", "Lee")
    after = in_this_process(box, "sync", "titles", "--json")
    nothing = in_this_process(box, "resume")

    assert paused.exit_code == 0
    assert (again["was_paused"], again["paused"]["who"]) == (True, "Kim")
    assert (refused.exit_code, refused.writes) == (2, [])
    assert "SafetyAmp moves house" in refused.stderr
    assert (status["paused"]["who"], status["paused"]["reason"]) == ("Kim", "SafetyAmp moves house")
    assert told[0] == "paused"
    assert told[1].startswith("paused by Kim since 20")
    assert told[1].endswith("SafetyAmp moves house. `safetyamp resume`")
    assert "Kim had paused it" in ended.stdout
    assert after.writes
    assert "was not paused" in nothing.stdout


def test_status_tells_of_each_entity_the_last_push_open_calls_and_failures(box: Sandbox, ledger: Ledger) -> None:
    box.faults.add(FaultRule("status", system="safetyamp", method="POST", path_regex="/api/user_titles", status=409))
    in_this_process(box, "sync", "titles")
    lease = ledger.acquire_lease("push", "run 7 on host-3", 60)

    status = in_this_process(box, "status", "--json").document()
    told = in_this_process(box, "status").stdout

    titles = status["entities"]["titles"]
    assert titles["last_session"]["status"] == "done"
    assert titles["last_session"]["counts"]["failed"] == 1
    assert (titles["open_intents"], titles["failures"]) == (0, 1)
    assert status["entities"]["jobs"] == {
        "last_session": None,
        "open_intents": 0,
        "failures": 0,
        "held": 0,
        "rejected": 0,
    }
    assert (status["paused"], status["pushing"]["holder"]) == (None, "run 7 on host-3")
    assert "run 7 on host-3 is pushing since" in told
    assert "jobs         never pushed" in told
    assert "`safetyamp failures list`" in told
    ledger.release(lease)
    assert in_this_process(box, "status", "--json").document()["pushing"] is None


def test_status_and_a_pause_without_a_reason_as_a_process(box: Sandbox, tmp_path: Path) -> None:
    assert_declined(as_process(box, "pause", "--reason", " ", cwd=tmp_path), "--reason")
    assert json.loads(as_process(box, "status", "--json", cwd=tmp_path).stdout)["paused"] is None


# --- failures ---


def test_a_failure_is_listed_then_dismissed_or_retried(box: Sandbox, ledger: Ledger) -> None:
    box.faults.add(FaultRule("status", system="safetyamp", method="POST", path_regex="/api/user_titles", status=409))
    (line,) = in_this_process(box, "sync", "titles", "--json").document()["not_in_step"]["titles"]
    key = line["key"]

    listed = in_this_process(box, "failures", "list", "--json").document()["failures"]
    shown = in_this_process(box, "failures", "list").stdout
    dismissed = in_this_process(box, "failures", "dismiss", "titles", key)
    state = in_this_process(box, "failures", "list", "--json").document()["failures"][0]["state"]
    waits = in_this_process(box, "sync", "titles", "--json")
    retried = in_this_process(box, "failures", "retry", "titles", key)
    taken = in_this_process(box, "sync", "titles", "--json")

    assert [(found["entity"], found["source_key"], found["http_status"]) for found in listed] == [("titles", key, 409)]
    assert "payload_hash" not in listed[0]
    assert f"titles {key}: create refused 1 times" in shown
    assert (dismissed.exit_code, state, waits.writes) == (0, "dismissed", [])
    assert f"titles {key}" in retried.stdout
    assert (taken.exit_code, len(taken.writes)) == (0, 1)
    assert in_this_process(box, "failures", "list").stdout == "no open failures\n"


def test_all_failures_of_an_entity_or_of_all_can_be_retried_at_once(box: Sandbox, ledger: Ledger) -> None:
    for entity, key in (("jobs", "24113."), ("titles", "welder"), ("titles", "rigger")):
        refuse(ledger, entity, key, fields={"name": ("format", "shorten it")})

    one = in_this_process(box, "failures", "retry", "titles", "--all")
    states = {failure.source_key: failure.state for _, failure in ledger.all_failures()}
    rest = in_this_process(box, "failures", "retry", "--all")

    assert (one.exit_code, rest.exit_code) == (0, 0)
    assert states == {"24113.": "open", "welder": "retry", "rigger": "retry"}
    assert {failure.state for _, failure in ledger.all_failures()} == {"retry"}
    assert "Name: format — shorten it" in in_this_process(box, "failures", "list").stdout


def test_a_failure_that_is_not_there_or_not_named_is_refused(box: Sandbox) -> None:
    assert_declined(in_this_process(box, "failures", "dismiss", "titles", "welder"), "welder", "failures list")
    assert_declined(in_this_process(box, "failures", "retry", "trucks", "7"), "trucks", "employees")
    assert_declined(in_this_process(box, "failures", "retry", "titles"), "--all")
    assert_declined(in_this_process(box, "failures", "retry", "titles", "welder", "--all"), "--all")


# --- approve ---


def test_approved_changes_are_applied_and_no_others(synced_box: Sandbox, tmp_path: Path) -> None:
    box = synced_box
    rules, first = strict(box, tmp_path), leavers(box, 2)
    held = in_this_process(box, "sync", "employees", "--json", **rules)
    reviewed, still_on = held_hash(held), set(first) - access_off(box)

    # Approved, but two more leave before it is pushed: those two wait, and what was approved goes.
    given = in_this_process(box, "approve", reviewed[:12], "--reason", "the yard closed", "--by", "Kim", **rules)
    more = leavers(box, 2, but=first)
    partly = in_this_process(box, "sync", "employees", "--json", **rules)
    off = access_off(box)
    stale = in_this_process(box, "approve", reviewed[:12], "--reason", "again", **rules)
    now = held_hash(partly)
    one = in_this_process(box, "approve", now[:8], "--reason", "she left", "--key", more[0], "--json", **rules)
    in_this_process(box, "sync", "employees", **rules)

    assert (held.exit_code > 0, still_on) == (True, set(first))
    assert "deactivations: 2 of" in given.stdout
    assert all(f"  {key}" in given.stdout.splitlines() for key in first)
    switched = [call for call in partly.writes if call.body.get("system_access") == 0]
    assert (partly.exit_code, len(switched)) == (1, 2)
    assert (off >= set(first), off & set(more)) == (True, set())
    assert_declined(stale, "no newest plan holds", now[:12])
    assert (one.document()["keys"], [each["guard"] for each in one.document()["refused"]]) == (
        [more[0]],
        ["deactivations"],
    )
    assert access_off(box) & set(more) == {more[0]}
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        assert {given["who"] for given in stored(ledger, "change_approvals")} >= {"Kim"}
        assert ledger.approved("employees") == frozenset(), "what was pushed is used up"


def held_hash(answer: Answer) -> str:
    """The hash that the message of a guard asks to be approved."""
    (error,) = [error["error"] for error in answer.document()["errors"] if "guards hold" in error["error"]]
    return str(error).partition("safetyamp approve ")[2].split()[0]


def access_off(box: Sandbox) -> set[str]:
    return {row["emp_id"] for row in box.safetyamp.tables()["users"] if row["system_access"] == 0}


def test_what_cannot_be_approved_is_told(box: Sandbox) -> None:
    in_this_process(box, "plan", "titles")

    assert_declined(in_this_process(box, "approve", "abc", "--reason", "x"), "at least 8")
    assert_declined(in_this_process(box, "approve", "0123456789", "--reason", "x"), "Waiting for an approval: none")
    assert_declined(in_this_process(box, "approve", "0123456789", "--reason", ""), "--reason")
    assert_declined(in_this_process(box, "approve", newest(box, "titles"), "--reason", "x"), "no guard holds anything")


def newest(box: Sandbox, entity: str) -> str:
    """The hash of the newest plan that a person made, from the newest manifest."""
    folder = Path(box.environment["SNAPSHOT_URL"].removeprefix("file://")) / "trial" / entity
    manifest = json.loads(max(folder.glob("*.json")).read_text())
    found = manifest["content"]["plan_hash"]
    assert isinstance(found, str)
    return found


# --- history ---


def test_a_sync_logs_its_verdicts_and_the_push_has_the_last_word(box: Sandbox, ledger: Ledger) -> None:
    box.faults.add(FaultRule("status", system="safetyamp", method="POST", path_regex="/api/user_titles", status=409))
    pushed = in_this_process(box, "sync", "titles", "--json").document()
    (line,) = pushed["not_in_step"]["titles"]

    # One entry a run, although the sync both planned and pushed; it says what the push found out.
    assert [run.run_id for run in ledger.runs("titles")] == [pushed["run_id"]]
    assert ledger.runs("titles")[0].counts == pushed["entities"]["titles"]
    history = ledger.verdict_history("titles", line["key"])
    assert [said.outcome for said in history] == ["failed"]


def test_a_plan_by_hand_is_a_trial_that_changes_nothing_for_anybody_else(synced_box: Sandbox, tmp_path: Path) -> None:
    # given a company in step, of whom two leave, and what everybody sees of it
    box = synced_box
    going = leavers(box, 2)

    def seen() -> list[object]:
        settings = load_settings(box.environment)
        status = in_this_process(box, "status", "--json").document()
        told = [in_this_process(box, "explain", "employee", key).stdout for key in going]
        with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
            page = plan_view(Desk(settings, ledger, snapshot_store(settings)).stored(EMPLOYEES))
            return [page, status["entities"], told, ledger.runs("employees")]

    before = seen()

    # when somebody plans by hand: everything, some keys, and with other rules, which hold both
    in_this_process(box, "plan", "employees")
    in_this_process(box, "plan", "employees", "--key", going[0])
    held = in_this_process(box, "plan", "employees", "--json", **strict(box, tmp_path))

    # then they see it, and can act on it; nobody else hears of it, and the next sync goes on as if it had not been
    assert "guards hold 2 changes" in held.document()["errors"][0]["error"]
    assert seen() == before
    synced = in_this_process(box, "sync", "employees", "--json")
    assert (synced.exit_code, synced.document()["entities"]["employees"]["deactivated"]) == (0, 2)


def test_history_lists_the_pushes_newest_first(box: Sandbox) -> None:
    before = in_this_process(box, "history").stdout
    assert_declined(in_this_process(box, "history", "--entity", "person"), "no such entity: person", "employees")
    huge = in_this_process(box, "history", "99999999999999999999")
    assert (huge.exit_code, huge.stdout) == (2, "")
    in_this_process(box, "sync", "titles")
    in_this_process(box, "sync", "jobs")
    document = in_this_process(box, "history", "--json").document()["sessions"]
    one = in_this_process(box, "history", "--entity", "titles", "--limit", "5", "--json").document()["sessions"]
    told = in_this_process(box, "history", "--limit", "1").stdout.splitlines()

    assert before == "no push yet\n"
    assert [session["entity"] for session in document] == ["jobs", "titles"]
    assert [session["entity"] for session in one] == ["titles"]
    assert all(session["status"] == "done" and session["calls"] > 0 for session in document)
    assert datetime.fromisoformat(document[0]["started_at"]).tzinfo == UTC
    assert len(told) == 1
    assert all(part in told[0] for part in ("jobs", "done", document[0]["plan_hash"][:12], document[0]["run_id"]))
