"""Records the calls that clients make in the ledger, in batches: a write for each would cost what the call does."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.ledger.call_log import LoggedCall
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.sync.model.errors import SyncError

if TYPE_CHECKING:
    from safetyamp_pipelines.systems.http.client import CallSeen

log = get_logger(__name__)

SYSTEMS = {"Microsoft Graph": "entra", "SafetyAmp": "safetyamp", "Samsara": "samsara"}
"""What metrics and pages call the systems."""
MOST, LONGEST = 25, 5.0
"""Calls, and seconds, after which they are written."""


class CallRecorder:
    """What a client's `on_call` is set to. Safe for several threads.

    The ledger is opened at the first write: a client must be able to read while the ledger is away.
    """

    def __init__(self, open_ledger: Callable[[], Ledger], run_id: str) -> None:
        self._open, self._run_id = open_ledger, run_id
        self._ledger: Ledger | None = None
        self._seen: list[CallSeen] = []
        self._since, self._lock, self._writing = monotonic(), Lock(), Lock()

    def __call__(self, seen: CallSeen) -> None:
        """Note one call."""
        with self._lock:
            self._seen.append(seen)
            is_due = len(self._seen) >= MOST or monotonic() - self._since >= LONGEST
        if is_due:
            self.flush()

    def flush(self) -> None:
        """Write what was noted. A ledger that cannot take it costs the record of these calls, not the run."""
        with self._lock:
            seen, self._seen, self._since = self._seen, [], monotonic()
        if not seen:
            return
        try:
            with self._writing:
                if self._ledger is None:
                    self._ledger = self._open()
                self._ledger.log_calls([self._logged(one) for one in seen])
        except SyncError as error:
            log.warning("calls_not_recorded", calls=len(seen), reason=str(error))

    def close(self) -> None:
        """Write the rest, and close the ledger."""
        self.flush()
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _logged(self, seen: CallSeen) -> LoggedCall:
        return LoggedCall(
            run_id=self._run_id,
            at=seen.at,
            system=SYSTEMS[seen.system],
            method=seen.method,
            path=seen.endpoint,
            status=seen.status,
            seconds=seen.seconds,
            waited=seen.waited,
        )
