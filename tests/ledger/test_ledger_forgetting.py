"""Forgetting: a person's values leave the ledger, down to the bytes of the file; that something happened stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from ledger_entries import link, refuse
from sqlalchemy import make_url, text

from safetyamp_pipelines.ledger import Forgotten, IntentUnsettled, Ledger
from safetyamp_pipelines.ledger.schema import metadata
from safetyamp_pipelines.sync.model.plan import Change, Outcome, Verdict

MARK = "Marked-Value"
MakeChange = Callable[..., Change]


@pytest.fixture
def person(ledger: Ledger, session: int, change: MakeChange, clock) -> str:
    """Employee 100482 with a value in every place that can hold one: created, refused once, pushed and logged."""
    values = {"first_name": MARK}
    created = change(after=values, payload_hash=f"{MARK} hashed")
    ledger.answer(
        ledger.intend(session, created),
        "done",
        target_id="aB3dE",
        rule="taken",
        pushed=values,
        not_taken={"zip": f"{MARK} hashed"},
    )
    updated = change(action="update", target_id="aB3dE", after=values, before=values, payload_hash=MARK)
    ledger.answer(ledger.intend(session, updated), "failed", http_status=422, error={"first_name": [MARK]})
    refuse(
        ledger,
        "employees",
        "100482",
        fields={"first_name": ("format", f"not {MARK}")},
        cause={"holder": MARK},
        change=updated,
    )
    ledger.log_verdicts("run-1", "employees", clock.now, [Verdict("100482", Outcome.FAILED, "refused", (MARK,))])
    asked = {"guard": "moves", "who": "Kim", "login": "kim", "reason": "reviewed", "lasts": timedelta(days=1)}
    ledger.approve_changes("employees", [("100482", f"{MARK} hashed")], **asked)
    ledger.end_session(session, "done", {"done": 1, "failed": 1}, calls=2)
    return "100482"


def everything(ledger: Ledger) -> str:
    """Every row of every table, as text."""
    with ledger._engine.connect() as connection:
        tables = [connection.execute(text(f"SELECT * FROM {name}")).all() for name in metadata.tables]
    return repr(tables)


def test_no_value_of_a_forgotten_person_is_left(ledger: Ledger, person: str) -> None:
    assert everything(ledger).count(MARK) >= 10

    forgotten = ledger.forget("employees", person)

    assert forgotten == Forgotten(changes=2, links=1, failures=1, verdicts=1)
    assert MARK not in everything(ledger)


def test_what_happened_and_when_is_still_told(ledger: Ledger, person: str) -> None:
    before = ledger.changes(source_key=person)
    ledger.forget("employees", person)

    after = ledger.changes(source_key=person)
    for old, new in zip(before, after, strict=True):
        assert (new.id, new.action, new.status, new.http_status) == (old.id, old.action, old.status, old.http_status)
        assert (new.intended_at, new.answered_at, new.rule) == (old.intended_at, old.answered_at, old.rule)
        assert (new.fields, new.error) == ({}, None)
    [session] = ledger.sessions()
    assert session.counts == {"done": 1, "failed": 1}
    failure = ledger.failures("employees")[person]
    assert (failure.http_status, failure.attempts, failure.state) == (422, 1, "open")
    assert failure.fields == {"first_name": {"hash": "", "category": "format", "suggestion": ""}}
    [verdict] = ledger.verdict_history("employees", person)
    assert (verdict.outcome, verdict.rule, verdict.reasons) == ("failed", "refused", ())


def test_the_pair_stays_so_that_no_second_account_is_made(ledger: Ledger, person: str) -> None:
    ledger.forget("employees", person)

    link = ledger.links("employees")[person]
    assert (link.target_id, link.natural_key, link.pushed, link.not_taken) == ("aB3dE", "100482", {}, {})
    created = next(one for one in ledger.changes(entity="employees", source_key=person) if one.status == "done")
    assert (created.natural_key, created.target_id) == ("100482", "aB3dE")


def test_everybody_else_is_left_alone(ledger: Ledger, person: str, change: MakeChange) -> None:
    # given a colleague, and a job with the same key
    session = ledger.start_session("run-2", "employees", "hash", {})
    ledger.answer(ledger.intend(session, change(source_key="100483")), "done", target_id="x", pushed={"city": "A"})
    link(ledger, "jobs", person, 6001, {"name": "Quay"})

    ledger.forget("employees", person)

    assert ledger.links("employees")["100483"].pushed == {"city": "A"}
    assert ledger.changes(source_key="100483")[0].after() == {"first_name": "Nora", "current_title_id": 77}
    assert ledger.links("jobs")[person].pushed == {"name": "Quay"}


def test_nobody_is_nothing_to_forget(ledger: Ledger) -> None:
    assert ledger.forget("employees", "nobody") == Forgotten(changes=0, links=0, failures=0, verdicts=0)


def test_a_call_in_the_air_must_be_settled_first(ledger: Ledger, person: str, change: MakeChange) -> None:
    # given an update whose answer was lost: only its values can tell whether SafetyAmp took it
    session = ledger.start_session("run-2", "employees", "hash", {})
    sent = ledger.intend(session, change(action="update", target_id="aB3dE", after={"first_name": MARK}))

    # when the person is to be forgotten, then that is refused and nothing is lost
    with pytest.raises(IntentUnsettled, match="employees 100482: a call has no answer yet"):
        ledger.forget("employees", person)
    assert ledger.open_intents("employees")[0].after() == {"first_name": MARK}
    assert ledger.links("employees")[person].pushed == {"first_name": MARK}

    # and once it is settled it goes, too
    ledger.answer(sent, "failed", rule="not found")
    assert ledger.forget("employees", person).changes == 3
    assert MARK not in everything(ledger)


def test_the_bytes_of_a_sqlite_ledger_hold_nothing_either(new_sqlite: Callable[[], str]) -> None:
    # given values that were written, overwritten and deleted, also long ones, which lie on pages of their own
    url = new_sqlite()
    folder = Path(str(make_url(url).database)).parent
    with Ledger.open(url) as ledger:
        with ledger._engine.connect() as connection:
            # some systems build SQLite so that it wipes what is freed, most do not
            connection.execute(text("PRAGMA secure_delete = OFF"))
        for city in ("A", "B"):
            link(ledger, "employees", "100482", "aB3dE", {"note": f"{MARK} {city} " * 2000})
        link(ledger, "employees", "1", "gone", {"note": MARK})
        ledger.unlink("employees", "1", "Kim", "wrong")

        # when the person is forgotten, while another process is in the middle of reading
        with Ledger.open(url) as other:
            with other._engine.connect() as reading:
                reading.execute(text("SELECT count(*) FROM ledger_links")).all()
                ledger.forget("employees", "100482")
                assert not ledger.erase_freed()
            assert left(folder) != []

            # then it says so, and the next one who opens the ledger ends it, though others have it open
            with Ledger.open(url):
                assert left(folder) == []
            assert ledger.erase_freed()
            assert other.links("employees")


def left(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if MARK.encode() in file.read_bytes()]
