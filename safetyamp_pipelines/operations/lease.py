"""The lease that lets one process at a time write to SafetyAmp, and the beats by which others see that a run lives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from time import monotonic

from safetyamp_pipelines.ledger import Lease, Ledger, LedgerUnusable
from safetyamp_pipelines.operations.processes import is_gone, this_process
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.sync.model.errors import SyncError

log = get_logger(__name__)

LEASE, LEASE_SECONDS, BEAT_EVERY = "push", 120.0, 20.0


@contextmanager
def leased(ledger: Ledger, run_id: str) -> Iterator[Lease]:
    """Hold the lease. Raises LeaseHeld while another holds it. A dead holder's lease is free where its process is known
    to be gone, and runs out by itself elsewhere."""
    holder = f"run {run_id} on {this_process()}"
    # Also where this run's own push before could not give it back, since the ledger was away.
    lease = ledger.acquire_lease(LEASE, holder, LEASE_SECONDS, lambda other: other == holder or is_gone(other))
    if lease.dead_holder is not None:
        log.warning("lease_taken_over", lease=LEASE, dead_holder=lease.dead_holder, by=holder)
    try:
        yield lease
    finally:
        try:
            ledger.release(lease)
        except LedgerUnusable as error:  # it runs out by itself, and must not hide what was done
            log.warning("lease_not_released", lease=LEASE, error=str(error))


def who_pushes(ledger: Ledger) -> tuple[str, datetime] | None:
    """Who holds the lease and since when; None when nobody does, or its holder is dead."""
    found = ledger.lease_holder(LEASE)
    return None if found is None or is_gone(found[0]) else found


def heartbeat(ledger: Ledger, lease: Lease) -> Callable[[], None]:
    """A function to call before every call to SafetyAmp: it prolongs the lease every twenty seconds."""
    last = monotonic()

    def beat() -> None:
        nonlocal last
        if monotonic() - last >= BEAT_EVERY:
            ledger.heartbeat(lease)
            last = monotonic()

    return beat


class Beating(threading.Thread):
    """Beats for a run in the ledger until it is stopped, whatever the run reads, plans or waits for meanwhile."""

    def __init__(self, ledger: Callable[[], Ledger], run_id: str) -> None:
        super().__init__(name="beating", daemon=True)
        self._ledger, self._run_id, self._is_over = ledger, run_id, threading.Event()

    def run(self) -> None:
        """A ledger that is away is asked again: nobody else can see the run there meanwhile. At the end none is opened
        for this alone."""
        ledger: Ledger | None = None
        while not self._is_over.is_set():
            with suppress(SyncError):
                ledger = self._ledger()
                ledger.beat(self._run_id, this_process(), LEASE_SECONDS)
            self._is_over.wait(BEAT_EVERY)
        if ledger is not None:
            with suppress(SyncError):
                ledger.end_beats(self._run_id)

    def stop(self) -> None:
        """The run is over."""
        self._is_over.set()
        self.join(BEAT_EVERY)
