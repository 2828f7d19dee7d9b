"""The lease that lets one process at a time write to SafetyAmp."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from safetyamp_pipelines.ledger import Lease, Ledger
from safetyamp_pipelines.settings.logs import get_logger

log = get_logger(__name__)

LEASE, LEASE_SECONDS, BEAT_EVERY = "push", 120.0, 20.0


@contextmanager
def leased(ledger: Ledger, run_id: str) -> Iterator[Lease]:
    """Hold the lease. Raises LeaseHeld while another holds it; a dead holder's lease runs out by itself."""
    holder = f"run {run_id} on {socket.gethostname()} (process {os.getpid()})"
    lease = ledger.acquire_lease(LEASE, holder, LEASE_SECONDS)
    if lease.dead_holder is not None:
        log.warning("lease_taken_over", lease=LEASE, dead_holder=lease.dead_holder, by=holder)
    try:
        yield lease
    finally:
        ledger.release(lease)


def heartbeat(ledger: Ledger, lease: Lease) -> Callable[[], None]:
    """A function to call before every call to SafetyAmp: it prolongs the lease every twenty seconds."""
    last = monotonic()

    def beat() -> None:
        nonlocal last
        if monotonic() - last >= BEAT_EVERY:
            ledger.heartbeat(lease)
            last = monotonic()

    return beat
