"""Approvals: leave to push exactly one plan, given by somebody for a reason, and not for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from ledger_entries import stored

from safetyamp_pipelines.ledger import Approval, Ledger
from safetyamp_pipelines.sync.model.plan import Change

DAY = timedelta(days=1)
MakeChange = Callable[..., Change]


def test_an_approval_is_told_whole(ledger: Ledger) -> None:
    given = ledger.approve("plan-hash", "employees", "h.reyes", "the Quay project ended", DAY)

    now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    assert given == Approval(
        plan_hash="plan-hash",
        entity="employees",
        who="h.reyes",
        login="h.reyes",
        reason="the Quay project ended",
        at=now,
        expires_at=now + DAY,
        used_at=None,
    )
    assert ledger.approval("plan-hash") == given


def test_an_approval_is_bound_to_its_plan(ledger: Ledger) -> None:
    ledger.approve("plan-hash", "employees", "h.reyes", "reviewed", DAY)
    assert ledger.approval("another plan of employees") is None


def test_an_approval_expires(ledger: Ledger, clock) -> None:
    given = ledger.approve("plan-hash", "employees", "h.reyes", "reviewed", DAY)
    clock.forward(hours=23)
    assert ledger.approval("plan-hash") == given
    assert ledger.standing_approvals() == ([given], [])

    clock.forward(hours=1)
    assert ledger.approval("plan-hash") is None
    assert [row["plan_hash"] for row in stored(ledger, "approvals")] == ["plan-hash"], "it stays in the history"
    clock.forward(hours=-12)
    assert ledger.approval("plan-hash") is None, "a clock that is set back revives it not"
    assert ledger.standing_approvals() == ([], [])


def test_an_approval_of_a_plan_is_used_up_and_two_people_are_two_logins(ledger: Ledger) -> None:
    ledger.approve("plan-hash", "employees", "Kim", "reviewed", DAY, login="kim@host")
    ledger.approve("plan-hash", "employees", "Lee", "reviewed", DAY, login="kim@host")
    assert ledger.approval("plan-hash", logins=2) is None
    second = ledger.approve("plan-hash", "employees", "Lee", "reviewed", DAY, login="lee@host")
    assert ledger.approval("plan-hash", logins=2) == second

    ledger.use_approval("plan-hash")

    assert ledger.approval("plan-hash") is None


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


LEAVERS = [("100482", "hash-1"), ("100517", "hash-2")]
ASKED = {"guard": "deactivations", "who": "Kim", "login": "kim@host", "reason": "reviewed", "lasts": timedelta(days=1)}


def test_approved_changes_stand_until_they_are_pushed(ledger: Ledger) -> None:
    given = ledger.approve_changes("employees", LEAVERS, **ASKED)
    assert [(one.source_key, one.change_hash, one.who, one.login) for one in given] == [
        ("100482", "hash-1", "Kim", "kim@host"),
        ("100517", "hash-2", "Kim", "kim@host"),
    ]
    assert ledger.approved("employees") == {"hash-1", "hash-2"}
    assert ledger.approved("jobs") == frozenset()

    ledger.use_approvals("employees", ["hash-1", "unknown"])

    assert ledger.approved("employees") == {"hash-2"}
    assert [row["used_at"] is None for row in stored(ledger, "change_approvals")] == [True, False]


def test_the_intent_of_a_call_uses_its_approval_up_and_one_that_did_nothing_gives_it_back(
    ledger: Ledger, session: int, change: MakeChange, clock
) -> None:
    ledger.approve_changes("employees", [("100482", "whole"), ("100482", "other"), ("100517", "whole")], **ASKED)

    def call() -> int:
        clock.forward(seconds=1)
        return ledger.intend(session, change(action="update", target_id="aB3dE"), "whole")

    def is_used() -> list[bool]:
        return [row["used_at"] is not None for row in reversed(stored(ledger, "change_approvals"))]

    # given a call that was never made, and one that SafetyAmp refused
    for answer in ("not sent", "refused"):
        intent = call()
        assert is_used() == [True, False, False]
        assert "whole" in ledger.approved("employees"), "whoever goes on for one that died here looks first"
        ledger.answer(intent, "failed", rule=answer)
        assert is_used() == [False, False, False]

    # when one is answered, and a second part of the same change fails
    ledger.answer(call(), "done")
    ledger.answer(call(), "failed", rule="not sent")

    # then it stays used
    assert is_used() == [True, False, False]
    assert ledger.approved("employees") == {"other", "whole"}  # that of 100517
    ledger.use_approvals("employees", ["whole"])
    assert ledger.approved("employees") == {"other"}


def test_an_approval_of_changes_expires_and_a_clock_set_back_revives_neither_it_nor_a_used_one(
    ledger: Ledger, clock
) -> None:
    ledger.approve_changes("employees", LEAVERS, **ASKED)
    ledger.use_approvals("employees", ["hash-1"])
    clock.forward(hours=24)
    assert ledger.approved("employees") == frozenset()

    clock.forward(hours=-12)
    assert ledger.approved("employees") == frozenset()

    # and one that is given then lasts as long as any other
    ledger.approve_changes("employees", [("1", "hash-3")], **ASKED)
    clock.forward(hours=35)
    assert ledger.approved("employees") == {"hash-3"}
    clock.forward(hours=1)
    assert ledger.approved("employees") == frozenset()


def test_of_an_approval_and_a_refusal_of_the_same_change_the_later_one_counts(ledger: Ledger) -> None:
    said = {"who": "Lee", "login": "lee@host", "reason": "they stay"}
    ledger.approve_changes("employees", LEAVERS, **ASKED)

    ledger.decide("employees", LEAVERS[:1], "refuse", **said)
    assert (ledger.approved("employees"), set(ledger.decided("employees"))) == ({"hash-2"}, {"hash-1"})

    ledger.approve_changes("employees", LEAVERS[:1], **ASKED)
    assert (ledger.approved("employees"), set(ledger.decided("employees"))) == ({"hash-1", "hash-2"}, set())
    assert [one.ended for one in ledger.decisions("employees")] == ["approved by Kim"]


def test_a_second_person_is_another_login_and_not_another_name(ledger: Ledger) -> None:
    ledger.approve_changes("employees", LEAVERS[:1], **ASKED)
    ledger.approve_changes("employees", LEAVERS[:1], **{**ASKED, "who": "Lee"})
    for same_person in ("Kim@firm.example", "FIRM\\kim", "kim"):
        ledger.approve_changes("employees", LEAVERS[:1], **{**ASKED, "login": same_person})
    assert ledger.approved("employees", logins=2) == frozenset()

    ledger.approve_changes("employees", LEAVERS[:1], **{**ASKED, "who": "Lee", "login": "lee@host"})
    assert ledger.approved("employees", logins=2) == {"hash-1"}


@pytest.mark.parametrize("missing", ["who", "login", "reason"])
def test_an_approval_of_changes_names_everybody_and_the_reason(ledger: Ledger, missing: str) -> None:
    with pytest.raises(ValueError, match="names who gives it"):
        ledger.approve_changes("employees", LEAVERS, **{**ASKED, missing: " "})
    assert stored(ledger, "change_approvals") == []
