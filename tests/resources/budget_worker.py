"""One process of the shared-budget tests: makes calls from several threads, or dies while it holds the file."""

from __future__ import annotations

import sqlite3
import sys
import threading
from pathlib import Path

from safetyamp_pipelines.resources.http import HttpClient
from safetyamp_pipelines.resources.rate_limit import Budget, SqliteBucket


def call(url: str, path: str, calls: int, period: float, threads: int, each: int) -> None:
    client = HttpClient("Test", url, headers=dict, budget=Budget(calls, period, SqliteBucket(Path(path), "shared")))

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


if __name__ == "__main__":
    if sys.argv[1] == "hold":
        hold(sys.argv[2])
    else:
        url, path, calls, period, threads, each = sys.argv[2:]
        call(url, path, int(calls), float(period), int(threads), int(each))
