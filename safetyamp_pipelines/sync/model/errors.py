"""Every error of an outside call, classified once; the loops act on the class, never on a status or a text.

SyncError
├── Refusal                  nothing may be written: exit code 2
│   ├── SettingsError        a variable or sync.yaml is wrong (raised in settings/model.py)
│   ├── SnapshotError        a snapshot is torn, uncertified or missing
│   │   └── SnapshotUnreadable  it can never be read again
│   └── PlanRefused          a guard, a check or a lock stands in the way
│       └── Resting          people want no pushes now, by a pause or a freeze: no failure
├── PushStopped              a push ended before its end, on records or reads that failed
├── NotDelivered                  people could not be notified; nothing else depends on that
└── CallError                one call to one outside system
    ├── FatalCall            stop the run: no other call can succeed
    │   ├── AuthRefused      401, 403, a login that fails
    │   │   └── KeyRefused   the key was refused before; no call was made
    │   └── CircuitOpen      the system failed repeatedly; no call was made
    ├── RetriableCall        the same call may succeed later
    │   ├── NotSent          the connection was never made: the system did not act
    │   ├── RateLimited      429: the system did not act
    │   └── AnswerLost       5xx, time-out, cut or unreadable answer: the system may have acted
    └── RecordRefused        this record only: 422 with fields, or 400, 404, 409
ReadError is the face a failed read shows: a listing that could not be read whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class SyncError(Exception):
    """Root of every error this project raises on purpose."""


class Refusal(SyncError):
    """Nothing may be written until a person changes something."""


class SnapshotError(Refusal):
    """A snapshot is torn, uncertified or missing."""


class SnapshotUnreadable(SnapshotError):
    """What is stored can never be read again: torn, foreign, or encrypted with a key that is not there any more."""


class PlanRefused(Refusal):
    """A guard, a check, a lock or a pause stands in the way of a push."""


class Resting(PlanRefused):
    """People want no pushes now: a pause, or a freeze that has begun. No failure, and nobody is alerted."""


class PushStopped(SyncError):
    """A push ended before its end: too many refused records, or SafetyAmp could not be read again."""


class NotDelivered(SyncError):
    """A mail server, a webhook or the heartbeat's service took no message. The text holds no address and no login."""


class CallError(SyncError):
    """One call to one outside system failed.

    `endpoint` is the path with ids replaced (`/api/users/{id}`): the message never carries a query,
    a header, a body or a person's value. `advice` is what to do, where the call itself knows better than its class.
    """

    def __init__(
        self,
        system: str,
        method: str,
        endpoint: str,
        *,
        status: int | None = None,
        detail: str = "",
        advice: str = "",
    ) -> None:
        self.system, self.method, self.endpoint, self.status, self.detail = system, method, endpoint, status, detail
        self.advice = advice
        super().__init__(system, method, endpoint, status, detail)

    def __str__(self) -> str:
        answer = f" answered {self.status}" if self.status is not None else ""
        reason = f": {self.detail}" if self.detail else ""
        return f"{self.system} {self.method} {self.endpoint}{answer}{reason}"


class FatalCall(CallError):
    """No other call to this system can succeed now."""


class AuthRefused(FatalCall):
    """401, 403, or a login that failed."""


class KeyRefused(AuthRefused):
    """The system refused the same key before; this call was not made."""


class CircuitOpen(FatalCall):
    """The system failed repeatedly; this call was not made."""


class RetriableCall(CallError):
    """The same call may succeed later."""


class NotSent(RetriableCall):
    """The connection was never made, so the system did not act."""


class RateLimited(RetriableCall):
    """429: the system did not act. `retry_after` in seconds when it said so."""

    retry_after: float | None = None


class AnswerLost(RetriableCall):
    """5xx, a time-out, a cut or an unreadable answer: the system may have acted."""


class RecordRefused(CallError):
    """The system refused this record: `errors` maps its field names to its texts (422), else is empty."""

    def __init__(
        self,
        system: str,
        method: str,
        endpoint: str,
        *,
        status: int,
        detail: str = "",
        errors: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(system, method, endpoint, status=status, detail=detail)
        self.errors = {field: tuple(texts) for field, texts in (errors or {}).items()}

    @property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """The texts by written field: `roles.0.id` refers to `roles`."""
        found: dict[str, tuple[str, ...]] = {}
        for key, texts in self.errors.items():
            name = key.partition(".")[0]
            found[name] = (*found.get(name, ()), *texts)
        return found


class ReadError(SyncError):
    """A listing could not be read whole; `table` names the snapshot that was not taken."""

    def __init__(self, table: str, reason: str) -> None:
        self.table, self.reason = table, reason
        super().__init__(table, reason)

    def __str__(self) -> str:
        return f"{self.table} was not read whole: {self.reason}"
