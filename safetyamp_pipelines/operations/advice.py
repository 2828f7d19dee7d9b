"""An error in its own words, and what to do about it. Which steps of a run failed for it is told by `causes.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from safetyamp_pipelines.ledger import LedgerUnusable
from safetyamp_pipelines.sync.model.errors import AuthRefused, CallError, FatalCall, NotSent, ReadError, SyncError

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
_SETTING = re.compile(r"\b[A-Z]{2,}(_[A-Z]+)+\b")


def told(error: SyncError, more: str = "") -> str:
    """The error's own words, and what to do where it names no setting itself. A failed read is told by its call."""
    error = innermost(error) or error
    text = str(error)
    advice = "" if _SETTING.search(text) else _advice(error)
    told = f"{text.rstrip('.')}{more}" if more or advice else text
    return f"{told}. {advice}" if advice else told


def innermost(failure: BaseException) -> SyncError | None:
    """The innermost error of ours; None when there is none."""
    ours = [error for error in chain(failure) if isinstance(error, SyncError)]
    return ours[-1] if ours else None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, from outside in."""
    while error is not None:
        yield error
        error = error.__cause__


def _advice(error: SyncError) -> str:
    if isinstance(error, AuthRefused):
        return f"Check {KEYS.get(error.system, 'the key')}"
    if isinstance(error, CallError):
        is_no_api = error.status is not None and error.status < 400
        if isinstance(error, NotSent | FatalCall) or is_no_api:
            return f"Check {ADDRESSES.get(error.system, 'the address')} and the network"
        return "Run it again later; `safetyamp doctor` asks every system"
    if isinstance(error, ReadError):
        return "Run it again"
    return (
        "Check LEDGER_URL, and that its folder or server can be written to" if isinstance(error, LedgerUnusable) else ""
    )
