"""One process of the shared-budget tests: makes calls from several threads, or dies in the middle of booking one."""

from __future__ import annotations

import sqlite3
import sys
import threading
from pathlib import Path

from sqlalchemy import create_engine, text

from safetyamp_pipelines.ledger.database import ledger_address
from safetyamp_pipelines.systems.http.budget import Budget, SqliteBucket
from safetyamp_pipelines.systems.http.budget_postgres import CLAIM, PostgresBucket, bucket_factory, lock_of
from safetyamp_pipelines.systems.http.client import HttpClient


def call(url: str, ledger: str, path: str, calls: int, period: float, threads: int, each: int) -> None:
    bucket = bucket_factory(ledger, Path(path))("shared")
    client = HttpClient("Test", url, headers=dict, budget=Budget(calls, period, bucket))

    def work() -> None:
        for _ in range(each):
            client.get("/")

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    client.close()


def hold(path: str) -> None:
    """Book a call, then stop in the middle of booking the next, the file locked."""
    SqliteBucket(Path(path), "shared").claim(2, 3600.0)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO calls VALUES ('shared', 2, 0)")
    print("held", flush=True)
    sys.stdin.read()


def hold_postgresql(url: str) -> None:
    """Book a call, then stop in the middle of booking the next: the message is carried out but not committed."""
    PostgresBucket(url, "shared").claim(2, 3600.0)
    with create_engine(ledger_address(url)).connect() as connection:
        connection.execute(CLAIM, {"lock": lock_of("shared"), "budget": "shared", "calls": 2, "period": 3600.0})
        assert connection.execute(text("SELECT count(*) FROM safetyamp_calls")).scalar() == 2
        print("held", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "hold":
        hold(sys.argv[2])
    elif sys.argv[1] == "hold-postgresql":
        hold_postgresql(sys.argv[2])
    else:
        url, ledger, path, calls, period, threads, each = sys.argv[2:]
        call(url, ledger, path, int(calls), float(period), int(threads), int(each))
