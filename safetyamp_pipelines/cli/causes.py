"""Why steps of a run failed, told once for each cause and with what to do. Seven tables of a system are one cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError, DagsterExecutionInterruptedError

from safetyamp_pipelines.ledger import LeaseHeld
from safetyamp_pipelines.operations.advice import chain, innermost, told
from safetyamp_pipelines.settings.logs import get_logger, redacted
from safetyamp_pipelines.sync.model.errors import CallError, CircuitOpen, KeyRefused, PlanRefused, Refusal, SyncError


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
        error = _telling(failure)
        same = error.system if isinstance(error, CallError) else f"{type(error).__name__} {error}"
        groups.setdefault(same, []).append((step, error))
    return [_cause(dict(group)) for group in groups.values()]


def cause_of_checks(step: str, red: Iterable[dg.AssetCheckEvaluation]) -> Cause:
    """The cause of a step that failed because its checks did, in figures: not everybody has the UI at hand."""
    return Cause("; ".join(map(_told_check, red)), (step,), refused=True)


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


def _telling(failure: BaseException) -> BaseException:
    """The innermost error of ours, for a failed read is told by the call that failed; else what Dagster wrapped."""
    wrapped = list(chain(failure))[-1] if isinstance(failure, dg.Failure) else failure
    return innermost(failure) or wrapped


def _is_before_writing(error: SyncError) -> bool:
    """A push that is refused outright, in contrast to one that loses its lease or its session on the way."""
    return type(error) is PlanRefused or isinstance(error, LeaseHeld)
