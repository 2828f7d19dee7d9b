"""How long a change waited: never a figure that the ledger cannot vouch for, and the truth between the two bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from history import History

from safetyamp_pipelines.operations.reports.waiting import Wait, wait_of

LONG_AGO, FAR_AHEAD = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)


def wait(history: History, key: str = "e1") -> Wait:
    trail = history.ledger.trail(history.entity, LONG_AGO, FAR_AHEAD)
    return wait_of(history.last(key), trail)


def minutes(at_least: float, at_most: float | None) -> Wait:
    return Wait(timedelta(minutes=at_least), None if at_most is None else timedelta(minutes=at_most))


def test_a_change_waited_since_some_moment_between_the_look_before_and_the_look_that_asked_for_it(history: History):
    history.at("2026-11-20 10:00")
    history.look(e1="unchanged")
    history.at("2026-11-20 10:15")
    history.push(minutes=2, e1="done")

    assert wait(history) == minutes(2, 17)


def test_the_first_look_of_all_tells_no_upper_bound(history: History):
    history.push(minutes=3, e1="done")

    assert wait(history) == minutes(3, None)


def test_a_record_that_was_not_in_the_source_before_counts_from_then(history: History):
    history.at("2026-11-20 10:00")
    history.look(e2="unchanged")
    history.at("2026-11-20 10:15")
    history.push(minutes=1, e1="done", actions={"e1": "create"})

    assert wait(history) == minutes(1, 16)


def test_looks_whose_plan_was_not_pushed_or_not_carried_out_are_waited_through(history: History):
    history.at("2026-11-20 09:00")
    history.look(e1="unchanged")
    history.at("2026-11-20 10:00")
    history.look(e1="updated")  # a guard refused the plan
    history.at("2026-11-20 11:00")
    history.look(e1="blocked")
    history.at("2026-11-20 12:00")
    history.push(minutes=5, e1="failed")  # the answer was lost, and it had not been done
    history.at("2026-11-20 13:00")
    history.push(minutes=5, e1="done")

    assert wait(history) == minutes(3 * 60 + 5, 4 * 60 + 5)


def test_a_refused_record_counts_from_its_correction(history: History):
    history.at("2026-11-19 10:00")
    history.push(e1=("failed", 422, ["email"], "refused"))
    history.at("2026-11-20 09:45")
    history.look(e1="failed")  # known to be refused, so not tried
    history.at("2026-11-20 10:00")
    history.push(minutes=2, e1="done")

    assert wait(history) == minutes(2, 17)


def test_a_record_that_could_not_be_synced_counts_from_when_it_could(history: History):
    history.at("2026-11-20 09:00")
    history.look(e1="rejected")
    history.at("2026-11-20 10:00")
    history.push(minutes=2, e1="done")

    assert wait(history) == minutes(2, 62)


def test_the_change_before_ends_the_chain_although_the_verdict_reads_the_same(history: History):
    history.at("2026-11-20 09:00")
    history.push(minutes=2, e1="done")
    history.at("2026-11-20 10:00")
    history.push(minutes=2, e1="done")

    assert wait(history) == minutes(2, 62)


def test_what_is_not_done_has_no_wait_and_neither_has_a_push_without_a_look(history: History):
    history.push(e1="failed", e2=None)
    session = history.ledger.start_session("an undo", "employees", "plan", {})
    history.ledger.note_unsent(session, [], "stale", "")

    assert wait(history, "e1") == Wait()
    assert wait(history, "e2") == Wait()

    done = history.push(e3="done")
    trail = history.ledger.trail("jobs", LONG_AGO, FAR_AHEAD)
    assert history.last("e3").run_id == done
    assert wait_of(history.last("e3"), trail) == Wait()
