"""Why the ledger says no. All are refusals: nothing may be written to SafetyAmp until a person or a new run acts.

Refusal
├── LedgerUnusable        the database cannot be reached, opened, migrated or written
│   └── NoLedger          there is none yet where one was named
└── PlanRefused
    ├── LeaseHeld         another push holds the lease
    ├── LeaseLost         this push held the lease and another took it over
    └── LedgerConflict    what is to be written contradicts what the ledger holds
        ├── IntentOpen    a create of this record has no answer yet: look it up before trying again
        ├── AlreadyAnswered  another process settled this change
        ├── SessionEnded  this push was declared over
        ├── IntentUnsettled  a record with a call in the air cannot be forgotten, linked or unlinked
        └── LinkTaken     another source record is linked to that SafetyAmp record
"""

from __future__ import annotations

from datetime import datetime

from safetyamp_pipelines.sync.model.errors import PlanRefused, Refusal
from safetyamp_pipelines.sync.model.tables import Id


class LedgerUnusable(Refusal):
    """The ledger's database cannot be reached, opened, migrated or written. The message holds no password."""


class NoLedger(LedgerUnusable):
    """There is no ledger yet where one was named, and the caller may not begin one."""


class LeaseHeld(PlanRefused):
    """Another push holds the lease; `holder` says which, `since` (UTC) from when."""

    def __init__(self, name: str, holder: str, since: datetime) -> None:
        self.name, self.holder, self.since = name, holder, since
        super().__init__(name, holder, since)

    def __str__(self) -> str:
        return f"{self.name} is held by {self.holder} since {self.since:%Y-%m-%d %H:%M:%S} UTC; wait for it to end"


class LeaseLost(PlanRefused):
    """The lease ran out and another push took it over: make no further call."""

    def __init__(self, name: str, holder: str) -> None:
        self.name, self.holder = name, holder
        super().__init__(name, holder)

    def __str__(self) -> str:
        return f"{self.holder} lost the lease {self.name}: it ran out or was taken over; nothing more is written"


class LedgerConflict(PlanRefused):
    """What is to be written contradicts what the ledger holds, usually because another process was first."""


class IntentOpen(LedgerConflict):
    """A create of this source record was sent and has no answer yet."""

    def __init__(self, entity: str, source_key: str) -> None:
        self.entity, self.source_key = entity, source_key
        super().__init__(entity, source_key)

    def __str__(self) -> str:
        return f"{self.entity} {self.source_key}: a create without an answer must be looked up before another is sent"


class AlreadyAnswered(LedgerConflict):
    """The change was settled before, by this or another process."""

    def __init__(self, change_id: int, status: str) -> None:
        self.change_id, self.status = change_id, status
        super().__init__(change_id, status)

    def __str__(self) -> str:
        return f"change {self.change_id} is already {self.status}"


class SessionEnded(LedgerConflict):
    """The session takes no more intents: it ended, or another push declared it abandoned."""

    def __init__(self, session_id: int, status: str) -> None:
        self.session_id, self.status = session_id, status
        super().__init__(session_id, status)

    def __str__(self) -> str:
        return f"session {self.session_id} is {self.status}: it takes no more changes"


class IntentUnsettled(LedgerConflict):
    """A call for the record has no answer yet, and only its values show whether SafetyAmp acted."""

    def __init__(self, entity: str, source_key: str, then: str = "forget") -> None:
        self.entity, self.source_key, self.then = entity, source_key, then
        super().__init__(entity, source_key, then)

    def __str__(self) -> str:
        return (
            f"{self.entity} {self.source_key}: a call has no answer yet; sync once, which settles it, then {self.then}"
        )


class LinkTaken(LedgerConflict):
    """Another source record is linked to that SafetyAmp record, and one record has one source."""

    def __init__(self, entity: str, target_id: Id, holder: str) -> None:
        self.entity, self.target_id, self.holder = entity, target_id, holder
        super().__init__(entity, target_id, holder)

    def __str__(self) -> str:
        return (
            f"SafetyAmp id {self.target_id} is {self.entity} {self.holder}: if that is wrong, `safetyamp unlink "
            f"{self.entity} {self.holder}` first"
        )
