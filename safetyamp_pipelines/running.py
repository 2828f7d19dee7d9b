"""Runs a job in this process and gathers what it did from its events. What is shown of it: `rendering.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterHomeNotSetError

from safetyamp_pipelines.assets.naming import asset_key
from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.jobs import plan_keys, push_keys
from safetyamp_pipelines.resources.progress import ProgressReporter
from safetyamp_pipelines.resources.settings import SettingsResource
from safetyamp_pipelines.settings_model import System
from safetyamp_pipelines.sync import errors
from safetyamp_pipelines.sync.entities import BY_NAME, ENTITIES
from safetyamp_pipelines.sync.plan import Plan

IN_STEP, FAILED, REFUSED = 0, 1, 2
SYSTEM_OF: dict[str, System] = {"viewpoint": "viewpoint", "entra": "entra", "samsara": "samsara"}


@dataclass(frozen=True)
class RunError:
    """Why one step failed. `refused` when nothing may be written until a person acts."""

    step: str
    text: str
    refused: bool


@dataclass
class Ran:
    """What one run did. `verdicts` counts source records by entity and verdict; `calls` are calls to SafetyAmp."""

    run_id: str
    seconds: float
    verdicts: dict[str, dict[str, int]] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    writes: int = 0
    calls: int = 0
    fewest_calls: int = 0
    errors: list[RunError] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 in step, 1 ran but something failed, 2 refused or nothing could be written."""
        if any(error.refused for error in self.errors) or (self.errors and not self.writes):
            return REFUSED
        not_done = {"failed", "blocked", "stale", "not_attempted"}
        failed = any(not_done & counts.keys() for counts in self.verdicts.values())
        return FAILED if self.errors or failed else IN_STEP

    def as_json(self) -> dict[str, Any]:
        """The document of `--json`: counts, errors, and each rejected or held record with its reasons; no values."""
        return {
            "run_id": self.run_id,
            "entities": self.verdicts,
            "writes": self.writes,
            "calls": self.calls,
            "fewest_calls": self.fewest_calls,
            "seconds": round(self.seconds, 1),
            "not_in_step": {name: not_in_step(plan) for name, plan in self.plans.items()},
            "errors": [{"step": error.step, "error": error.text} for error in self.errors],
            "exit_code": self.exit_code,
        }


def not_in_step(plan: Plan) -> list[dict[str, Any]]:
    """The rejected and held records of a plan, with the reasons."""
    return [
        {"key": verdict.source_key, "verdict": str(verdict.outcome), "why": list(verdict.reasons) or [verdict.rule]}
        for verdict in plan.verdicts
        if verdict.outcome in ("rejected", "held")
    ]


def systems_for(entities: Sequence[str]) -> list[System]:
    """The outside systems that these entities, and the plans before them, read or write."""
    specs = [BY_NAME[name] for name in entities]
    specs += [BY_NAME[name] for spec in specs for name in spec.after]
    return sorted({"safetyamp", *(SYSTEM_OF[source.partition("/")[0]] for spec in specs for source in spec.sources)})


def run_entities(
    entities: Sequence[str], *, push: bool, environ: Mapping[str, str] | None, progress: ProgressReporter
) -> Ran:
    """Snapshot and plan the entities, and push them if asked. Settings are taken from `environ`, or the process.

    The run is kept in the Dagster instance of DAGSTER_HOME, where the UI shows it, and nowhere without one.
    """
    chosen = [spec for spec in ENTITIES if spec.name in entities]
    if not chosen:
        raise errors.PlanRefused(f"no such entity: name some of {', '.join(BY_NAME)}")
    overrides = {
        **resources_for(SettingsResource.of(environ)),
        "progress": dg.ResourceDefinition.hardcoded_resource(progress),
    }
    job = build_defs(overrides).resolve_job_def("sync_all" if push else "plan_all")
    started = monotonic()
    with _instance() as instance:
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            asset_selection=push_keys(chosen) if push else plan_keys(chosen),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={"safetyamp/cause": "shell"},
        )
        return _gather(result, [spec.name for spec in chosen], monotonic() - started)


def _instance() -> dg.DagsterInstance:
    try:
        return dg.DagsterInstance.get()
    except DagsterHomeNotSetError:
        return dg.DagsterInstance.ephemeral()


def _gather(result: dg.ExecuteInProcessResult, entities: Sequence[str], seconds: float) -> Ran:
    ran = Ran(result.run_id, seconds, errors=[_error(event) for event in result.all_events if event.is_step_failure])
    metadata = _metadata(result)
    for key, values in metadata.items():
        ran.calls += int(values.get("calls", 0)) if key[0] in ("safetyamp", "safetyamp_observed") else 0
        ran.fewest_calls += int(values.get("fewest_calls", 0))
        ran.writes += int(values.get("writes", 0))
    for name in entities:
        plan_path, push_path = ("plan", name), ("safetyamp", BY_NAME[name].table)
        if plan_path in metadata:
            ran.plans[name] = result.asset_value(asset_key(f"plan/{name}"))
            ran.verdicts[name] = dict(metadata.get(push_path, metadata[plan_path])["verdicts"])
    return ran


def _metadata(result: dg.ExecuteInProcessResult) -> dict[tuple[str, ...], dict[str, Any]]:
    """Plain metadata by asset key; a push that stopped half way has it on its failure."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for event in result.all_events:
        if event.is_step_materialization and event.asset_key is not None:
            found[tuple(event.asset_key.path)] = _plain(event.materialization.metadata)
        elif event.is_step_failure and (data := event.step_failure_data.user_failure_data) is not None:
            found[tuple((event.step_key or "").split("__"))] = _plain(data.metadata)
    return found


def _plain(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    return {name: value.value for name, value in metadata.items() if name not in ("path",)}


def _error(event: dg.DagsterEvent) -> RunError:
    """The innermost error of ours; Dagster wraps it, and the wrapping tells an operator nothing."""
    info = event.step_failure_data.error
    chain = []
    while info is not None:
        chain.append(info)
        info = info.cause
    ours = [one for one in chain if one.cls_name and _is_ours(one.cls_name)]
    told = (ours or chain)[-1] if chain else None
    text = told.message.partition(": ")[2].strip() if told is not None else "no error was recorded"
    refused = told is not None and bool(ours) and not _is_call_error(str(told.cls_name))
    return RunError((event.step_key or "").replace("__", "/"), text, refused)


def _is_ours(name: str) -> bool:
    return any(cls.__name__ == name for cls in _family(errors.SyncError))


def _is_call_error(name: str) -> bool:
    return any(cls.__name__ == name for cls in _family(errors.CallError))


def _family(root: type[Exception]) -> list[type[Exception]]:
    return [root, *(cls for child in root.__subclasses__() for cls in _family(child))]
