"""Why something failed: cause, system and advice, set once from the error that was caught. It travels as plain data.

How a run's diagnoses become text is for `cli/causes.py` and `automation/alerting/failed_runs.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from safetyamp_pipelines.ledger import LedgerUnusable
from safetyamp_pipelines.settings.logs import redacted
from safetyamp_pipelines.settings.model import SettingsError
from safetyamp_pipelines.sync.model.errors import (
    AuthRefused,
    CallError,
    CircuitOpen,
    FatalCall,
    KeyRefused,
    NotSent,
    PlanRefused,
    PushStopped,
    ReadError,
    Refusal,
    SnapshotError,
    SyncError,
)

Kind = Literal[
    "login",
    "call",
    "settings",
    "ledger",
    "stopped",
    "push",
    "snapshot",
    "read",
    "refused",
    "failed",
    "unexpected",
    "check",
    "interrupted",
]
"""The last two come from Dagster itself: a check stopped the step, or the run was ended."""
KINDS: tuple[tuple[type[BaseException], Kind], ...] = (
    (AuthRefused, "login"),
    (CallError, "call"),
    (SettingsError, "settings"),
    (LedgerUnusable, "ledger"),
    (PushStopped, "stopped"),
    (PlanRefused, "push"),
    (SnapshotError, "snapshot"),
    (ReadError, "read"),
    (Refusal, "refused"),
    (SyncError, "failed"),
    (BaseException, "unexpected"),
)
ADDRESSES = {
    "Viewpoint": "VIEWPOINT_URL, or SQL_SERVER and SQL_DATABASE",
    "Microsoft login": "MS_GRAPH_AUTHORITY and MS_GRAPH_TENANT_ID",
    "Microsoft Graph": "MS_GRAPH_BASE_URL",
    "Samsara": "SAMSARA_BASE_URL",
    "SafetyAmp": "SAFETYAMP_BASE_URL",
}
KEYS = {
    "Viewpoint": "SQL_USERNAME and SQL_PASSWORD, and that the login may SELECT",
    "Microsoft login": "MS_GRAPH_CLIENT_ID and MS_GRAPH_CLIENT_SECRET",
    "Microsoft Graph": "that the app registration has User.Read.All with admin consent",
    "Samsara": "SAMSARA_API_KEY, and that it has Read Vehicles and Read Drivers",
    "SafetyAmp": "SAFETYAMP_TOKEN and SAFETYAMP_FQDN",
}


@dataclass(frozen=True)
class Diagnosis:
    """What failed. `error` is the class of the error, `text` its words without secrets and personal values.

    `is_refusal`: nothing may be written until a person acts.
    `was_not_made`: the call was not made because of failures before it, which say what is wrong.
    """

    kind: Kind
    error: str
    text: str
    advice: str = ""
    system: str = ""
    is_refusal: bool = False
    was_not_made: bool = False

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self, more: str = "") -> str:
        """The text, `more` about it, and what to do."""
        text = f"{self.text.rstrip('.')}{more}" if more or self.advice else self.text
        return f"{text}. {self.advice}" if self.advice else text

    @property
    def cause(self) -> str:
        """The same for all steps that failed for the same reason: a system that is down is one cause."""
        return f"call/{self.system}" if self.system else f"{self.error} {self.text}"

    def as_json(self) -> dict[str, Any]:
        """For the metadata of an event."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Diagnosis:
        """What `as_json` gave."""
        return cls(**found)


def diagnose(failure: BaseException) -> Diagnosis:
    """The diagnosis of an error as it was caught. A failed read is described by the call that failed."""
    ours = [error for error in _chain(failure) if isinstance(error, SyncError)]
    error = ours[-1] if ours else failure
    kind = next(kind for kind_of_error, kind in KINDS if isinstance(error, kind_of_error))
    return Diagnosis(
        kind=kind,
        error=type(error).__name__,
        text=str(error) if ours else redacted("error", str(error)) or "no message",
        advice=_advice(error),
        system=error.system if isinstance(error, CallError) else "",
        is_refusal=isinstance(error, Refusal),
        was_not_made=isinstance(error, CircuitOpen | KeyRefused),
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, from outside in."""
    while error is not None:
        yield error
        error = error.__cause__


def _advice(error: BaseException) -> str:
    if isinstance(error, CallError) and error.advice:
        return f"{error.advice[:1].upper()}{error.advice[1:]}"
    if isinstance(error, AuthRefused):
        return f"Check {KEYS.get(error.system, 'the key')}"
    if isinstance(error, CallError):
        is_no_api = error.status is not None and error.status < 400
        if isinstance(error, NotSent | FatalCall) or is_no_api:
            return f"Check {ADDRESSES.get(error.system, 'the address')} and the network"
        return "Run it again later; `safetyamp doctor` tests every system"
    if isinstance(error, ReadError):
        return "Run it again"
    is_named = isinstance(error, LedgerUnusable)
    return "Check LEDGER_URL, and that its folder or server can be written to" if is_named else ""
