"""What reports ask of the ledger: spans that share no change and lose none, and the trail of the records in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.ledger.verdict_log import Attempt, Look, Standing
from safetyamp_pipelines.sync.model.plan import Outcome, Verdict

TEN = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_every_change_is_in_exactly_one_of_two_adjoining_spans(ledger: Ledger, session: int, change, clock) -> None:
    for key in ("1", "2", "3"):
        ledger.intend(session, change(source_key=key, action="update", target_id="u1"))
        clock.forward(hours=1)

    before, after = ledger.changes_intended(TEN - HOUR, TEN + HOUR), ledger.changes_intended(TEN + HOUR, TEN + 9 * HOUR)

    assert [[change.source_key for change in span] for span in (before, after)] == [["1"], ["2", "3"]]
    assert [found.id for found in ledger.sessions_started(TEN, TEN + HOUR)] == [session]
    assert ledger.sessions_started(TEN - HOUR, TEN) == []


def test_a_trail_holds_the_entitys_looks_and_only_the_records_changed_in_the_span(ledger: Ledger, change, clock):
    # given three looks at employees, one at jobs, and a push of one of two records
    unchanged = [Verdict(key, Outcome.UNCHANGED, "recognised by link") for key in ("1", "2")]
    ledger.log_verdicts("run-1", "employees", clock.now, unchanged)
    ledger.log_verdicts("run-1", "jobs", clock.now, [Verdict("1", Outcome.CREATED, "is new")])
    clock.forward(hours=1)
    wanted = [Verdict("1", Outcome.UPDATED, "differs"), unchanged[1]]
    ledger.log_verdicts("run-2", "employees", clock.now, wanted)
    session = ledger.start_session("run-2", "employees", "plan", {})
    sent = ledger.intend(session, change(source_key="1", action="update", target_id="u1"))
    ledger.answer(sent, "failed", http_status=422)
    clock.forward(hours=1)
    ledger.log_verdicts("run-3", "employees", clock.now, unchanged)

    # when the trail of the hour of the push is asked for
    trail = ledger.trail("employees", TEN + HOUR, TEN + 2 * HOUR)

    # then it tells all looks, and of the one record what was said when and what was done
    one, two, three = (look.number for look in trail.looks)
    assert trail.looks == (
        Look(one, "run-1", TEN),
        Look(two, "run-2", TEN + HOUR),
        Look(three, "run-3", TEN + 2 * HOUR),
    )
    assert trail.places == {"run-1": 0, "run-2": 1, "run-3": 2}
    assert trail.standing == {
        "1": (Standing("unchanged", one, two), Standing("updated", two, three), Standing("unchanged", three, None))
    }
    assert trail.attempts == {"1": (Attempt(sent, "run-2", "failed", 422),)}
    assert ledger.trail("employees", TEN, TEN + HOUR).standing == {}
