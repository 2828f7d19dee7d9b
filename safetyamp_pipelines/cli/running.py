"""Runs a job in this process and gathers what it did from its events. What is shown of it: `rendering.py`."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from safetyamp_pipelines.assets.results import STOPPED
from safetyamp_pipelines.automation.named_jobs import plan_keys, push_keys
from safetyamp_pipelines.cli.causes import Cause, cause_of_checks, causes_of
from safetyamp_pipelines.cli.standing_by import watched
from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.operations.decisions import ways_out
from safetyamp_pipelines.operations.display import source_names
from safetyamp_pipelines.operations.figures import figures_of
from safetyamp_pipelines.operations.opening import open_ledger
from safetyamp_pipelines.operations.progress import ProgressReporter
from safetyamp_pipelines.resources.dagster_storage import instance_of_home, storage_refusal
from safetyamp_pipelines.resources.dead_runs import process_tag
from safetyamp_pipelines.resources.keys import asset_key
from safetyamp_pipelines.resources.step_failures import diagnosis_of
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES, asset_name
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import NOT_DONE, OUTCOME_OF, Outcome, Plan, Verdict, counts_of

IN_STEP, FAILED, REFUSED = 0, 1, 2
NOT_IN_STEP = (Outcome.REJECTED, Outcome.HELD, *NOT_DONE)


@dataclass
class Ran:
    """What one run did.

    `verdicts` counts source records by entity and verdict; `not_in_step` lists those that SafetyAmp does not show as
    it should, with the reasons, and `noted` what the push found out about others; `names` are what the source calls the
    records that were planned and not pushed, by key; `calls` are calls to SafetyAmp. `wrote_nothing` is said only when
    it is certain.
    """

    run_id: str
    seconds: float
    verdicts: dict[str, dict[str, int]] = field(default_factory=dict)
    not_in_step: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    noted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    writes: int = 0
    calls: int = 0
    fewest_calls: int = 0
    causes: list[Cause] = field(default_factory=list)
    wrote_nothing: bool = True

    @property
    def is_guarded(self) -> bool:
        """Whether a guard holds changes of one of the plans, so that people have to review it."""
        return any(plan.refused for plan in self.plans.values())

    @property
    def exit_code(self) -> int:
        """0 in step, 1 something failed and the rest was written, 2 something failed and nothing was written."""
        if self.causes and self.wrote_nothing:
            return REFUSED
        failed = any(name in counts for counts in self.verdicts.values() for name in NOT_DONE)
        return FAILED if self.causes or failed else IN_STEP

    def as_json(self) -> dict[str, Any]:
        """The document of `--json`: counts, errors, and each record not in step with its reasons; no values."""
        return {
            "run_id": self.run_id,
            "entities": self.verdicts,
            "figures": figures_of(self.verdicts),
            "writes": self.writes,
            "calls": self.calls,
            "fewest_calls": self.fewest_calls,
            "seconds": round(self.seconds, 1),
            "not_in_step": self.not_in_step,
            "noted": {name: lines for name, lines in self.noted.items() if lines},
            "errors": [{"error": cause.text, "steps": list(cause.steps)} for cause in self.causes],
            "exit_code": self.exit_code,
        }


def run_entities(
    entities: Sequence[str],
    *,
    push: bool,
    environ: Mapping[str, str] | None,
    progress: ProgressReporter,
    keys: Sequence[str] = (),
) -> Ran:
    """Snapshot and plan the entities, and push them if asked. Settings are taken from `environ`, or the process.

    With `keys` there is one entity, and only these source keys of it are pushed.

    The run is kept in the Dagster instance of DAGSTER_HOME, where the UI shows it, and nowhere without one.
    """
    chosen = [spec for spec in ENTITIES if spec.name in entities]
    if not chosen:
        raise PlanRefused(f"no such entity: name some of {', '.join(BY_NAME)}")
    listening = _Listening(progress)
    settings = SettingsResource.of(environ)
    overrides = {
        **resources_for(settings),
        "progress": dg.ResourceDefinition.hardcoded_resource(listening),
    }
    # A selection that is the whole job would have Dagster build it, and describe it, a second time.
    selected = None if chosen == list(ENTITIES) else (push_keys if push else plan_keys)(chosen)
    job = build_defs(overrides).resolve_job_def("sync_all" if push else "plan_all")
    started = monotonic()
    with instance_of_home() as instance:
        run_id = str(uuid.uuid4())
        try:
            with watched(instance, run_id, listening.waits, partial(_silent_runs, settings)):
                result = job.execute_in_process(
                    run_id=run_id,
                    instance=instance,
                    raise_on_error=False,
                    asset_selection=selected,
                    run_config=_run_config([f"{chosen[0].name}/{key}" for key in keys]),
                    tags={"safetyamp/cause": "shell", **process_tag()},
                )
        except (dg.DagsterError, SQLAlchemyError) as error:
            return _cut_off(instance, Ran(run_id, monotonic() - started), listening, error)
        ran = Ran(result.run_id, monotonic() - started)
        _gather(ran, result, [spec.name for spec in chosen], listening.verdicts, push=push)
        _explain(ran, result, listening)
    return ran


def _silent_runs(settings: SettingsResource) -> frozenset[str]:
    with closing(open_ledger(settings.get())) as ledger:
        return ledger.silent_runs()


def _cut_off(instance: dg.DagsterInstance, ran: Ran, listening: _Listening, error: Exception) -> Ran:
    """What is known of a run whose storage failed it, from memory alone."""
    for name, verdicts in listening.verdicts.items():
        ran.verdicts[name] = counts_of(verdicts)
        ran.not_in_step[name] = [_line(verdict) for verdict in verdicts if verdict.outcome in NOT_IN_STEP]
        ran.writes += sum(verdict.outcome in OUTCOME_OF.values() for verdict in verdicts)
    ran.causes = [Cause(storage_refusal(error), (), refused=True)]
    ran.wrote_nothing = not ran.writes and listening.begun <= listening.verdicts.keys()
    with suppress(dg.DagsterError, SQLAlchemyError):  # else the next sync finds that its process is gone
        if (run := instance.get_run_by_id(ran.run_id)) is not None and not run.is_finished:
            instance.report_run_failed(run)
    return ran


def _run_config(only_keys: list[str]) -> dict[str, Any]:
    config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if only_keys:
        config["resources"] = {"push_config": {"config": {"only_keys": only_keys}}}
    return config


@dataclass
class _Listening:
    """Passes a run's progress on, and keeps the verdicts of every push: metadata holds but the first hundred."""

    reporter: ProgressReporter
    verdicts: dict[str, Sequence[Verdict]] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)

    def read(self, table: str, rows: int, calls: int) -> None:
        self.reporter.read(table, rows, calls)

    def waits(self, text: str) -> None:
        self.reporter.waits(text)

    def of(self, entity: str, calls: Callable[[], int]) -> Callable[[int, int], None]:
        self.begun.add(entity)
        return self.reporter.of(entity, calls)

    def pushed(self, entity: str, verdicts: Sequence[Verdict]) -> None:
        self.verdicts[entity] = verdicts
        self.reporter.pushed(entity, verdicts)


