"""Approvals: leave to push exactly one plan, given by somebody for a reason, and not for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from safetyamp_pipelines.ledger import Approval, Ledger

DAY = timedelta(days=1)


def test_an_approval_is_told_whole(ledger: Ledger) -> None:
    given = ledger.approve("plan-hash", "employees", "h.reyes", "the Quay project ended", DAY)

    now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    assert given == Approval(
        plan_hash="plan-hash",
        entity="employees",
        who="h.reyes",
        reason="the Quay project ended",
        at=now,
        expires_at=now + DAY,
    )
    assert ledger.approval("plan-hash") == given
    assert ledger.approvals() == [given]


def test_an_approval_is_bound_to_its_plan(ledger: Ledger) -> None:
    ledger.approve("plan-hash", "employees", "h.reyes", "reviewed", DAY)
    assert ledger.approval("another plan of employees") is None


def test_an_approval_expires(ledger: Ledger, clock) -> None:
    given = ledger.approve("plan-hash", "employees", "h.reyes", "reviewed", DAY)
    assert ledger.approval("plan-hash", now=clock.now + DAY - timedelta(seconds=1)) == given
    assert ledger.approval("plan-hash", now=clock.now + DAY) is None

    clock.forward(days=1)
    assert ledger.approval("plan-hash") is None
    assert ledger.approvals() == [given], "it stays in the history"


def test_the_newest_approval_that_is_valid_counts(ledger: Ledger, clock) -> None:
    # given a long approval, and a short one after it
    long = ledger.approve("plan-hash", "employees", "h.reyes", "reviewed", DAY)
    clock.forward(minutes=1)
    short = ledger.approve("plan-hash", "employees", "m.okafor", "reviewed again", timedelta(hours=1))
    assert ledger.approval("plan-hash") == short

    # when the short one is over, the long one still holds
    clock.forward(hours=2)
    assert ledger.approval("plan-hash") == long


@pytest.mark.parametrize(("who", "reason"), [("", "reviewed"), ("h.reyes", " "), (" ", "")])
def test_an_approval_without_a_name_or_a_reason_is_none(ledger: Ledger, who: str, reason: str) -> None:
    with pytest.raises(ValueError, match="who gives it and why"):
        ledger.approve("plan-hash", "employees", who, reason, DAY)
    assert ledger.approval("plan-hash") is None


def test_approvals_are_listed_newest_first(ledger: Ledger) -> None:
    given = [ledger.approve(plan, "jobs", "h.reyes", "reviewed", DAY) for plan in ("a", "b", "c")]
    assert ledger.approvals() == given[::-1]
    assert ledger.approvals(limit=1) == [given[2]]
