"""Failures: what SafetyAmp refused, remembered without a person's value until it expires or is cleared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ledger_entries import change_of
from ledger_entries import refuse as refuse_record

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sync.model.plan import Agreed
from safetyamp_pipelines.sync.model.remembered import Failure

MEND = "correct the e-mail in Viewpoint"


@pytest.fixture
def refuse(ledger: Ledger) -> Callable[..., None]:
    """Remembers that SafetyAmp refused employee 100482, or what the test wants different."""

    def save(source_key: str = "100482", **differences: Any) -> None:
        refuse_record(ledger, "employees", source_key, **({"fields": {"email": ("duplicate", MEND)}} | differences))

    return save


def test_a_failure_is_returned_whole(ledger: Ledger, refuse: Callable[..., None]) -> None:
    refuse(change=change_of("100482", {"email": "nora@example.com"}, payload_hash="p1"))

    now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    assert ledger.failures("employees") == {
        "100482": Failure(
            source_key="100482",
            action="create",
            payload_hash="p1",
            fields={
                "email": {
                    "hash": ledger.keyed_hash("nora@example.com"),
                    "category": "duplicate",
                    "suggestion": MEND,
                }
            },
            http_status=422,
            first_seen=now,
            last_seen=now,
            attempts=1,
            expires_at=now + timedelta(days=7),
            state="open",
            cause={},
        )
    }
    assert ledger.failures("jobs") == {}


def test_a_repeated_refusal_is_one_failure_that_counts(ledger: Ledger, refuse: Callable[..., None], clock) -> None:
    # given a failure that was marked for retry
    refuse()
    ledger.mark_failure("employees", "100482", "retry")
    clock.forward(days=1)

    # when SafetyAmp refuses it again, for another reason
    refuse(change=change_of("100482", {}, payload_hash="p2"), fields={"mobile_phone": ("format", "…")})

    # then it is open again, keeps its first day, and tells the newest cause
    failure = ledger.failures("employees")["100482"]
    assert (failure.state, failure.attempts, failure.payload_hash) == ("open", 2, "p2")
    assert set(failure.fields) == {"mobile_phone"}
    assert failure.last_seen - failure.first_seen == timedelta(days=1)
    assert failure.expires_at == clock.now + timedelta(days=7)


def test_the_newest_cause_is_kept(ledger: Ledger, refuse: Callable[..., None]) -> None:
    refuse(cause={"holder": "100517", "parent": {"table": "sites", "key": "24113."}})
    assert ledger.failures("employees")["100482"].cause == {
        "holder": "100517",
        "parent": {"table": "sites", "key": "24113."},
    }

    refuse()
    assert ledger.failures("employees")["100482"].cause == {}


def test_the_failures_of_all_entities_are_listed_in_order(ledger: Ledger, refuse: Callable[..., None], clock) -> None:
    # given failures of two entities, one of which expires
    refuse("100517", expires_after=timedelta(days=1))
    refuse("100482")
    refuse_record(ledger, "departments", "10", expires_after=timedelta(2))

    listed = [(entity, failure.source_key) for entity, failure in ledger.all_failures()]
    assert listed == [("departments", "10"), ("employees", "100482"), ("employees", "100517")]
    assert dict(ledger.all_failures())["departments"].http_status == 422

    # then the one that expired is no longer listed
    later = clock.now + timedelta(days=1)
    assert [failure.source_key for _, failure in ledger.all_failures(now=later)] == ["10", "100482"]


def test_a_failure_expires(ledger: Ledger, refuse: Callable[..., None], clock) -> None:
    refuse()
    assert ledger.failures("employees", now=clock.now + timedelta(days=7, seconds=-1))
    assert not ledger.failures("employees", now=clock.now + timedelta(days=7))

    clock.forward(days=7)
    assert not ledger.failures("employees")

    # one that is refused again after that is still known as the old one
    refuse()
    assert ledger.failures("employees")["100482"].attempts == 2


def test_a_person_decides(ledger: Ledger, refuse: Callable[..., None]) -> None:
    refuse()
    assert ledger.mark_failure("employees", "100482", "dismissed")
    assert ledger.failures("employees")["100482"].state == "dismissed"
    assert not ledger.mark_failure("employees", "nobody", "retry")


def test_a_record_that_was_taken_has_no_failure(ledger: Ledger, session: int, refuse: Callable[..., None]) -> None:
    refuse()
    refuse("100483")
    ledger.answer(ledger.intend(session, change_of("100482", {})), "done", target_id="aB3dE", pushed={})
    assert set(ledger.failures("employees")) == {"100483"}

    # and a later one starts anew
    refuse()
    assert ledger.failures("employees")["100482"].attempts == 1


@pytest.mark.parametrize(
    ("pushed", "stands"), [({"first_name": "Nora"}, True), ({"first_name": "Nora", "email": "n@example.com"}, False)]
)
def test_the_refusal_of_a_field_stands_until_that_field_is_taken(
    ledger: Ledger, session: int, refuse: Callable[..., None], pushed: dict[str, str], stands: bool
) -> None:
    # given a record that was refused for a field
    refuse()

    # when SafetyAmp takes it, with or without that field
    sent = ledger.intend(session, change_of("100482", pushed))
    ledger.answer(sent, "done", target_id="aB3dE", pushed=pushed, declared={"email", "city"})

    assert ("100482" in ledger.failures("employees")) is stands


@pytest.mark.parametrize("entity", ["employees", "vehicles"])
def test_a_refusal_ends_when_both_sides_agree_on_the_field_whoever_corrected_it(
    ledger: Ledger, refuse: Callable[..., None], entity: str
) -> None:
    refuse()

    ledger.save_links(entity, [Agreed("100482", "100482", "aB3dE", {"first_name": "Nora"})])
    assert "100482" in ledger.failures("employees")

    ledger.save_links(entity, [Agreed("100482", "100482", "aB3dE", {"first_name": "Nora", "email": "n@example.com"})])
    assert ("100482" in ledger.failures("employees")) is (entity != "employees")


def test_a_dismissed_failure_stands_past_its_expiry_until_it_is_retried(
    ledger: Ledger, refuse: Callable[..., None], clock
) -> None:
    refuse()
    refuse("100483")
    ledger.mark_failure("employees", "100482", "dismissed")

    clock.forward(days=30)

    assert list(ledger.failures("employees")) == ["100482"]
    assert [failure.source_key for _, failure in ledger.all_failures()] == ["100482"]
    ledger.mark_failure("employees", "100482", "retry")
    assert ledger.failures("employees") == {}