def _gather(
    ran: Ran,
    result: dg.ExecuteInProcessResult,
    entities: Sequence[str],
    pushed: Mapping[str, Sequence[Verdict]],
    *,
    push: bool,
) -> None:
    metadata = _metadata(result)
    made = {event.asset_key for event in result.get_asset_materialization_events()}
    for key, values in metadata.items():
        ran.calls += int(values.get("calls", 0)) if key[0] in ("safetyamp", "safetyamp_observed") else 0
        ran.fewest_calls += int(values.get("fewest_calls", 0))
        ran.writes += int(values.get("writes", 0))
    for name in entities:
        figures = metadata.get(tuple(asset_name(BY_NAME[name]).split("/")), {})
        if name in pushed and "writes" not in figures:  # it was interrupted, or its table could not be stored
            ran.writes += sum(verdict.outcome in OUTCOME_OF.values() for verdict in pushed[name])
        if asset_key(f"plan/{name}") not in made:  # it failed, and its metadata shows why
            continue
        plan = ran.plans[name] = result.asset_value(asset_key(f"plan/{name}"))
        if not push:
            spec = BY_NAME[name]
            ran.names[name] = source_names(spec, result.asset_value(asset_key(spec.key.table)).records)
        verdicts = pushed.get(name, plan.verdicts)
        counts = counts_of(verdicts)
        ran.verdicts[name] = _not_attempted(counts) if push and name not in pushed else counts
        ran.not_in_step[name] = [_line(verdict, plan) for verdict in verdicts if verdict.outcome in NOT_IN_STEP]
        ran.noted[name] = _noted(plan, verdicts)


