"""The ledger: the database of what was intended, sent and answered. Import from here; the modules are its rooms.

Its records and errors are plain Python. `Ledger` brings SQLAlchemy and Alembic, so it is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from safetyamp_pipelines.ledger.ledger_errors import (
    AlreadyAnswered,
    IntentOpen,
    IntentUnsettled,
    LeaseHeld,
    LeaseLost,
    LedgerConflict,
    LedgerUnusable,
    LinkTaken,
    SessionEnded,
)
from safetyamp_pipelines.ledger.records import (
    Approval,
    ChangeApproval,
    ChangeStatus,
    Forgotten,
    Lease,
    LoggedChange,
    LoggedRun,
    LoggedVerdict,
    Pause,
    Session,
    SessionStatus,
    Unlinked,
)

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger.ledger import Ledger  # with SQLAlchemy and Alembic

__all__ = [
    "AlreadyAnswered",
    "Approval",
    "ChangeApproval",
    "ChangeStatus",
    "Forgotten",
    "IntentOpen",
    "IntentUnsettled",
    "Lease",
    "LeaseHeld",
    "LeaseLost",
    "Ledger",
    "LedgerConflict",
    "LedgerUnusable",
    "LinkTaken",
    "LoggedChange",
    "LoggedRun",
    "LoggedVerdict",
    "Pause",
    "Session",
    "SessionEnded",
    "SessionStatus",
    "Unlinked",
]


def __getattr__(name: str) -> Any:
    """`Ledger`, imported now."""
    if name != "Ledger":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from safetyamp_pipelines.ledger.ledger import Ledger  # with SQLAlchemy and Alembic

    return Ledger
