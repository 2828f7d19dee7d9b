"""The verdict log: every record's verdict in every run, without a row for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from safetyamp_pipelines.ledger import Ledger, LoggedRun, LoggedVerdict
from safetyamp_pipelines.sync.model.plan import Outcome, Verdict

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
UNCHANGED = Verdict("100482", Outcome.UNCHANGED, "recognised by link")
REJECTED = Verdict("100482", Outcome.REJECTED, "the source record cannot be synced", ("no home site",), ("no title",))


def rows_of(ledger: Ledger) -> int:
    with ledger._engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM ledger_verdicts")).scalar_one())


def outcomes(ledger: Ledger, source_key: str = "100482", runs: int = 10) -> list[tuple[str, str | None]]:
    return [(said.run_id, said.outcome) for said in ledger.verdict_history("employees", source_key, runs)]


def test_a_verdict_is_told_whole(ledger: Ledger) -> None:
    ledger.log_verdicts("run-1", "employees", NOON, [REJECTED])

    assert ledger.verdict_history("employees", "100482") == [
        LoggedVerdict(
            run_id="run-1",
            at=NOON,
            outcome="rejected",
            rule="the source record cannot be synced",
            reasons=("no home site",),
            notes=("no title",),
            since=NOON,
        )
    ]
    assert ledger.verdict_history("employees", "nobody") == []
    assert ledger.verdict_history("jobs", "100482") == []


def test_a_verdict_that_stands_is_told_for_every_run_and_stored_once(ledger: Ledger) -> None:
    # given two runs that say the same
    for number in range(2):
        ledger.log_verdicts(f"run-{number}", "employees", NOON + number * HOUR, [UNCHANGED])
    assert rows_of(ledger) == 1

    # when the third says something else
    ledger.log_verdicts("run-2", "employees", NOON + 2 * HOUR, [REJECTED])

    # then each run has its own answer, and says since when it holds
    history = ledger.verdict_history("employees", "100482")
    assert [(said.run_id, said.outcome, said.at, said.since) for said in history] == [
        ("run-2", "rejected", NOON + 2 * HOUR, NOON + 2 * HOUR),
        ("run-1", "unchanged", NOON + HOUR, NOON),
        ("run-0", "unchanged", NOON, NOON),
    ]


@pytest.mark.parametrize(
    "difference",
    [
        {"outcome": Outcome.HELD},
        {"rule": "another rule"},
        {"reasons": ("no home site", "no e-mail")},
        {"notes": ()},
    ],
)
def test_whatever_differs_is_a_new_verdict(ledger: Ledger, difference: dict) -> None:
    ledger.log_verdicts("run-1", "employees", NOON, [REJECTED])
    ledger.log_verdicts("run-2", "employees", NOON + HOUR, [replace(REJECTED, **difference)])

    newest = ledger.verdict_history("employees", "100482")[0]
    assert newest.since == NOON + HOUR


def test_a_record_that_vanishes_and_returns_is_seen_to_do_so(ledger: Ledger) -> None:
    # given a record that is there, gone for two runs, and back
    other = Verdict("100483", Outcome.UNCHANGED, "recognised by link")
    for number, verdicts in enumerate([[other], [UNCHANGED, other], [other], [other], [UNCHANGED, other]]):
        ledger.log_verdicts(f"run-{number}", "employees", NOON + number * HOUR, verdicts)

    # then its history begins where it was first seen, and names the runs without it
    assert outcomes(ledger) == [("run-4", "unchanged"), ("run-3", None), ("run-2", None), ("run-1", "unchanged")]
    assert [said.since for said in ledger.verdict_history("employees", "100482")][1] == NOON + 2 * HOUR
    assert rows_of(ledger) == 4


def test_only_the_last_runs_are_told(ledger: Ledger) -> None:
    for number in range(5):
        ledger.log_verdicts(f"run-{number}", "employees", NOON + number * HOUR, [UNCHANGED])

    assert outcomes(ledger, runs=2) == [("run-4", "unchanged"), ("run-3", "unchanged")]
    assert ledger.verdict_history("employees", "100482", runs=2)[0].since == NOON


def test_runs_are_listed_with_their_counts(ledger: Ledger) -> None:
    ledger.log_verdicts("run-1", "employees", NOON, [UNCHANGED, replace(REJECTED, source_key="100483")])
    ledger.log_verdicts("run-1", "jobs", NOON, [replace(UNCHANGED, source_key="1/24113.")])
    ledger.log_verdicts("run-2", "employees", NOON + HOUR, [])

    assert ledger.runs("employees") == [
        LoggedRun(run_id="run-2", at=NOON + HOUR, counts={}),
        LoggedRun(run_id="run-1", at=NOON, counts={"unchanged": 1, "rejected": 1}),
    ]
    assert [run.run_id for run in ledger.runs("employees", limit=1)] == ["run-2"]
    assert [run.counts for run in ledger.runs("jobs")] == [{"unchanged": 1}]
    assert ledger.runs("titles") == []


def test_a_run_that_logs_again_replaces_what_it_said(ledger: Ledger) -> None:
    # given a run whose plan was logged, with one record changed, one new and one gone
    stays, goes = (Verdict(key, Outcome.UNCHANGED, "recognised by link") for key in ("1", "2"))
    comes = Verdict("3", Outcome.CREATED, "is new")
    ledger.log_verdicts("run-1", "employees", NOON, [UNCHANGED, stays, goes])
    ledger.log_verdicts("run-2", "employees", NOON + HOUR, [REJECTED, stays, comes])

    # when it logs again after its push, and all is as the run before it said
    ledger.log_verdicts("run-2", "employees", NOON + 2 * HOUR, [UNCHANGED, stays, goes])

    # then there is one run, as if it had said so at once
    assert ledger.runs("employees")[0] == LoggedRun(run_id="run-2", at=NOON + HOUR, counts={"unchanged": 3})
    assert len(ledger.runs("employees")) == 2
    assert [said.since for said in ledger.verdict_history("employees", "100482")] == [NOON, NOON]
    assert outcomes(ledger, "2") == [("run-2", "unchanged"), ("run-1", "unchanged")]
    assert outcomes(ledger, "3") == []
    assert rows_of(ledger) == 3


def test_a_run_that_logs_late_is_told_again(ledger: Ledger) -> None:
    for run in ("run-1", "run-2", "run-1"):
        ledger.log_verdicts(run, "employees", NOON, [UNCHANGED])
    assert outcomes(ledger) == [("run-1", "unchanged"), ("run-2", "unchanged"), ("run-1", "unchanged")]


KEYS = st.sampled_from(["1", "2", "3"])
LOGS = st.lists(
    st.tuples(
        st.sampled_from(["run-a", "run-b"]), st.dictionaries(KEYS, st.sampled_from([Outcome.HELD, Outcome.FAILED]))
    ),
    max_size=8,
)


@given(logs=LOGS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_log_tells_what_a_full_record_would(ledger: Ledger, logs: list[tuple[str, dict[str, Outcome]]]) -> None:
    # given an entity of its own, and all verdicts of all its runs written down in full
    entity = f"entity-{ledger.keyed_hash(repr(logs))}-{time.monotonic_ns()}"
    full: list[tuple[str, dict[str, Outcome]]] = []
    for run_id, verdicts in logs:
        ledger.log_verdicts(run_id, entity, NOON, [Verdict(key, said, "") for key, said in verdicts.items()])
        if full and full[-1][0] == run_id:
            full.pop()
        full.append((run_id, verdicts))

    # then the history of each record is the same
    for key in ("1", "2", "3"):
        first = next((number for number, (_, verdicts) in enumerate(full) if key in verdicts), len(full))
        expected = [(run_id, verdicts.get(key)) for run_id, verdicts in full[first:]]
        found = [(said.run_id, said.outcome) for said in ledger.verdict_history(entity, key)]
        assert found == expected[::-1]
    assert [run.run_id for run in ledger.runs(entity)] == [run_id for run_id, _ in full[::-1]]


def test_runs_that_log_at_the_same_moment_leave_one_verdict_standing(url: str) -> None:
    # given several connections at the start line, all with a verdict of their own
    start = threading.Barrier(4)

    def log(number: int) -> None:
        with Ledger.open(url) as ledger:
            start.wait()
            ledger.log_verdicts(f"run-{number}", "employees", NOON, [replace(UNCHANGED, rule=f"rule {number}")])

    # when they all log at once
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(log, range(4)))

    # then each run tells exactly its own
    with Ledger.open(url) as ledger:
        history = ledger.verdict_history("employees", "100482")
        assert sorted(said.run_id for said in history) == ["run-0", "run-1", "run-2", "run-3"]
        assert all(said.rule == said.run_id.replace("run-", "rule ") for said in history)


def test_thousands_of_verdicts_cost_little(new_sqlite: Callable[[], str]) -> None:
    def verdicts(rule: str) -> list[Verdict]:
        return [Verdict(str(number), Outcome.UNCHANGED, rule, (), ("no title",)) for number in range(2000)]

    with Ledger.open(new_sqlite()) as ledger:
        for run, rule in enumerate(["recognised by link", "recognised by link", "differs: City"]):
            started = time.process_time()
            ledger.log_verdicts(f"run-{run}", "employees", NOON, verdicts(rule))
            # first, at rest, all at once: 0.1 s, 0.04 s and 0.15 s where this was written
            assert time.process_time() - started < 1.0
        assert len(ledger.verdict_history("employees", "1999")) == 3
        assert rows_of(ledger) == 4000


def test_what_stands_is_told_by_outcome_for_the_newest_run_alone(ledger: Ledger) -> None:
    # given a run that rejects one and keeps another, and a run after it in which the first is mended
    other = replace(UNCHANGED, source_key="100483")
    ledger.log_verdicts("run-1", "employees", NOON, [REJECTED, other])
    assert ledger.standing("employees", [Outcome.REJECTED, Outcome.FAILED]) == {"100482": "rejected"}

    ledger.log_verdicts("run-2", "employees", NOON + HOUR, [UNCHANGED, other])

    assert ledger.standing("employees", [Outcome.REJECTED]) == {}
    assert ledger.standing("employees", [Outcome.UNCHANGED]) == {"100482": "unchanged", "100483": "unchanged"}
    assert ledger.standing("jobs", [Outcome.UNCHANGED]) == {}