def _not_attempted(planned: Mapping[str, int]) -> dict[str, int]:
    """The counts of a plan that was to be pushed and was not."""
    counts: Counter[str] = Counter()
    for name, number in planned.items():
        counts[Outcome.NOT_ATTEMPTED if name in OUTCOME_OF.values() else name] += number
    return {str(name): counts[name] for name in sorted(counts)}


def _line(verdict: Verdict, plan: Plan | None = None) -> dict[str, Any]:
    why = list(verdict.reasons) or [verdict.rule]
    line = {"key": verdict.source_key, "verdict": str(verdict.outcome), "why": why}
    return (
        {**line, "ways": ways_out(plan, verdict.source_key)}
        if plan is not None and verdict.outcome is Outcome.HELD
        else line
    )


def _noted(plan: Plan, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """What the push found out about records it did carry out, such as a field that SafetyAmp did not take."""
    known = {verdict.source_key: set(verdict.notes) for verdict in plan.verdicts}
    new = [
        (verdict.source_key, [note for note in verdict.notes if note not in known[verdict.source_key]])
        for verdict in verdicts
    ]
    return [{"key": key, "notes": notes} for key, notes in new if notes]


def _metadata(result: dg.ExecuteInProcessResult) -> dict[tuple[str, ...], dict[str, Any]]:
    """Plain metadata by asset key; a push that stopped half way has it on its failure, or on its observation."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for event in result.all_events:
        if event.is_step_materialization and event.asset_key is not None:
            found[tuple(event.asset_key.path)] = _plain(event.materialization.metadata)
        elif event.event_type is dg.DagsterEventType.ASSET_OBSERVATION and event.asset_key is not None:
            found[tuple(event.asset_key.path)] = _plain(event.asset_observation_data.asset_observation.metadata)
        elif event.is_step_failure and (data := event.step_failure_data.user_failure_data) is not None:
            found[tuple(_step_name(event.step_key).split("/"))] = _plain(data.metadata)
    return found


def _plain(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    return {name: value.value for name, value in metadata.items() if name not in ("path",)}


def _explain(ran: Ran, result: dg.ExecuteInProcessResult, listening: _Listening) -> None:
    """The causes of the failures, and whether SafetyAmp was certainly left as it was."""
    failures = {
        _step_name(event.step_key): diagnosis_of(event.step_failure_data)
        for event in result.all_events
        if event.is_step_failure
    }
    guarded = [plan for plan in ran.plans.values() if plan.refused]
    refused = [Cause(str(plan.refusal()), (f"plan/{plan.entity}_guards",), refused=True) for plan in guarded]
    red = {
        step: cause_of_checks(step, found)
        for step, found in _red_checks(result).items()
        if step in failures and failures[step].kind == "check"
    }
    others = {step: found for step, found in failures.items() if step not in red}
    ran.causes = [*refused, *_pause_causes(result), *red.values(), *causes_of(others)]
    if not result.success and not ran.causes:
        ran.causes = [Cause("the run failed outside its steps; its events in the Dagster UI show why", (), True)]
    counted = {"/".join(key) for key, values in _metadata(result).items() if "writes" in values or STOPPED in values}
    in_doubt = [
        name for name in listening.begun - listening.verdicts.keys() if asset_name(BY_NAME[name]) not in counted
    ]
    ran.wrote_nothing = not ran.writes and not in_doubt


def _pause_causes(result: dg.ExecuteInProcessResult) -> list[Cause]:
    """Why people stopped pushes or kept them from starting: one cause each, with the pushes that it concerns."""
    steps: dict[str, list[str]] = {}
    for key, values in _metadata(result).items():
        if STOPPED in values:
            steps.setdefault(str(values[STOPPED]), []).append("/".join(key))
    return [Cause(why, tuple(names), refused=True) for why, names in steps.items()]


def _red_checks(result: dg.ExecuteInProcessResult) -> dict[str, list[dg.AssetCheckEvaluation]]:
    """By step, its checks that failed with severity ERROR."""
    red: dict[str, list[dg.AssetCheckEvaluation]] = {}
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if not found.passed and found.severity is dg.AssetCheckSeverity.ERROR:
                red.setdefault(_step_name(event.step_key), []).append(found)
    return red


def _step_name(key: str | None) -> str:
    return (key or "").replace("__", "/")
