"""The ledger as a push sees it: what each line of the journal leaves in the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.journal import LedgerJournal, remembered
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.errors import RecordRefused
from safetyamp_pipelines.sync.model.plan import Action, Agreed, Change, Outcome
from safetyamp_pipelines.sync.planning.difference import offered
from safetyamp_pipelines.sync.pushing.refusals import Category, Explained, Offence
from safetyamp_pipelines.sync.rules.config import SyncConfig

HIRE = Change(Action.CREATE, "5", "5", None, {"email": (None, "p5@example.com"), "city": (None, "A")}, "is new", "hash")
TOLD = Explained(
    {
        "email": Offence("E-mail", Category.DUPLICATE, "correct Email of employee 5 in Viewpoint"),
        "x": Offence("x", Category.UNKNOWN, "look there"),
    },
    {"mapping": "m", "references": {}, "holders": {"email": ["u7"]}},
)
REFUSAL = RecordRefused("SafetyAmp", "POST", "/api/users", status=422, errors={"email": ["taken"], "x": ["odd"]})


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock=clock) as ledger:
        yield ledger


NICKNAME = {"column": "Suffix", "field": "nickname"}
EMPLOYEES = BY_NAME["employees"].with_custom(
    SyncConfig.model_validate({"employees": {"custom_fields": [NICKNAME]}}).of(BY_NAME["employees"])
)


def journal_of(ledger: Ledger, beats: list[int] | None = None) -> LedgerJournal:
    session = ledger.start_session("run-1", "employees", "plan", {})
    return LedgerJournal(ledger, session, EMPLOYEES, 7, lambda: (beats if beats is not None else []).append(1))


def test_an_intent_is_in_the_ledger_with_everything_needed_to_settle_it(ledger: Ledger, clock: Clock) -> None:
    journal_of(ledger).intend(replace(HIRE, wave=2))

    (row,) = ledger.open_intents("employees")
    assert (row.action, row.fields, row.cause, row.wave) == ("create", HIRE.fields, "is new", 2)
    (intent,) = journal_of(ledger).open_intents()
    assert (intent.source_key, intent.natural_key, intent.target_id) == ("5", "5", None)
    assert (intent.after(), intent.intended_at) == (HIRE.after(), clock.now)


def test_done_links_the_record_and_remembers_what_was_not_taken(ledger: Ledger) -> None:
    journal = journal_of(ledger)

    journal.done(journal.intend(HIRE), "u5", HIRE.after(), {"city": offered("A"), "email": None}, "a note")

    (link,) = remembered(ledger, "employees").links.values()
    assert (link.target_id, link.pushed, link.not_taken) == ("u5", HIRE.after(), {"city": offered("A")})
    (change,) = ledger.changes()
    assert (change.status, change.target_id, change.rule) == ("done", "u5", "a note")


def test_a_refusal_to_be_remembered_holds_keyed_hashes_and_no_values(ledger: Ledger) -> None:
    journal = journal_of(ledger)

    journal.refused(journal.intend(HIRE), HIRE, REFUSAL, TOLD)

    failure = ledger.failures("employees")["5"]
    assert failure.payload_hash == "hash"
    assert {name: facts["hash"] for name, facts in failure.fields.items()} == {
        "email": ledger.keyed_hash("p5@example.com"),
        "x": ledger.keyed_hash(None),
    }
    (change,) = ledger.changes()
    assert (change.status, change.http_status, change.error) == ("failed", 422, ["email", "x"])


def test_what_a_refusal_hangs_on_and_what_to_mend_is_remembered_with_it(ledger: Ledger) -> None:
    journal = journal_of(ledger)

    journal.refused(journal.intend(HIRE), HIRE, REFUSAL, TOLD)

    failure = remembered(ledger, "employees").failures["5"]
    assert failure.cause == TOLD.cause
    assert failure.fields["email"]["category"] == "duplicate"
    assert failure.fields["email"]["suggestion"] == "correct Email of employee 5 in Viewpoint"


@pytest.mark.parametrize("name", ["city", "nickname"], ids=["declared", "of sync.yaml"])
def test_the_refusal_of_a_field_left_out_stands_until_that_field_is_taken(ledger: Ledger, name: str) -> None:
    journal = journal_of(ledger)
    told = Explained({name: Offence(name, Category.FORMAT, "correct it of employee 5 in Viewpoint")}, {})
    without = replace(HIRE, fields={"email": (None, "p5@example.com")})

    journal.refused(journal.intend(HIRE), HIRE, REFUSAL, told)
    journal.done(journal.intend(without), "u5", without.after(), {}, "without it")
    assert set(ledger.failures("employees")) == {"5"}

    later = journal_of(ledger)
    moved = replace(HIRE, action=Action.UPDATE, target_id="u5", fields={name: (None, "B")})
    later.done(later.intend(moved), "u5", moved.after(), {}, "")
    assert ledger.failures("employees") == {}


def test_a_field_not_taken_is_forgotten_after_the_configured_days(ledger: Ledger, clock: Clock) -> None:
    journal = journal_of(ledger)
    journal.done(journal.intend(HIRE), "u5", HIRE.after(), {"city": offered("A")}, "")

    clock.now += timedelta(days=6, hours=23)
    assert remembered(ledger, "employees").links["5"].not_taken == {"city": offered("A")}
    clock.now += timedelta(hours=1)
    assert remembered(ledger, "employees").links["5"].not_taken == {}


def test_a_revived_refusal_is_listed_and_no_longer_in_the_way(ledger: Ledger) -> None:
    journal = journal_of(ledger)
    journal.refused(journal.intend(HIRE), HIRE, REFUSAL, TOLD)

    journal.revive(["5"])

    failure = ledger.failures("employees")["5"]
    assert (failure.state, failure.payload_hash, failure.cause) == ("open", "", {})
    assert failure.fields["email"] == {
        "hash": "",
        "category": "duplicate",
        "suggestion": "correct Email of employee 5 in Viewpoint",
    }


def test_a_refusal_is_forgotten_once_the_record_was_taken_and_kept_while_another_was(ledger: Ledger) -> None:
    first = journal_of(ledger)
    for change in (HIRE, replace(HIRE, source_key="6", natural_key="6")):
        first.refused(first.intend(change), change, REFUSAL, TOLD)
    later = journal_of(ledger)

    later.done(later.intend(HIRE), "u5", HIRE.after(), {}, "")

    assert set(ledger.failures("employees")) == {"6"}


def test_a_refusal_settled_as_done_by_a_later_look_is_forgotten_too(ledger: Ledger) -> None:
    first = journal_of(ledger)
    first.refused(first.intend(HIRE), HIRE, REFUSAL, TOLD)
    first.intend(HIRE)
    later = journal_of(ledger)

    (intent,) = later.open_intents()
    later.done(intent.id, "u5", intent.after(), {}, "found")

    assert ledger.failures("employees") == {}


def test_a_refusal_stands_for_the_configured_days(ledger: Ledger, clock: Clock) -> None:
    journal = journal_of(ledger)
    journal.refused(journal.intend(HIRE), HIRE, REFUSAL, TOLD)
    assert set(remembered(ledger, "employees").failures) == {"5"}

    clock.now += timedelta(days=7, seconds=1)
    assert remembered(ledger, "employees").failures == {}


def test_what_was_not_sent_is_in_the_ledger_with_its_rule(ledger: Ledger) -> None:
    journal_of(ledger).unsent([HIRE], Outcome.BLOCKED, "Title 'Welder' is not in SafetyAmp")

    (change,) = ledger.changes()
    assert (change.status, change.rule) == ("blocked", "Title 'Welder' is not in SafetyAmp")
    assert ledger.open_intents("employees") == []


def test_an_undone_intent_is_closed_without_a_link(ledger: Ledger) -> None:
    journal = journal_of(ledger)

    journal.undone(journal.intend(HIRE), "not found")

    assert ledger.open_intents("employees") == []
    assert ledger.links("employees") == {}


def test_links_are_found_by_the_table_they_lead_to(ledger: Ledger) -> None:
    journal = journal_of(ledger)
    journal.agree([Agreed("5", "5", "u5", {"city": "A"})])

    assert [(link.source_key, link.target_id) for link in journal.linked("users")] == [("5", "u5")]
    assert list(journal.linked("sites")) == []
    assert list(journal.linked("roles")) == []


def test_every_question_whether_to_stop_is_a_sign_of_life(ledger: Ledger) -> None:
    beats: list[int] = []
    journal = journal_of(ledger, beats)

    assert journal.interrupt_reason() is None
    journal.beat()
    assert len(beats) == 2
