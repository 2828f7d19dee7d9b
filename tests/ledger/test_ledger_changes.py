"""Changes: the intent before the call, the answer after it, and never two creates in the air for one record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_entries import link
from sqlalchemy.exc import StatementError

from safetyamp_pipelines.ledger import AlreadyAnswered, IntentOpen, Ledger, SessionEnded
from safetyamp_pipelines.sync.model.plan import Change

MakeChange = Callable[..., Change]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_an_intent_is_open_until_it_is_answered(ledger: Ledger, session: int, change: MakeChange) -> None:
    # given an intent
    sent = change(before={"first_name": "Norah"}, wave=2)
    change_id = ledger.intend(session, sent)

    # when nobody answered yet, then it is found whole, with its session and run
    [found] = ledger.open_intents("employees")
    assert Change(**{field.name: getattr(found, field.name) for field in fields(Change)}) == sent
    assert (found.id, found.session_id, found.run_id, found.status) == (change_id, session, "run-1", None)
    assert ledger.open_intents("jobs") == []

    # and when it was answered, it is no longer open
    ledger.answer(change_id, "done", target_id="aB3dE")
    assert ledger.open_intents("employees") == []


def test_a_push_can_ask_whether_anything_was_written_since_it_looked(
    ledger: Ledger, session: int, change: MakeChange, clock
) -> None:
    # given a change that was done, and one that was refused a minute later
    done, refused = ledger.intend(session, change()), ledger.intend(session, change(source_key="2"))
    ledger.answer(done, "done", target_id="aB3dE")
    at = ledger.now()
    clock.forward(minutes=1)
    ledger.answer(refused, "failed")

    # then only the first counts, from the moment of its answer on, and for its own entity
    assert ledger.has_written_since("employees", at)
    assert not ledger.has_written_since("employees", at + timedelta(seconds=1))
    assert not ledger.has_written_since("jobs", at)


def test_an_answer_is_kept_whole(ledger: Ledger, session: int, change: MakeChange, clock) -> None:
    # given a create that took two seconds
    change_id = ledger.intend(session, change())
    clock.forward(seconds=2)

    # when SafetyAmp refused it
    ledger.answer(
        change_id,
        "failed",
        http_status=422,
        error={"email": ["taken"]},
        rule="refused by SafetyAmp",
    )

    # then all of it can be read back
    [found] = ledger.changes(session_id=session)
    assert (found.status, found.http_status, found.error) == ("failed", 422, {"email": ["taken"]})
    assert found.rule == "refused by SafetyAmp"
    assert found.answered_at is not None
    assert found.answered_at - found.intended_at == timedelta(seconds=2)


def test_a_second_create_of_a_record_waits_for_the_first_answer(
    ledger: Ledger, session: int, change: MakeChange
) -> None:
    # given a create in the air, whatever session it came from
    first = ledger.intend(session, change())
    other_session = ledger.start_session("run-2", "employees", "hash", {})

    # when another create of the same record is intended, then it is refused
    with pytest.raises(IntentOpen, match="employees 100482"):
        ledger.intend(other_session, change(payload_hash="another"))

    # but other records, and updates of this one, are not
    ledger.intend(session, change(source_key="100483", natural_key="100483"))
    ledger.intend(session, change(action="update", target_id="aB3dE"))

    # and once the first is answered the record may be tried again
    ledger.answer(first, "failed", http_status=422)
    ledger.intend(other_session, change())


def test_a_change_is_settled_once(ledger: Ledger, session: int, change: MakeChange) -> None:
    # given a change that another process settled by looking it up
    change_id = ledger.intend(session, change())
    ledger.answer(change_id, "done", target_id="aB3dE", rule="found by natural key")

    # when the late answer arrives, then it is refused and changes nothing
    with pytest.raises(AlreadyAnswered, match="already done"):
        ledger.answer(change_id, "failed", http_status=500)
    assert ledger.changes()[0].rule == "found by natural key"


def test_a_change_that_does_not_exist_cannot_be_answered(ledger: Ledger) -> None:
    with pytest.raises(LookupError, match="change 7"):
        ledger.answer(7, "done")


def test_a_session_that_ended_takes_no_more_intents(ledger: Ledger, session: int, change: MakeChange) -> None:
    # given a push that slept, so that another declared its session abandoned
    late = ledger.intend(session, change())
    ledger.end_session(session, "abandoned", {}, calls=0)

    # when it wakes, then it can write no more intents
    with pytest.raises(SessionEnded, match="is abandoned"):
        ledger.intend(session, change(source_key="100483"))

    # but what it did before may still be told
    ledger.answer(late, "done", target_id="aB3dE")


def test_an_intent_needs_a_session(ledger: Ledger, change: MakeChange) -> None:
    with pytest.raises(LookupError, match="session 7"):
        ledger.intend(7, change())


def test_answer_and_link_are_one(ledger: Ledger, session: int, change: MakeChange) -> None:
    # given a create that was taken, but for one field
    change_id = ledger.intend(session, change())
    ledger.answer(change_id, "done", target_id="aB3dE", pushed={"first_name": "Nora"}, not_taken={"zip": "h"})

    # then the link is there, under the change's own keys
    link = ledger.links("employees")["100482"]
    assert (link.target_id, link.natural_key) == ("aB3dE", "100482")
    assert (link.pushed, link.not_taken) == ({"first_name": "Nora"}, {"zip": "h"})


def test_an_answer_is_never_lost_for_the_sake_of_a_link(ledger: Ledger, session: int, change: MakeChange) -> None:
    # given a SafetyAmp record that is linked to another source record
    link(ledger, "employees", "99", "aB3dE")
    change_id = ledger.intend(session, change())

    # when the answer names that record, then the answer stands and the link follows it
    ledger.answer(change_id, "done", target_id="aB3dE", pushed={})
    assert ledger.open_intents("employees") == []
    assert set(ledger.links("employees")) == {"100482"}


def test_a_link_needs_an_id(ledger: Ledger, session: int, change: MakeChange) -> None:
    change_id = ledger.intend(session, change())
    with pytest.raises(ValueError, match="needs the SafetyAmp id"):
        ledger.answer(change_id, "done", pushed={})


def test_what_was_never_sent_is_told_with_its_rule(ledger: Ledger, session: int, change: MakeChange) -> None:
    # given changes that the open circuit kept back
    kept_back = [change(source_key=str(number)) for number in range(3)]
    ledger.note_unsent(session, kept_back, "not_attempted", "the circuit is open")

    # then each is in the history, and none is open
    found = ledger.changes(session_id=session)
    assert [(one.source_key, one.status, one.rule) for one in found] == [
        (key, "not_attempted", "the circuit is open") for key in ("2", "1", "0")
    ]
    assert ledger.open_intents("employees") == []


def test_changes_can_be_narrowed(ledger: Ledger, session: int, change: MakeChange) -> None:
    other = ledger.start_session("run-2", "jobs", "hash", {})
    first = ledger.intend(session, change())
    ledger.answer(first, "done", target_id="aB3dE")
    second = ledger.intend(session, change(action="update", target_id="aB3dE"))
    third = ledger.intend(other, change(source_key="24113."))

    def ids(**conditions: object) -> list[int]:
        return [one.id for one in ledger.changes(**conditions)]  # type: ignore[arg-type]

    assert ids() == [third, second, first]
    assert ids(limit=2) == [third, second]
    assert ids(run_id="run-1") == ids(session_id=session) == ids(entity="employees") == [second, first]
    assert ids(source_key="24113.") == ids(entity="jobs", run_id="run-2") == [third]
    assert ids(entity="jobs", run_id="run-1") == []


def test_what_a_session_did_is_told_in_the_order_it_was_done(ledger: Ledger, session: int, change: MakeChange) -> None:
    # given a session that did two things, failed at one, and was killed before the answer of another
    before, after = {"city": "A", "state": None}, {"city": "B", "state": "LA"}
    created = ledger.intend(session, change())
    moved = ledger.intend(session, change(action="update", target_id="xY9zZ", before=before, after=after))
    refused = ledger.intend(session, change(source_key="3"))
    ledger.intend(session, change(source_key="4"))
    ledger.note_unsent(session, [change(source_key="5")], "blocked", "its site is missing")
    ledger.answer(moved, "done")
    ledger.answer(refused, "failed", http_status=422)
    ledger.answer(created, "done", target_id="aB3dE")
    other = ledger.start_session("run-2", "employees", "hash", {})
    ledger.answer(ledger.intend(other, change(source_key="6")), "done", target_id="q")

    # when it is to be undone, then only what was done is there, with all that stood before
    done = ledger.changes_done(session)
    assert [(one.id, one.action, one.target_id) for one in done] == [
        (created, "create", "aB3dE"),
        (moved, "update", "xY9zZ"),
    ]
    assert (done[1].before(), done[1].after()) == (before, after)


def test_a_number_and_a_text_stay_two_ids(ledger: Ledger, session: int, change: MakeChange) -> None:
    for key, target_id in (("1", 12345), ("2", "12345"), ("3", "ab3de"), ("4", "aB3dE")):
        change_id = ledger.intend(session, change(source_key=key))
        ledger.answer(change_id, "done", target_id=target_id, pushed={})

    found = {key: link.target_id for key, link in ledger.links("employees").items()}
    assert found == {"1": 12345, "2": "12345", "3": "ab3de", "4": "aB3dE"}


@given(payload=st.dictionaries(st.text(max_size=5), JSON, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_payloads_come_back_as_they_went(ledger: Ledger, session: int, change: MakeChange, payload: dict) -> None:
    change_id = ledger.intend(session, change(action="update", after=payload, before=payload))
    ledger.answer(change_id, "done", error=payload)

    [found] = ledger.changes(limit=1)
    assert found.before() == found.after() == found.error == payload


def test_a_number_that_json_does_not_know_is_refused(ledger: Ledger, session: int, change: MakeChange) -> None:
    with pytest.raises(StatementError, match="not JSON compliant"):
        ledger.intend(session, change(after={"latitude": float("nan")}))
    assert ledger.changes() == []


def test_records_are_plain_values(ledger: Ledger, session: int, change: MakeChange) -> None:
    ledger.intend(session, change())
    assert asdict(ledger.changes()[0])["fields"] == {"first_name": (None, "Nora"), "current_title_id": (None, 77)}
