"""How a push went, from the ledger alone: what is refused, what is left, and who should be off by now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from check_run import snapshot_of
from ledger_entries import change_of, refuse
from small_worlds import employee, user

from safetyamp_pipelines.checks.judged import Level
from safetyamp_pipelines.checks.push_judges import judge_budget, judge_leavers, judge_left, judge_refused
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.plan import Outcome, Verdict
from safetyamp_pipelines.sync.rules.limits import Limit
from safetyamp_pipelines.systems.http.budget import SqliteBucket, budget_key

NOON = datetime(2026, 11, 20, 10, tzinfo=UTC)
PEOPLE = BY_NAME["employees"]
LIMIT = Limit(records=2, share=0.1)


class Clock:
    """The ledger's time of day."""

    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db", clock=clock) as ledger:
        yield ledger


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    variables = {"BASE_URL": "http://127.0.0.1:9", "TOKEN": "t", "FQDN": "x.safetyamp.com", "DATA_DIR": str(tmp_path)}
    return load_settings({f"SAFETYAMP_{name}": text for name, text in variables.items()}, env_file=None)


def pushed(ledger: Ledger, run_id: str = "run-1", **outcomes: str) -> int:
    """A push of a run, with its verdicts: `p101="failed"`."""
    session = ledger.start_session(run_id, "employees", "hash", {})
    ledger.end_session(session, "done", {}, 0)
    looked(ledger, run_id, **outcomes)
    return session


def looked(ledger: Ledger, run_id: str, **outcomes: str) -> None:
    verdicts = [Verdict(key[1:], Outcome(outcome), "rule") for key, outcome in outcomes.items()]
    ledger.log_verdicts(run_id, "employees", NOON, verdicts)


def refused(ledger: Ledger, *keys: str) -> None:
    refuse(ledger, "employees", *keys, fields={"email": ("unknown", "")})


# Refused ----------------------------------------------------------------------------------------------------------


def test_a_push_that_was_taken_whole_is_fine(ledger: Ledger) -> None:
    pushed(ledger, p101="created", p102="unchanged", p103="out_of_scope")

    found = judge_refused(ledger, PEOPLE, LIMIT)

    assert (found.level, found.measured) == (Level.FINE, "SafetyAmp refuses 0 of 2 records")


@pytest.mark.parametrize(("count", "level"), [(1, Level.WARNING), (2, Level.WARNING), (3, Level.ERROR)])
def test_any_refused_record_warns_and_too_many_are_an_error(ledger: Ledger, count: int, level: Level) -> None:
    keys = ["101", "102", "103"][:count]
    refused(ledger, *keys)
    pushed(ledger, **{f"p{key}": "failed" for key in keys}, p200="unchanged")

    found = judge_refused(ledger, PEOPLE, LIMIT)

    assert (found.level, found.keys) == (level, tuple(keys))


def test_a_refusal_counts_until_the_record_is_taken_not_only_in_its_own_run(ledger: Ledger) -> None:
    refused(ledger, "101")
    pushed(ledger, "run-1", p101="failed")
    pushed(ledger, "run-2", p101="failed")
    assert judge_refused(ledger, PEOPLE, LIMIT).level is Level.WARNING

    session = ledger.start_session("run-3", "employees", "hash", {})
    ledger.answer(ledger.intend(session, change_of("101", {})), "done", target_id="aB3dE", pushed={})
    pushed(ledger, "run-3", p101="updated")
    assert judge_refused(ledger, PEOPLE, LIMIT).level is Level.FINE


def test_what_a_person_dismissed_and_whoever_left_since_are_not_told_again(ledger: Ledger) -> None:
    refused(ledger, "101", "102")
    pushed(ledger, p101="failed", p102="out_of_scope")
    ledger.mark_failure("employees", "101", "dismissed")

    assert judge_refused(ledger, PEOPLE, LIMIT).level is Level.FINE


# Left -------------------------------------------------------------------------------------------------------------


def test_nothing_is_left_where_all_was_done_or_refused(ledger: Ledger) -> None:
    refused(ledger, "102")
    pushed(ledger, p101="created", p102="failed", p103="rejected", p104="held")

    assert judge_left(ledger, PEOPLE).level is Level.FINE


def test_what_was_blocked_late_unanswered_or_never_sent_is_left(ledger: Ledger) -> None:
    pushed(ledger, p101="blocked", p102="stale", p103="not_attempted", p104="failed", p105="created")

    found = judge_left(ledger, PEOPLE)

    assert (found.level, found.keys) == (Level.WARNING, ("101", "102", "103", "104"))
    assert found.measured == "4 changes are left: 1 blocked, 1 failed, 1 not_attempted, 1 stale"


