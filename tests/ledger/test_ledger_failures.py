"""Failures: what SafetyAmp refused, remembered without a person's value until it expires or is cleared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from safetyamp_pipelines.ledger import Failure, Ledger

EMAIL_TAKEN = {"email": {"hash": "h1", "category": "duplicate", "suggestion": "correct the e-mail in Viewpoint"}}


@pytest.fixture
def refuse(ledger: Ledger) -> Callable[..., None]:
    """Remembers that SafetyAmp refused employee 100482, or what the test wants different."""

    def save(source_key: str = "100482", **differences: Any) -> None:
        values: dict[str, Any] = {
            "action": "create",
            "payload_hash": "p1",
            "fields": EMAIL_TAKEN,
            "http_status": 422,
            "expires_after": timedelta(days=7),
        }
        ledger.save_failure("employees", source_key, **(values | differences))

    return save


def test_a_failure_is_told_whole(ledger: Ledger, refuse: Callable[..., None]) -> None:
    refuse()

    now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    assert ledger.failures("employees") == {
        "100482": Failure(
            source_key="100482",
            action="create",
            payload_hash="p1",
            fields=EMAIL_TAKEN,
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
    refuse(payload_hash="p2", fields={"mobile_phone": {"hash": "h2", "category": "format", "suggestion": "…"}})

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
    ledger.save_failure(
        "departments", "10", action="create", payload_hash="p", fields={}, http_status=422, expires_after=timedelta(2)
    )

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


def test_a_record_that_was_taken_has_no_failure(ledger: Ledger, refuse: Callable[..., None]) -> None:
    refuse()
    refuse("100483")
    assert ledger.clear_failure("employees", "100482")
    assert not ledger.clear_failure("employees", "100482")
    assert set(ledger.failures("employees")) == {"100483"}

    # and a later one starts anew
    refuse()
    assert ledger.failures("employees")["100482"].attempts == 1


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
