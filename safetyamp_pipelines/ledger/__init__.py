"""The ledger: the database of what was intended, sent and answered. Import from here; the modules are its rooms."""

from safetyamp_pipelines.ledger.errors import (
    AlreadyAnswered,
    IntentOpen,
    LeaseHeld,
    LeaseLost,
    LedgerConflict,
    LedgerUnusable,
    SessionEnded,
)
from safetyamp_pipelines.ledger.ledger import Ledger
from safetyamp_pipelines.ledger.records import (
    Action,
    Change,
    ChangeStatus,
    Failure,
    FailureState,
    Intent,
    Lease,
    Link,
    Pause,
    Session,
    SessionStatus,
    TargetId,
    Unsent,
)

__all__ = [
    "Action",
    "AlreadyAnswered",
    "Change",
    "ChangeStatus",
    "Failure",
    "FailureState",
    "Intent",
    "IntentOpen",
    "Lease",
    "LeaseHeld",
    "LeaseLost",
    "Ledger",
    "LedgerConflict",
    "LedgerUnusable",
    "Link",
    "Pause",
    "Session",
    "SessionEnded",
    "SessionStatus",
    "TargetId",
    "Unsent",
]