def test_a_plan_that_nobody_pushed_is_left_too(ledger: Ledger) -> None:
    pushed(ledger, "run-1", p101="created")
    looked(ledger, "run-2", p101="updated", p102="unchanged")

    assert judge_left(ledger, PEOPLE).keys == ("101",)


def test_before_the_first_push_there_is_nothing_to_tell(ledger: Ledger) -> None:
    assert judge_left(ledger, PEOPLE).level is Level.FINE
    assert judge_refused(ledger, PEOPLE, LIMIT).level is Level.FINE


# Budget -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("calls", "level"), [(0, Level.FINE), (60, Level.FINE), (61, Level.ERROR)])
def test_the_record_of_the_budget_is_held_against_the_settings(settings: Settings, calls: int, level: Level) -> None:
    bucket = SqliteBucket(settings.budget_path, budget_key("http://127.0.0.1:9", "t"))
    for _ in range(calls):
        bucket.claim(1000, 61.0)
    bucket.close()

    found = judge_budget(settings)

    assert found.level is level
    assert found.measured == f"at most {calls} calls in any 61 s, of the {calls} still on record"


# Leavers ----------------------------------------------------------------------------------------------------------

LEFT = [employee(101, TermDate="2026-11-01"), employee(102)]
Judge = Callable[..., tuple[Level, tuple[str, ...], int]]


@pytest.fixture
def judge(ledger: Ledger, settings: Settings) -> Judge:
    def judge(access: bool) -> tuple[Level, tuple[str, ...], int]:
        staff = snapshot_of("viewpoint/employees", LEFT)
        rows = [user("aB3dE", "101", system_access=access), user("aB3dF", "102")]
        found = judge_leavers(staff, snapshot_of("safetyamp_observed/users", rows), ledger, settings)
        return found.level, found.keys, int(found.more["within_the_hours"])

    return judge


def switching_off(ledger: Ledger, clock: Clock, hours_ago: int, status: str) -> None:
    """A deactivation that was tried, and how it ended."""
    clock.now = NOON - timedelta(hours=hours_ago)
    session = ledger.start_session(f"run-{hours_ago}", "employees", "hash", {})
    tried = change_of("101", {"system_access": 0}, {"system_access": True}, action="deactivate", target_id="aB3dE")
    ledger.answer(ledger.intend(session, tried), "done" if status == "done" else "failed")
    ledger.end_session(session, "done", {}, 1)


def test_a_leaver_who_is_off_is_fine(judge: Judge) -> None:
    assert judge(access=False) == (Level.FINE, (), 0)


def test_a_leaver_who_can_still_log_in_is_an_error_by_key(judge: Judge) -> None:
    assert judge(access=True) == (Level.ERROR, ("101",), 0)


def test_a_leave_entered_long_after_its_day_counts_from_when_it_was_first_tried(
    judge: Judge, ledger: Ledger, clock: Clock
) -> None:
    switching_off(ledger, clock, 23, "failed")
    switching_off(ledger, clock, 1, "failed")
    assert judge(access=True) == (Level.FINE, (), 1)


def test_trying_in_vain_for_longer_than_promised_is_overdue(judge: Judge, ledger: Ledger, clock: Clock) -> None:
    switching_off(ledger, clock, 25, "failed")
    switching_off(ledger, clock, 1, "failed")
    assert judge(access=True) == (Level.ERROR, ("101",), 0)


def test_whoever_was_switched_on_again_by_hand_counts_from_the_first_try_since(
    judge: Judge, ledger: Ledger, clock: Clock
) -> None:
    switching_off(ledger, clock, 200, "done")
    switching_off(ledger, clock, 2, "failed")
    assert judge(access=True) == (Level.FINE, (), 1)


def test_a_push_of_single_records_leaves_the_others_to_the_next_whole_sync(judge: Judge, ledger: Ledger) -> None:
    pushed(ledger, p101="not_pushed", p102="updated")
    assert judge(access=True) == (Level.FINE, (), 1)
    assert judge_left(ledger, PEOPLE).level is Level.FINE


def test_what_safetyamp_said_it_did_and_did_not_is_overdue(judge: Judge, ledger: Ledger, clock: Clock) -> None:
    switching_off(ledger, clock, 1, "done")
    assert judge(access=True) == (Level.ERROR, ("101",), 0)
