"""Records the calls that clients make in the ledger, in batches: a write for each would cost what the call does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
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
"""The names of the systems in metrics and pages."""
MOST_SESSIONS = 100
MOST, LONGEST = 25, 5.0
"""Calls, and seconds, after which they are written."""


class CallRecorder:
    """What a client's `on_call` is set to. Safe for several threads.

    The ledger is opened at the first write: a client must be able to read while the ledger is away.
    """

    def __init__(self, open_ledger: Callable[[], Ledger], run_id: str, *, trace_to: str | None = None) -> None:
        self._open, self._run_id, self._trace_to = open_ledger, run_id, trace_to
        self._began = datetime.now(UTC)
        self._traced: list[CallSeen] = []
        self._ledger: Ledger | None = None
        self._seen: list[CallSeen] = []
        self._since, self._lock, self._writing = monotonic(), Lock(), Lock()

    def __call__(self, seen: CallSeen) -> None:
        """Note one call."""
        with self._lock:
            self._seen.append(seen)
            if self._trace_to is not None:
                self._traced.append(seen)
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
        """Write the rest, send the trace where one is wanted, and close the ledger."""
        self.flush()
        if self._trace_to is not None and self._ledger is not None:
            self._send_trace(self._trace_to, self._ledger)
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _send_trace(self, endpoint: str, ledger: Ledger) -> None:
        """The calls of this client as spans; SafetyAmp's, which has the pushes, sends the run and these as well."""
        try:
            tracing = import_module("safetyamp_pipelines.operations.tracing")  # needs the extra `otel`
        except ImportError as error:
            log.warning("trace_not_sent", reason=f"{error.name} is missing: install safetyamp-pipelines[otel]")
            return
        sessions = ledger.sessions(MOST_SESSIONS, run_id=self._run_id)
        spans = [*tracing.call_spans(self._run_id, self._traced, sessions)]
        if any(seen.system == "SafetyAmp" for seen in self._traced):
            spans += tracing.run_spans(self._run_id, sessions, self._began, datetime.now(UTC))
        tracing.send(endpoint, spans)

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
