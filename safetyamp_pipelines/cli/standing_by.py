"""A sync from the shell that waits for the push of another run reports which and how long. It ends runs whose process
died."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from time import monotonic

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from safetyamp_pipelines.resources.dead_runs import described, end_dead_runs, holders
from safetyamp_pipelines.resources.keys import POOL

LOOK_EVERY, NOTICE_EVERY = 2.0, 10.0


@contextmanager
def watched(
    instance: dg.DagsterInstance, run_id: str, waits: Callable[[str], None], silent: Callable[[], Collection[str]]
) -> Iterator[None]:
    """Look every two seconds whether another run holds the pool of pushes while this one wants it."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(instance, run_id, waits, silent, done), name="waiting", daemon=True)
    end_dead_runs(instance, silent)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(
    instance: dg.DagsterInstance,
    run_id: str,
    waits: Callable[[str], None],
    silent: Callable[[], Collection[str]],
    done: threading.Event,
) -> None:
    since, last_notice = None, -NOTICE_EVERY
    while not done.wait(LOOK_EVERY):
        try:
            others = holders(instance) - {run_id} if _is_pending(instance, run_id) else set()
            if others:
                end_dead_runs(instance, silent)
        except (dg.DagsterError, SQLAlchemyError):
            continue  # the run itself fails on it, and reports it
        since = None if not others else since or monotonic()
        if since is not None and monotonic() - last_notice >= NOTICE_EVERY:
            last_notice = monotonic()
            names = "; ".join(described(instance, other) for other in sorted(others))
            waits(f"for the push of {names}: {last_notice - since:.0f} s so far")


def _is_pending(instance: dg.DagsterInstance, run_id: str) -> bool:
    log = instance.event_log_storage
    return log.supports_global_concurrency_limits and run_id in log.get_concurrency_info(POOL).pending_run_ids
