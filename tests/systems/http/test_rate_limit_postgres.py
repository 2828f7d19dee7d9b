"""The call budget in a PostgreSQL database: shared by pods, on the server's clock, and nobody's lock outlives them."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scripted_server import Answer, Asked, ScriptedServer, answer
from sqlalchemy import Engine, create_engine, make_url, text
from windows import most_in_a_window

from safetyamp_pipelines.ledger import Ledger, LedgerUnusable
from safetyamp_pipelines.ledger.database import ledger_address
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.systems.http.budget import Budget, SqliteBucket
from safetyamp_pipelines.systems.http.budget_postgres import CLAIM, PostgresBucket, bucket_factory
from safetyamp_pipelines.systems.http.clock import Clock
from safetyamp_pipelines.systems.safetyamp import safetyamp_client

WORKER = Path(__file__).with_name("budget_worker.py")
HOUR = 3600.0


@pytest.fixture
def database(postgres_url: str) -> Iterator[Engine]:
    """A look into the database past the bucket."""
    engine = create_engine(ledger_address(postgres_url), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
def bucket(postgres_url: str) -> Iterator[PostgresBucket]:
    bucket = PostgresBucket(postgres_url, "key")
    yield bucket
    bucket.close()


def bookings(database: Engine, column: str = "extract(epoch FROM at)") -> list[float]:
    """The times of all bookings in seconds since 1970, or what else is asked of them, in order."""
    with database.connect() as connection:
        return [
            float(found) for (found,) in connection.execute(text(f"SELECT {column} FROM safetyamp_calls ORDER BY 1"))
        ]


def execute(database: Engine, statement: str) -> None:
    with database.connect() as connection:
        connection.execute(text(statement))


def test_the_window_is_filled_and_then_tells_how_long_it_is_full(bucket: PostgresBucket) -> None:
    # given a window of three calls
    assert [bucket.claim(3, HOUR).number for _ in range(3)] == [1, 2, 3]

    # when a fourth is asked for, then nothing is booked, however often one asks
    for _ in range(2):
        claim = bucket.claim(3, HOUR)
        assert claim.number is None
        assert claim.wait == pytest.approx(HOUR, abs=60)
    # and where more is allowed, there is still room
    assert bucket.claim(4, HOUR).number == 4


def test_the_whole_budget_is_used_and_never_more(bucket: PostgresBucket, database: Engine) -> None:
    calls, period = 4, 0.3
    budget = Budget(calls, period, bucket)

    started = time.monotonic()
    for _ in range(3 * calls):
        with budget.call():
            pass

    assert time.monotonic() - started > 2 * period
    assert most_in_a_window(bookings(database), period) == calls


def test_a_pause_holds_for_all_and_the_later_end_counts(postgres_url: str, bucket: PostgresBucket) -> None:
    PostgresBucket(postgres_url, "key").hold(60.0)
    bucket.hold(0.0)

    claim = bucket.claim(3, HOUR)

    assert claim.number is None
    assert claim.wait == pytest.approx(60.0, abs=30.0)
    assert bucket.booked() == []
    assert PostgresBucket(postgres_url, "other").claim(1, HOUR).number == 1


def test_budgets_of_two_tokens_are_apart(postgres_url: str) -> None:
    for key in ("one", "other"):
        assert PostgresBucket(postgres_url, key).claim(1, HOUR).number == 1


def test_a_later_process_goes_on_with_the_same_budget(postgres_url: str, bucket: PostgresBucket) -> None:
    bucket.claim(1, HOUR)
    bucket.close()

    assert PostgresBucket(postgres_url, "key").claim(1, HOUR).number is None
    assert bucket.claim(1, HOUR).number is None, "a closed bucket opens again"


def test_three_processes_of_three_threads_never_exceed_what_the_server_allows(
    server: ScriptedServer, postgres_url: str, database: Engine, tmp_path: Path
) -> None:
    # given a database that knows nothing of budgets yet
    calls, period, each = 10, 0.5, 4
    arrived: list[float] = []

    def note(asked: Asked) -> Answer:
        arrived.append(time.time())
        return answer({})

    server.respond(note)

    # when three processes start at once
    path = tmp_path / "budget.db"
    command = [sys.executable, str(WORKER), "call", server.url, postgres_url, str(path), str(calls), str(period)]
    processes = [subprocess.Popen([*command, "3", str(each)]) for _ in range(3)]
    assert [process.wait(timeout=600) for process in processes] == [0, 0, 0]

    # then all calls arrive, and neither the server nor the bookings ever saw more than allowed
    assert len(arrived) == 3 * 3 * each
    assert most_in_a_window(sorted(arrived), period) <= calls
    assert most_in_a_window(bookings(database), period) <= calls
    assert bookings(database, "number") == list(range(1, 3 * 3 * each + 1))
    assert not path.exists()


def test_buckets_that_claim_at_the_same_moment_never_book_the_same_place(postgres_url: str, database: Engine) -> None:
    # given eight connections at the start line, and no table yet
    start = threading.Barrier(8)

    def claim(_: int) -> list[int | None]:
        bucket = PostgresBucket(postgres_url, "key")
        found = []
        for claims in (1, 9):  # the first makes the table, the rest come thick and fast
            start.wait()
            found += [bucket.claim(40, HOUR).number for _ in range(claims)]
        bucket.close()
        return found

    # when together they ask for twice as much as there is
    with ThreadPoolExecutor(8) as threads:
        found = [number for numbers in threads.map(claim, range(8)) for number in numbers]

    # then the budget was given out exactly once
    assert sorted(number for number in found if number is not None) == list(range(1, 41))
    assert found.count(None) == 40
    assert len(bookings(database)) == 40


def test_a_killed_process_leaves_no_lock_and_its_booking_stands(postgres_url: str) -> None:
    # given a process that booked a call, and is killed with the lock of the next one in hand
    with subprocess.Popen(
        [sys.executable, str(WORKER), "hold-postgresql", postgres_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.kill()

    # then the next one gets the lock; the call that was booked counts, the one that was not does not
    bucket = PostgresBucket(postgres_url, "shared")
    assert bucket.claim(2, HOUR).number == 2
    assert bucket.claim(2, HOUR).number is None


@pytest.mark.parametrize("wrong_by", [-HOUR, 0.0, HOUR])
def test_a_machine_whose_clock_is_wrong_settles_on_the_servers(
    wrong_by: float, postgres_url: str, database: Engine
) -> None:
    # given a machine whose clock is an hour off, and a call that was booked a hundred seconds ago
    clock = Clock(now=lambda: time.time() + wrong_by)
    bucket = PostgresBucket(postgres_url, "key", clock=clock)
    claim = bucket.claim(1, HOUR)
    assert claim.number is not None
    execute(database, "UPDATE safetyamp_calls SET at = at - interval '100 seconds'")

    # when the server saw it fifty seconds ago, at the latest
    bucket.settle(claim.number, clock.now() - 50)

    # then the booking moved to that moment as the server knows it
    assert bookings(database) == [pytest.approx(time.time() - 50, abs=30)]


def test_a_database_that_is_read_only_and_knows_no_budget_yet_can_be_asked(postgres_url: str) -> None:
    url = make_url(postgres_url)
    url = url.update_query_dict({"options": f"{url.query['options']} -c default_transaction_read_only=on"})

    assert PostgresBucket(url.render_as_string(False), "key").booked() == []


def test_a_booking_never_moves_back(bucket: PostgresBucket, database: Engine) -> None:
    claim = bucket.claim(1, HOUR)
    assert claim.number is not None
    before = bookings(database)

    bucket.settle(claim.number, time.time() - HOUR)

    assert bookings(database) == before


def test_a_server_clock_set_back_stops_nobody_for_longer_than_a_window(
    bucket: PostgresBucket, database: Engine
) -> None:
    # given bookings of what is now the future
    for _ in range(2):
        bucket.claim(2, 0.2)
    execute(database, "UPDATE safetyamp_calls SET at = at + interval '1 hour'")

    # when a call is asked for, then it has to wait for one window at most
    claim = bucket.claim(2, 0.2)
    assert claim.number is None
    assert claim.wait <= 0.2
    assert max(bookings(database)) <= time.time() + 1

    with Budget(2, 0.2, bucket).call() as waited:
        assert waited < 30


def test_the_table_stays_small(bucket: PostgresBucket, postgres_url: str, database: Engine) -> None:
    for number in range(1, 601):
        while bucket.claim(5, 1e-6).number is None:
            assert number > 5
    assert len(bookings(database)) < 300

    # and what nobody uses any more goes when a process starts
    execute(database, "UPDATE safetyamp_calls SET at = at - interval '2 days'")
    PostgresBucket(postgres_url, "another token").claim(5, 1.0)
    assert len(bookings(database)) == 1


def test_a_claim_looks_at_three_rows_however_large_the_budget(bucket: PostgresBucket, database: Engine) -> None:
    # given a budget that is never used up, and a great many bookings
    bucket.claim(1_000_000, HOUR)
    execute(
        database,
        "INSERT INTO safetyamp_calls SELECT 'key', number, clock_timestamp() FROM generate_series(2, 50000) AS number",
    )
    execute(database, "ANALYZE safetyamp_calls")

    # when the database is asked how it looks them up
    lookup = CLAIM.text.partition(";")[2]
    values = {"budget": "key", "calls": 40_000, "period": HOUR}
    with database.connect() as connection:
        plan = "\n".join(line for (line,) in connection.execute(text(f"EXPLAIN {lookup}"), values))

    assert plan.count("using safetyamp_calls_pkey") == 3
    assert "Seq Scan" not in plan


def test_the_ledger_and_the_budget_live_side_by_side(postgres_url: str, bucket: PostgresBucket) -> None:
    bucket.claim(1, HOUR)
    Ledger.open(postgres_url).close()
    assert bucket.claim(1, HOUR).number is None


def test_an_unreachable_database_is_one_clear_refusal_without_the_password() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"postgresql://robot:hunter2@127.0.0.1:{held.getsockname()[1]}/ledger"
        with pytest.raises(LedgerUnusable, match=r"ledger on 127\.0\.0\.1") as refused:
            PostgresBucket(url, "key").claim(1, 1.0)
    assert "hunter2" not in str(refused.value)


def test_a_table_that_vanished_is_one_clear_refusal(bucket: PostgresBucket, database: Engine) -> None:
    bucket.claim(1, HOUR)
    execute(database, "DROP TABLE safetyamp_calls")
    with pytest.raises(LedgerUnusable, match="safetyamp_calls"):
        bucket.claim(1, HOUR)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:///ledger.db", SqliteBucket),
        ("postgresql://host/ledger", PostgresBucket),
        ("postgresql+psycopg://host/ledger", PostgresBucket),
    ],
)
def test_the_budget_is_where_all_who_share_the_ledger_can_see_it(url: str, kind: type, tmp_path: Path) -> None:
    assert isinstance(bucket_factory(url, tmp_path / "budget.db")("key"), kind)


def test_clients_of_two_pods_share_the_budget_of_their_ledger(
    server: ScriptedServer, new_postgresql: Callable[[], str], tmp_path: Path
) -> None:
    # given two pods, each with a disk of its own
    server.script(answer({"data": []}))
    environ = {
        "SAFETYAMP_BASE_URL": server.url,
        "SAFETYAMP_FQDN": "acme.safetyamp.com",
        "SAFETYAMP_TOKEN": "token",
        "LEDGER_URL": new_postgresql(),
        "API_RATE_LIMIT_CALLS": "1",
        "API_RATE_LIMIT_PERIOD": "0.3",
    }
    pods = [
        safetyamp_client(load_settings(environ | {"SAFETYAMP_DATA_DIR": str(tmp_path / pod)}, env_file=None))
        for pod in ("one", "other")
    ]

    # when one calls right after the other
    for pod in pods:
        pod.check()
        pod.close()

    assert pods[1].http.waited > 0.1
    assert list(tmp_path.rglob("budget.db")) == []
