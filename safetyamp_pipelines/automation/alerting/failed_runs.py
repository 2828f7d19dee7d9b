"""The problems behind a failed run: one for each cause, however many steps failed by it, and one for a dead run.

The diagnosis is set where the error was caught (`resources/step_failures.py`); here it is put into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason

from safetyamp_pipelines.operations.alerts.problems import Level, Red
from safetyamp_pipelines.operations.diagnosis import Diagnosis, Kind
from safetyamp_pipelines.resources.keys import FIGURES_TAG, SYNC_TAG
from safetyamp_pipelines.resources.step_failures import diagnosis_of_error
from safetyamp_pipelines.sync.entities.registry import pushed_as

_DEATHS = (
    RunFailureReason.UNEXPECTED_TERMINATION,
    RunFailureReason.START_TIMEOUT,
    RunFailureReason.RUN_WORKER_RESTART,
)
_TITLES: dict[Kind, str] = {
    "login": "{system} refuses our login; {follows}",
    "call": "{system} cannot be used; {follows}",
    "settings": "the settings are wrong; what needs them was not done",
    "ledger": "the ledger cannot be used; nothing is sent without it",
    "stopped": "{entity}: the push stopped before its end; the rest waits for the next sync",
    "push": "{entity}: the push was refused; it wrote nothing",
    "snapshot": "{step}: a snapshot cannot be used; what depends on it was not pushed",
    "read": "{step}: a table could not be read whole; what depends on it stays as it is",
    "refused": "{step}: refused",
    "failed": "{step}: refused",
    "unexpected": "{step}: failed unexpectedly ({error})",
}
_AGAIN = "then `safetyamp sync`, or the job, again: nothing is sent twice"
_RETRIED = "the next sync tries again automatically"


@dataclass(frozen=True)
class FailedStep:
    """A step that failed, with its diagnosis."""

    key: str
    found: Diagnosis


def is_sync(run: dg.DagsterRun) -> bool:
    """Whether the run was to write to SafetyAmp: by its tag, or because a push was materialised on its own."""
    return SYNC_TAG in run.tags or any(key.path[0] == "safetyamp" for key in run.asset_selection or ())


def reds_of(
    run: dg.DagsterRun, failure: JobFailureData | None, steps: Iterable[FailedStep], at: float, *, rests: bool
) -> Iterator[Red]:
    """The problems of a failed run. What a check stopped is reported by the check; what was interrupted, by the end of
    its run."""
    failed = list(steps)
    is_interrupted = any(step.found.kind == "interrupted" for step in failed)
    groups: dict[str, dict[str, Diagnosis]] = {}
    for step in failed:
        if step.found.kind not in ("check", "interrupted"):
            groups.setdefault(_cause(step), {})[step.key] = step.found
    for cause, group in groups.items():
        yield _red(cause, group, run, at, rests=rests)
    reason = failure.failure_reason if failure is not None else None
    if not failed or is_interrupted or reason in _DEATHS:
        yield _dead(run, failure, reason, at)


def entity_of(step: str) -> str | None:
    """The entity that a step plans or pushes: `safetyamp__users` → `employees`."""
    pushed = pushed_as(step.replace("__", "/"))
    planned = step.removeprefix("plan__") if step.startswith("plan__") else None
    return pushed.name if pushed is not None else planned


def step_token(step: str) -> str:
    """The problems that end when this step succeeds."""
    return f"step/{step}"


def job_token(job: str) -> str:
    """The problems that end when a run of this job succeeds."""
    return f"job/{job}"


def _cause(step: FailedStep) -> str:
    found = step.found
    if found.system:
        return f"call/{found.system}"
    is_shared = found.kind in ("settings", "ledger")  # one and the same whichever step met it
    return f"run/{found.error}" if is_shared else f"run/{found.error}/{step.key}"


def _red(cause: str, failed: Mapping[str, Diagnosis], run: dg.DagsterRun, at: float, *, rests: bool) -> Red:
    step, found = next(iter(failed.items()))
    # Calls that were not made follow from the failures before them: those have the cause.
    found = next((one for one in failed.values() if not one.was_not_made), found)
    words = "" if found.kind == "unexpected" else f"{found.text}\n"  # an unexpected error may name anybody
    return Red(
        problem=cause,
        level=_level(found, run, rests=rests),
        title=_TITLES[found.kind].format(
            system=found.system,
            step=_path(step),
            entity=entity_of(step) or _path(step),
            error=found.error,
            follows="nothing is pushed" if found.system == "SafetyAmp" else "what depends on it stays as it is",
        ),
        needs=frozenset(map(step_token, failed)),
        at=at,
        detail=f"{_figures(run)}{words}In {run.job_name}, at {', '.join(map(_path, failed))}",
        advice=_advice(step, found),
        page="state",
        run_id=run.run_id,
        asset=_path(step) if len(failed) == 1 and entity_of(step) else "",
    )


def _level(found: Diagnosis, run: dg.DagsterRun, *, rests: bool) -> Level:
    if found.kind == "push" and rests:
        return Level.DIGEST  # somebody paused pushes on purpose
    return Level.CRITICAL if is_sync(run) or found.kind in ("login", "call", "read") else Level.DIGEST


def _advice(step: str, found: Diagnosis) -> str:
    match found.kind:
        case "login" | "call":
            advice = found.advice.partition("; `safetyamp doctor`")[0]  # which that of a lost answer names, too
            return f"{advice}; `safetyamp doctor` tests every system; {_RETRIED}"
        case "unexpected":
            return f"the step's error on the page of the run shows where; {_AGAIN}"
        case "stopped":
            entity = entity_of(step) or ""
            return f"`safetyamp failures list` and `safetyamp plan {entity}` show what is left; {_AGAIN}"
    return f"do what the message says; {_AGAIN}"


def _dead(run: dg.DagsterRun, failure: JobFailureData | None, reason: RunFailureReason | None, at: float) -> Red:
    has_error = reason in (RunFailureReason.RUN_EXCEPTION, RunFailureReason.JOB_INITIALIZATION_FAILURE)
    if has_error and failure is not None:
        title, detail = f"a run of {run.job_name} could not go on", diagnosis_of_error(failure.error).text
    else:
        title = f"a run of {run.job_name} died" + ("; the next sync continues where it stopped" if is_sync(run) else "")
        detail = "it was killed, ran out of memory or time, or its machine is gone"
    return Red(
        problem=f"lost/{run.job_name}",
        level=Level.CRITICAL if is_sync(run) else Level.DIGEST,
        title=title,
        needs=frozenset({job_token(run.job_name)}),
        at=at,
        detail=_figures(run) + detail,
        advice="nothing: the next tick looks up what was under way, and nothing is sent twice. Now: `safetyamp sync`, "
        f"or the job {run.job_name}",
        page="state",
        run_id=run.run_id,
    )


def _figures(run: dg.DagsterRun) -> str:
    """What the run did nevertheless, in pushes that completed."""
    figures = run.tags.get(FIGURES_TAG)
    return f"Nevertheless, {figures}\n" if figures else ""


def _path(step: str) -> str:
    return step.replace("__", "/")
