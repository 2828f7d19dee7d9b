"""The call budget: never more than so many calls in any window, whoever makes them, and none wasted."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
import time as real_time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from scripted_server import Answer, Asked, FakeTime, ScriptedServer, answer
from windows import most_in_a_window

from safetyamp_pipelines.sync.model.errors import RateLimited, Refusal
from safetyamp_pipelines.systems.http.answers import rest_of
from safetyamp_pipelines.systems.http.budget import LONGEST_SETTLE, Budget, Claim, SqliteBucket, budget_key
from safetyamp_pipelines.systems.http.client import HttpClient
from safetyamp_pipelines.systems.http.clock import Clock
from safetyamp_pipelines.systems.http.retry import RetryPolicy

WORKER = Path(__file__).with_name("budget_worker.py")


def budget_of(path: Path, time: FakeTime, *, calls: int, period: float, key: str = "key") -> Budget:
    return Budget(calls, period, SqliteBucket(path, key, clock=time.clock), clock=time.clock)


def times_of_calls(budget: Budget, time: FakeTime, count: int, *, lasting: float = 0.0) -> list[float]:
    """When each of `count` calls began, counted from now."""
    start, began = time.at, []
    for _ in range(count):
        with budget.call():
            began.append(time.at - start)
            time.at += lasting
    return began


@pytest.mark.parametrize(("calls", "period"), [(1, 1.0), (3, 61.0), (5, 0.25), (60, 61.0)])
def test_the_whole_budget_is_used_and_never_more(calls: int, period: float, tmp_path: Path, time: FakeTime) -> None:
    budget = budget_of(tmp_path / "budget.db", time, calls=calls, period=period)

    began = times_of_calls(budget, time, 3 * calls)

    assert began == pytest.approx([period * (number // calls) for number in range(3 * calls)], abs=1e-3)


def test_calls_at_uneven_times_free_their_places_one_by_one(tmp_path: Path, time: FakeTime) -> None:
    budget = budget_of(tmp_path / "budget.db", time, calls=2, period=10.0)
    times_of_calls(budget, time, 1)
    time.at += 6

    assert times_of_calls(budget, time, 4) == pytest.approx([0.0, 4.0, 10.0, 14.0], abs=1e-3)


def test_a_pause_that_the_system_asks_for_holds_for_all_who_share_the_budget(
    tmp_path: Path, time: FakeTime, server: ScriptedServer
) -> None:
    mine, theirs = (budget_of(tmp_path / "budget.db", time, calls=10, period=1.0) for _ in range(2))
    client = HttpClient("Test", server.url, headers=dict, clock=time.clock, budget=mine, policy=RetryPolicy(attempts=1))
    server.script(answer({}, 429, Retry_After="7.5"))
    with pytest.raises(RateLimited):
        client.get("/fleet/vehicles")

    assert times_of_calls(theirs, time, 2) == pytest.approx([7.5, 7.5])
    assert len(SqliteBucket(tmp_path / "budget.db", "key", clock=time.clock).booked()) == 3


@pytest.mark.parametrize(
    ("status", "headers", "pause"),
    [
        (200, {"RateLimit_Remaining": "0", "RateLimit_Reset": "7"}, 7.0),
        (200, {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "7.5"}, 7.5),
        (200, {"RateLimit": "limit=100, remaining=0, reset=7"}, 7.0),
        (200, {"RateLimit": '"default";r=0;t=7'}, 7.0),
        (200, {"RateLimit_Remaining": "3", "RateLimit_Reset": "7"}, 0.0),
        (200, {"RateLimit_Remaining": "0"}, 0.0),
        (200, {"RateLimit_Remaining": "nan", "RateLimit_Reset": "inf"}, 0.0),
        (200, {"RateLimit_Remaining": "0", "RateLimit_Reset": "9" * 500}, 0.0),
        (200, {"RateLimit_Remaining": "0", "RateLimit_Reset": "9999-99-99T00:00Z"}, 0.0),
        (429, {"X_RateLimit_Reset": "7"}, 7.0),
        (429, {"Retry_After": "7", "RateLimit_Remaining": "5", "RateLimit_Reset": "90"}, 7.0),
    ],
)
def test_what_an_answer_says_of_its_rate_feeds_the_budget_that_all_share(
    status: int, headers: dict[str, str], pause: float, tmp_path: Path, time: FakeTime, server: ScriptedServer
) -> None:
    mine, theirs = (budget_of(tmp_path / "budget.db", time, calls=10, period=1.0) for _ in range(2))
    client = HttpClient("Test", server.url, headers=dict, clock=time.clock, budget=mine, policy=RetryPolicy(attempts=1))
    server.script(answer({}, status, **headers))
    with suppress(RateLimited):
        client.get("/fleet/vehicles")

    assert times_of_calls(theirs, time, 1) == pytest.approx([pause])


@pytest.mark.parametrize("form", ["{:.0f}", "iso"])
def test_a_reset_may_be_a_moment(form: str) -> None:
    now = 1_795_262_400.0
    moment = (
        datetime.fromtimestamp(now + 90, UTC).strftime("%Y-%m-%dT%H:%MZ") if form == "iso" else form.format(now + 60)
    )

    rest = rest_of({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": moment}, now)

    assert rest == 60.0


def test_no_pause_lasts_beyond_five_minutes(tmp_path: Path, time: FakeTime) -> None:
    budget = budget_of(tmp_path / "budget.db", time, calls=10, period=1.0)
    budget.hold(86_400.0)

    assert times_of_calls(budget, time, 1) == pytest.approx([300.0])


def test_the_seconds_waited_are_told(tmp_path: Path, time: FakeTime) -> None:
    budget = budget_of(tmp_path / "budget.db", time, calls=1, period=5.0)
    with budget.call() as first, budget.call() as second:
        pass

    assert (first, second) == pytest.approx((0.0, 5.0))


@pytest.mark.parametrize(("period", "told"), [(61.0, 1), (1.0, 0)])
def test_a_long_wait_for_the_budget_is_logged_and_the_ordinary_pace_is_not(
    period: float, told: int, tmp_path: Path, time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "safetyamp_pipelines")
    budget = budget_of(tmp_path / "budget.db", time, calls=3, period=period)

    times_of_calls(budget, time, 6)

    assert [record.getMessage() for record in caplog.records] == ["waits_for_budget seconds=61.0 calls=3"] * told


def test_a_slow_way_to_the_server_counts_from_the_answer_but_a_slow_server_wastes_little(
    tmp_path: Path, time: FakeTime
) -> None:
    budget = budget_of(tmp_path / "budget.db", time, calls=1, period=10.0)

    assert times_of_calls(budget, time, 2, lasting=0.1) == pytest.approx([0.0, 10.1], abs=1e-3)
    assert times_of_calls(budget, time, 2, lasting=3.0) == pytest.approx([9.999, 19.999 + LONGEST_SETTLE], abs=2e-3)


def test_budgets_of_two_tokens_and_two_systems_are_apart(tmp_path: Path, time: FakeTime) -> None:
    keys = {
        budget_key("https://api.safetyamp.com", "a"),
        budget_key("https://api.safetyamp.com/", "a"),
        budget_key("https://api.safetyamp.com", "b"),
        budget_key("http://127.0.0.1:8080", "a"),
    }
    assert len(keys) == 3

    for key in keys:
        budget = budget_of(tmp_path / "budget.db", time, calls=1, period=60.0, key=key)
        assert times_of_calls(budget, time, 1) == [0.0]
    assert time.slept == []


def test_a_later_process_goes_on_with_the_same_budget(tmp_path: Path, time: FakeTime) -> None:
    first = budget_of(tmp_path / "budget.db", time, calls=2, period=10.0)
    times_of_calls(first, time, 2)
    first.close()

    second = budget_of(tmp_path / "budget.db", time, calls=2, period=10.0)

    assert times_of_calls(second, time, 1) == pytest.approx([10.0], abs=1e-3)


def test_a_clock_set_back_stops_nobody_for_longer_than_a_window(tmp_path: Path, time: FakeTime) -> None:
    budget = budget_of(tmp_path / "budget.db", time, calls=2, period=10.0)
    times_of_calls(budget, time, 2)
    time.at -= 3600

    assert times_of_calls(budget, time, 3) == pytest.approx([10.0, 10.0, 20.0], abs=1e-3)


def test_the_file_stays_small(tmp_path: Path, time: FakeTime) -> None:
    path = tmp_path / "budget.db"
    bucket = SqliteBucket(path, "key", clock=time.clock)
    for _ in range(2000):
        assert bucket.claim(5, 1.0).number
        time.at += 1
    bucket.close()

    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone()[0] < 300

    time.at += 2 * 86_400
    SqliteBucket(path, "another token", clock=time.clock).claim(5, 1.0)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone()[0] == 1


def test_a_budget_without_need_costs_next_to_nothing(tmp_path: Path) -> None:
    bucket = SqliteBucket(tmp_path / "budget.db", "key")
    budget = Budget(1_000_000, 60.0, bucket)

    started = real_time.process_time()
    for _ in range(2000):
        with budget.call():
            pass

    assert real_time.process_time() - started < 2.0  # some 0.4 s where this was written


@pytest.mark.parametrize("damage", ["a folder in its place", "a file that is not a database", "a file for a folder"])
def test_a_file_that_cannot_be_used_is_one_clear_refusal(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "data" / "budget.db"
    if damage == "a folder in its place":
        path.mkdir(parents=True)
    elif damage == "a file that is not a database":
        path.parent.mkdir()
        path.write_bytes(b"something else entirely" * 100)
    else:
        path.parent.write_text("")

    with pytest.raises(Refusal, match="call budget"):
        SqliteBucket(path, "key").claim(1, 1.0)


def test_a_booking_that_cannot_be_moved_does_not_lose_the_answer(server: ScriptedServer, time: FakeTime) -> None:
    class FullDisk:
        def claim(self, calls: int, period: float) -> Claim:
            return Claim(1, 0.0)

        def settle(self, number: int, at: float) -> None:
            raise Refusal("the disk is full")

        def close(self) -> None:
            """Nothing to close."""

    server.script(answer({"data": {"id": 1}}))
    client = HttpClient("Test", server.url, headers=dict, budget=Budget(1, 1.0, FullDisk()), clock=time.clock)

    assert client.write("POST", "/api/users", {}, endpoint="/api/users") == {"data": {"id": 1}}


def test_every_attempt_takes_from_the_budget(server: ScriptedServer, tmp_path: Path, time: FakeTime) -> None:
    budget = budget_of(tmp_path / "budget.db", time, calls=1, period=50.0)
    client = HttpClient("Test", server.url, headers=dict, budget=budget, clock=time.clock)
    server.script(answer({}, 500), answer({}, 500), answer({}))
    start = time.at

    client.get("/")

    assert time.at - start == pytest.approx(100.0, abs=0.01)
    assert client.waited == pytest.approx(100.0, abs=0.01)


def test_three_processes_of_three_threads_never_exceed_what_the_server_allows(
    server: ScriptedServer, tmp_path: Path
) -> None:
    calls, period, each = 10, 0.5, 4
    arrived: list[float] = []

    def note(asked: Asked) -> Answer:
        arrived.append(real_time.time())
        return answer({})

    server.respond(note)
    ledger, path = f"sqlite:///{tmp_path}/ledger.db", tmp_path / "budget.db"
    command = [sys.executable, str(WORKER), "call", server.url, ledger, str(path), str(calls), str(period)]
    processes = [subprocess.Popen([*command, "3", str(each)]) for _ in range(3)]

    assert [process.wait(timeout=600) for process in processes] == [0, 0, 0]

    assert len(arrived) == 3 * 3 * each
    assert most_in_a_window(sorted(arrived), period) <= calls


def test_a_killed_process_leaves_no_lock_and_its_booking_stands(tmp_path: Path, time: FakeTime) -> None:
    path = tmp_path / "budget.db"
    with subprocess.Popen(
        [sys.executable, str(WORKER), "hold", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.kill()

    bucket = SqliteBucket(path, "shared")

    assert bucket.claim(2, 3600.0).number == 2
    assert bucket.claim(2, 3600.0).wait == pytest.approx(3600, abs=60)


def test_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    polls: list[float] = []

    def poll(seconds: float) -> None:
        polls.append(seconds)
        real_time.sleep(seconds)

    budget = Budget(2, 0.1, SqliteBucket(tmp_path / "budget.db", "key"), clock=Clock(sleep=poll))

    def call() -> None:
        with budget.call():
            pass

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(polls) <= 8, "the waiting threads do not all poll the file"
