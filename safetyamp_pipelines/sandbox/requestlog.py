"""What the sandbox's servers were asked and what they answered, in order of arrival. Nothing here decides anything."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any


@dataclasses.dataclass(frozen=True)
class RequestRecord:
    """One request to one system.

    `seq` counts arrivals from 1 over all systems; `at` is seconds since the log began (monotonic clock); `body` is the
    JSON sent, else None; `status` is what the caller was answered, None while in flight and when the connection was
    cut; `fault` is the kind of fault injected; `acted` says that the application itself handled the request (be it
    to refuse it).
    """

    seq: int
    system: str
    method: str
    path: str
    query: str
    status: int | None
    at: float
    body: Any
    fault: str | None
    acted: bool

    @property
    def is_write(self) -> bool:
        """Whether the request asks for a change (any verb but GET and HEAD)."""
        return self.method not in ("GET", "HEAD")


class RequestLog:
    """All requests to one sandbox; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[RequestRecord] = []
        self._began = time.monotonic()

    def open(self, system: str, method: str, path: str, query: str, body: Any) -> int:
        """Note an arrival and return its `seq`."""
        at = time.monotonic() - self._began
        with self._lock:
            seq = len(self._records) + 1
            self._records.append(RequestRecord(seq, system, method, path, query, None, at, body, None, acted=False))
            return seq

    def note(self, seq: int, **known: Any) -> None:
        """Add what became known of request `seq`: status, fault, acted."""
        with self._lock:
            self._records[seq - 1] = dataclasses.replace(self._records[seq - 1], **known)

    def records(self, system: str | None = None, since: int = 0) -> list[RequestRecord]:
        """The requests after `since` (a `seq`), of one system or of all."""
        with self._lock:
            found = self._records[since:]
        return [record for record in found if system in (None, record.system)]
