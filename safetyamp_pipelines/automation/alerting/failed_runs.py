"""What a failed run is a sign of: one problem for each cause, however many steps it failed, and one for a dead run.

Only errors of our own are quoted: they hold no secret and no personal value. Of any other its kind is told.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason
from dagster_shared.error import SerializableErrorInfo

from safetyamp_pipelines.operations.advice import ADDRESSES, KEYS
from safetyamp_pipelines.operations.alerts.problems import Level, Red
from safetyamp_pipelines.resources.keys import SYNC_TAG
from safetyamp_pipelines.sync.entities.registry import pushed_as
from safetyamp_pipelines.sync.model.errors import (
    AuthRefused,
    CallError,
    FatalCall,
    NotSent,
    PlanRefused,
    PushStopped,
    ReadError,
    SnapshotError,
    SyncError,
)

_OURS = re.compile(r"(?P<module>safetyamp_pipelines[\w.]*)\.(?P<name>\w+): (?P<text>.+)", re.DOTALL)
_CALL = re.compile(r"(?P<system>[\w ]+?) [A-Z]+ ")
"""How every CallError begins: `Microsoft Graph GET /users …`."""
_BY_CHECK = "DagsterAssetCheckFailedError"
_BY_INTERRUPT = frozenset({"DagsterExecutionInterruptedError", "KeyboardInterrupt"})
"""What a step says that was asked to end: by its node, or by Dagster after the longest time a run may take."""
_DEATHS = (
    RunFailureReason.UNEXPECTED_TERMINATION,
    RunFailureReason.START_TIMEOUT,
    RunFailureReason.RUN_WORKER_RESTART,
)
_SHARED = frozenset({"SettingsError", "LedgerUnusable"})
"""Causes that are one and the same whichever step met them."""
_AT_STEP: tuple[tuple[type[SyncError], str], ...] = (
    (PushStopped, "the push stopped before its end"),
    (PlanRefused, "the push was refused"),
    (SnapshotError, "a snapshot cannot be used"),
    (ReadError, "a table could not be read whole"),
    (SyncError, "refused"),
)


@dataclass(frozen=True)
class FailedStep:
    """A step that failed, with the error that its event tells."""

    key: str
    error: SerializableErrorInfo | None


@dataclass(frozen=True)
class _Told:
    """An error in words: its class when it is one of ours, and what may be quoted of it."""

    kind: type[SyncError] | None
    name: str
    text: str

    @property
    def system(self) -> str | None:
        """The outside system whose call failed."""
        is_call = self.kind is not None and issubclass(self.kind, CallError)
        match = _CALL.match(self.text) if is_call else None
        return match["system"] if match else None


def is_sync(run: dg.DagsterRun) -> bool:
    """Whether the run was to write to SafetyAmp: by its tag, or because a push was materialised on its own."""
    return SYNC_TAG in run.tags or any(key.path[0] == "safetyamp" for key in run.asset_selection or ())


def reds_of(
    run: dg.DagsterRun, failure: JobFailureData | None, steps: Iterable[FailedStep], at: float, *, rests: bool
) -> Iterator[Red]:
    """The problems of a failed run. What a check stopped is told by the check itself, and a step that was interrupted
    by the end of its run."""
    failed = [(step, _told(step.error)) for step in steps]
    is_interrupted = any(told.name in _BY_INTERRUPT for _, told in failed)
    groups: dict[str, list[tuple[FailedStep, _Told]]] = {}
    for step, told in failed:
        if told.name != _BY_CHECK and told.name not in _BY_INTERRUPT:
            groups.setdefault(_cause(step, told), []).append((step, told))
    for cause, group in groups.items():
        yield _red(cause, {step.key: told for step, told in group}, run, at, rests=rests)
    reason = failure.failure_reason if failure is not None else None
    if not failed or is_interrupted or reason in _DEATHS:
        yield _dead(run, failure, reason, at)


def entity_of(step: str) -> str | None:
    """The entity that a step plans or pushes: `safetyamp__users` → `employees`."""
    pushed = pushed_as(step.replace("__", "/"))
    planned = step.removeprefix("plan__") if step.startswith("plan__") else None
    return pushed.name if pushed is not None else planned


def step_token(step: str) -> str:
    """What turns green when this step ends well."""
    return f"step/{step}"


def job_token(job: str) -> str:
    """What turns green when a run of this job ends well."""
    return f"job/{job}"


def _cause(step: FailedStep, told: _Told) -> str:
    if told.system is not None:
        return f"call/{told.system}"
    return f"run/{told.name}" if told.name in _SHARED else f"run/{told.name}/{step.key}"


def _red(cause: str, failed: Mapping[str, _Told], run: dg.DagsterRun, at: float, *, rests: bool) -> Red:
    step, told = next(iter(failed.items()))
    # Once the circuit is open the calls tell of the failures before them: those say what is wrong.
    told = next((one for one in failed.values() if one.name != "CircuitOpen"), told)
    return Red(
        problem=cause,
        level=_level(told, run, rests=rests),
        title=_title(step, told),
        needs=frozenset(map(step_token, failed)),
        at=at,
        detail=f"{told.text}\nIn {run.job_name}, at {', '.join(map(_shown, failed))}",
        advice=_advice(step, told),
        run_id=run.run_id,
        asset=_shown(step) if len(failed) == 1 and entity_of(step) else "",
    )


def _level(told: _Told, run: dg.DagsterRun, *, rests: bool) -> Level:
    if told.kind is not None and issubclass(told.kind, PlanRefused) and rests:
        return Level.DIGEST  # somebody wants no pushes
    is_source_sick = told.kind is not None and issubclass(told.kind, CallError | ReadError)
    return Level.CRITICAL if is_sync(run) or is_source_sick else Level.DIGEST


def _title(step: str, told: _Told) -> str:
    if told.system is not None:
        is_auth = told.kind is not None and issubclass(told.kind, AuthRefused)
        return f"{told.system} {'refuses our login' if is_auth else 'cannot be used'}"
    if told.name == "SettingsError":
        return "the settings are wrong"
    if told.name == "LedgerUnusable":
        return "the ledger cannot be used"
    if told.kind is None:
        return f"{_shown(step)}: failed unexpectedly ({told.name})"
    kind = told.kind
    return f"{_shown(step)}: {next(words for known, words in _AT_STEP if issubclass(kind, known))}"


def _advice(step: str, told: _Told) -> str:
    if told.system is not None and told.kind is not None:
        if issubclass(told.kind, AuthRefused):
            return f"check {KEYS.get(told.system, 'the key')}; `safetyamp doctor` asks every system"
        if issubclass(told.kind, NotSent | FatalCall):
            return f"check {ADDRESSES.get(told.system, 'the address')} and the network; `safetyamp doctor` asks them"
        return "`safetyamp doctor` asks every system; the next sync tries again by itself"
    if told.kind is None:
        return "the step's error on the page of the run tells where; nothing is sent twice, so run it again"
    if issubclass(told.kind, PushStopped):
        entity = entity_of(step) or ""
        return f"`safetyamp failures list` and `safetyamp plan {entity}` show what is left; then run the job again"
    return "do what the message names, then run the job again: nothing is sent twice"


def _dead(run: dg.DagsterRun, failure: JobFailureData | None, reason: RunFailureReason | None, at: float) -> Red:
    has_error = reason in (RunFailureReason.RUN_EXCEPTION, RunFailureReason.JOB_INITIALIZATION_FAILURE)
    if has_error and failure is not None:
        title, detail = f"a run of {run.job_name} could not go on", _told(failure.error).text
    else:
        title = f"a run of {run.job_name} died"
        detail = "it was killed, ran out of memory or time, or its machine is gone"
    return Red(
        problem=f"lost/{run.job_name}",
        level=Level.CRITICAL if is_sync(run) else Level.DIGEST,
        title=title,
        needs=frozenset({job_token(run.job_name)}),
        at=at,
        detail=detail,
        advice="nothing is sent twice: start the job again, or wait for the next tick. `safetyamp status` shows calls "
        "without an answer, which the next push looks up",
        run_id=run.run_id,
    )


def _told(error: SerializableErrorInfo | None) -> _Told:
    """The innermost error of ours in the chain; else what kind the innermost of all is, without its words."""
    chain = list(_chain(error))
    for one in reversed(chain):
        match = _OURS.match(one.message)
        kind = _class(match["module"], match["name"]) if match else None
        if match and kind is not None:
            return _Told(kind, match["name"], match["text"].strip())
    if chain and chain[0].cls_name == _BY_CHECK:
        return _Told(None, _BY_CHECK, "")
    name = (chain[-1].cls_name if chain else None) or "unknown error"
    return _Told(None, name, f"an error of the kind {name}")


def _chain(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    while error is not None:
        yield error
        error = error.cause


def _class(module: str, name: str) -> type[SyncError] | None:
    """The class by the name that its event tells; None for one that is no SyncError, or that is no more."""
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
    return found if isinstance(found, type) and issubclass(found, SyncError) else None


def _shown(step: str) -> str:
    return step.replace("__", "/")
