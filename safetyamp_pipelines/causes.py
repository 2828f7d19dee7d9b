"""Why steps of a run failed, told once for each cause and with what to do. Seven tables of a system are one cause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError, DagsterExecutionInterruptedError

from safetyamp_pipelines.ledger import LeaseHeld, LedgerUnusable
from safetyamp_pipelines.logs import get_logger, redacted
from safetyamp_pipelines.sync.errors import (
    AuthRefused,
    CallError,
    CircuitOpen,
    FatalCall,
    KeyRefused,
    NotSent,
    PlanRefused,
    ReadError,
    Refusal,
    SyncError,
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
_SETTING = re.compile(r"\b[A-Z]{2,}(_[A-Z]+)+\b")


@dataclass(frozen=True)
class Cause:
    """One reason for which `steps` failed. `refused`: nothing may be written until a person acts."""

    text: str
    steps: tuple[str, ...]
    refused: bool
    before_writing: bool = False


def causes_of(failures: Mapping[str, BaseException]) -> list[Cause]:
    """The causes behind the exceptions of a run's steps, in the order of the steps."""
    groups: dict[str, list[tuple[str, BaseException]]] = {}
    for step, failure in failures.items():
        error = _ours(failure)
        same = error.system if isinstance(error, CallError) else f"{type(error).__name__} {error}"
        groups.setdefault(same, []).append((step, error))
    return [_cause(dict(group)) for group in groups.values()]


def cause_of_checks(step: str, red: Iterable[dg.AssetCheckEvaluation]) -> Cause:
    """The cause of a step that failed because its checks did, in figures: not everybody has the UI at hand."""
    return Cause("; ".join(map(_told_check, red)), (step,), refused=True)


def told(error: SyncError, more: str = "") -> str:
    """The error's own words, and what to do where it names no setting itself."""
    text, advice = str(error).rstrip("."), _advice(error)
    return f"{text}{more}" if _SETTING.search(text) or not advice else f"{text}{more}. {advice}"


def _cause(failed: Mapping[str, BaseException]) -> Cause:
    steps = tuple(failed)
    # Calls that were not made tell of the failures before them: those say what is wrong.
    not_made = (CircuitOpen, KeyRefused)
    told_first = [error for error in failed.values() if not isinstance(error, not_made)] or list(failed.values())
    error = told_first[0]
    more = f" (the same in {len(steps)} steps)" if len(steps) > 1 and isinstance(error, CallError) else ""
    if isinstance(error, SyncError):
        return Cause(told(error, more), steps, isinstance(error, Refusal), before_writing=_is_before_writing(error))
    if isinstance(error, DagsterAssetCheckFailedError):
        failing = ", ".join(str(error).splitlines()[1:])
        return Cause(f"a blocking check failed: {failing}. Its metadata in the run tells why", steps, refused=True)
    if isinstance(error, KeyboardInterrupt | DagsterExecutionInterruptedError):
        text = (
            f"interrupted at {', '.join(steps)}. Run it again: it looks up what was under way, and sends nothing twice"
        )
        return Cause(text, steps, refused=False)
    get_logger(__name__).debug("unexpected", steps=list(steps), exc_info=error)
    words = redacted("error", str(error)) or "no message"
    trace = "LOG_LEVEL=DEBUG shows where"
    return Cause(f"{', '.join(steps)}: unexpected {type(error).__name__}: {words} ({trace})", steps, refused=False)


def _told_check(red: dg.AssetCheckEvaluation) -> str:
    said = {name: str(value.value) for name, value in red.metadata.items()}
    name = f"the check {red.check_name} of {red.asset_key.to_user_string()} failed"
    figures = f": {said['measured']}, the limit is: {said['limit']}" if {"measured", "limit"} <= said.keys() else ""
    keys = f" (keys: {said['keys']})" if said.get("keys", "none") != "none" else ""
    return f"{name}{figures}{keys}" + (f". Look closer: `{said['look_closer']}`" if "look_closer" in said else "")


def _ours(failure: BaseException) -> BaseException:
    """The innermost error of ours: a failed read is told by the call that failed."""
    chain = list(_chain(failure))
    ours = [error for error in chain if isinstance(error, SyncError)]
    if ours:
        return ours[-1]
    return chain[-1] if isinstance(failure, dg.Failure) else failure


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _is_before_writing(error: SyncError) -> bool:
    """A push that is refused outright, in contrast to one that loses its lease or its session on the way."""
    return type(error) is PlanRefused or isinstance(error, LeaseHeld)


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
