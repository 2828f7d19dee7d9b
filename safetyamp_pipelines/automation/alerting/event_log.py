"""Dagster's events as signals: what turned red, and what turned green. Which event is which; nothing is decided here.

Failed runs, which have more to report, are read in failed_runs.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from safetyamp_pipelines.automation.alerting.failed_runs import FailedStep, job_token, reds_of, step_token
from safetyamp_pipelines.automation.named_jobs import JOBS, plan_all
from safetyamp_pipelines.automation.starting.timing import is_partial, is_whole_sync
from safetyamp_pipelines.checks.judged import key_list as listed
from safetyamp_pipelines.checks.plan_checks import HEADLINE
from safetyamp_pipelines.operations.alerts.problems import Green, Level, Red, Signal
from safetyamp_pipelines.resources.keys import BY_ITSELF, CAUSE_TAG, RESTED_TAG, is_trial
from safetyamp_pipelines.resources.step_failures import diagnosis_of
from safetyamp_pipelines.sync.entities.registry import pushed_as

_UNNAMED_JOB = "__ASSET_JOB"
"""Dagster's job name for a run of assets that somebody materialised in the UI."""
_COUNTED_ELSEWHERE = "failure_share"
"""The check whose warning, that some records were refused, is reported here with the causes, and when they grow."""
_IN_PART = frozenset({"plan", "safetyamp"})
"""Groups of assets of which a run of single records, or a dry run, shows a part: its good end is not that of all."""
MOST_CAUSES = 5


@dataclass(frozen=True)
class Reader:
    """Reads events against the records of their runs.

    `described` gives the description of a check. Failures of `quiet_jobs`, and what a person's own plan comes up with,
    are seen by the person who starts them.
    While it `rests`, by a pause or a freeze, pushes that are refused and tables that grow old are what people wanted.
    """

    instance: dg.DagsterInstance
    described: Callable[[dg.AssetCheckKey], str] = lambda _: ""
    quiet_jobs: frozenset[str] = frozenset()
    rests: bool = False
    _runs: dict[str, dg.DagsterRun | None] = field(default_factory=dict)

    def signals(self, events: Iterable[dg.EventLogEntry]) -> Iterator[Signal]:
        """What these events mean, in their order."""
        for entry in events:
            yield from self._signals(entry)

    def _signals(self, entry: dg.EventLogEntry) -> Iterator[Signal]:
        event = entry.get_dagster_event()
        if event.event_type is dg.DagsterEventType.RUN_FAILURE:
            yield from self._failed(entry)
        elif self._is_own_plan(entry) and _may_be_problem(event):
            return
        elif event.event_type is dg.DagsterEventType.RUN_SUCCESS:
            yield from self._succeeded(entry)
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if not (found.passed and self._is_in_part(entry, found.asset_key)):
                yield from _checked(entry, found, self.described(found.asset_check_key))
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            if not self._is_in_part(entry, made.asset_key):
                yield from _materialised(entry, made)
        elif isinstance(event.event_specific_data, FreshnessStateChange):
            yield from _stale_assets(event.event_specific_data, rests=self.rests)

    def _run(self, entry: dg.EventLogEntry) -> dg.DagsterRun | None:
        """The run of an event, fetched once; None for events without one, and when it was deleted since."""
        if entry.run_id not in self._runs:
            self._runs[entry.run_id] = self.instance.get_run_by_id(entry.run_id) if entry.run_id else None
        return self._runs[entry.run_id]

    def _is_in_part(self, entry: dg.EventLogEntry, asset: dg.AssetKey) -> bool:
        """Whether the event's run was asked for less than everything, and the asset shows it."""
        if asset.path[0] not in _IN_PART or (run := self._run(entry)) is None:
            return False
        return is_partial(run.run_config)

    def _is_own_plan(self, entry: dg.EventLogEntry) -> bool:
        """Whether a person started the event's run only to look, without writing."""
        run = self._run(entry)
        if run is None or run.tags.get(CAUSE_TAG) in BY_ITSELF:
            return False
        return run.job_name == plan_all.name or is_trial(run)

    def _failed(self, entry: dg.EventLogEntry) -> Iterator[Signal]:
        run = self._run(entry)
        if run is None or run.job_name in self.quiet_jobs or self._is_own_plan(entry):
            return
        # Asked of the run's own log: SQLite does not keep the events of steps across runs.
        failures = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        steps = [
            FailedStep(failed.step_key, diagnosis_of(failed.get_dagster_event().step_failure_data))
            for failed in failures
            if failed.step_key is not None
        ]
        data = entry.get_dagster_event().event_specific_data
        failure = data if data is None else entry.get_dagster_event().job_failure_data
        yield from reds_of(run, failure, steps, entry.timestamp, rests=self.rests)

    def _succeeded(self, entry: dg.EventLogEntry) -> Iterator[Signal]:
        run = self._run(entry)
        # A dry run that ends well, and a run that a pause stopped, prove nothing about a push.
        if run is None or is_partial(run.run_config) or run.tags.get(RESTED_TAG):
            return
        ended = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)
        tokens = {step_token(step.step_key) for step in ended if step.step_key is not None}
        tokens.add(job_token(run.job_name))
        if is_whole_sync(run):
            tokens |= {job_token(name) for name in (*(job.name for job in JOBS), _UNNAMED_JOB)}
        yield Green(frozenset(tokens), entry.timestamp)


def _checked(entry: dg.EventLogEntry, found: dg.AssetCheckEvaluation, described: str) -> Iterator[Signal]:
    asset = found.asset_key.to_user_string()
    token = f"check/{asset}/{found.check_name}"
    if found.passed:
        ran = {step_token(entry.step_key)} if entry.step_key is not None else set()
        yield Green(frozenset({token, *ran}), entry.timestamp)
        return
    is_error = found.severity is dg.AssetCheckSeverity.ERROR
    if found.check_name == _COUNTED_ELSEWHERE and not is_error:
        return
    facts = {label: str(value.value) for label, value in found.metadata.items()}
    right, wrong, advice = _actions(found.check_name, facts, described, is_error=is_error)
    yield Red(
        problem=token,
        level=Level.CRITICAL if is_error else Level.DIGEST,
        title=_title(asset, found, facts, is_error=is_error),
        needs=frozenset({token}),
        at=entry.timestamp,
        detail="\n".join([*([found.description] if found.description else []), *_limit(found, facts)]),
        advice=advice,
        right=right,
        wrong=wrong,
        keys=facts.get("keys", "none").removeprefix("none"),
        page=asset if asset.startswith("plan/") else "queue",
        run_id=entry.run_id,
        asset=asset,
    )


def _title(asset: str, found: dg.AssetCheckEvaluation, facts: Mapping[str, str], *, is_error: bool) -> str:
    """What was measured and what follows from it."""
    if HEADLINE in facts:
        return f"{asset.removeprefix('plan/')}: {facts[HEADLINE]}; held, everything else was pushed"
    colour = "failed" if is_error else "warns"
    figure = f": {facts['measured']}" if "measured" in facts else ""
    follows = "; what depends on it was not pushed" if found.blocking and is_error else ""
    return f"{asset}: the check {found.check_name} {colour}{figure}{follows}"


def _limit(found: dg.AssetCheckEvaluation, facts: Mapping[str, str]) -> Iterator[str]:
    if HEADLINE in facts:
        yield facts["refused_by"]
    elif "limit" in facts:
        yield f"Limit: {facts['limit']}"
    if found.check_name == "schema" and "new_columns" in facts:
        yield f"New columns: {facts['new_columns']}"


def _actions(check: str, facts: Mapping[str, str], described: str, *, is_error: bool) -> tuple[str, str, str]:
    """What to do if it is right, if it is wrong, or at all: from the commands and the description of the check."""
    look = f"`{facts['look_closer']}`" if facts.get("look_closer") else ""
    if HEADLINE in facts:
        approve = " and ".join(f"`{command}`" for command in facts["overrule"].splitlines())
        right = f"approve them by {approve}, or with the job {facts['job']}."
        return right, f"correct them at the source: the next sync plans anew. {look} lists them.", ""
    mark = "Red? " if is_error else "Yellow: "
    words = described.partition(mark)[2].partition(" Yellow: " if is_error else " Red? ")[0]
    return "", "", ". ".join(part for part in (words.rstrip("."), look) if part) or f"look at the check {check}"


def _materialised(entry: dg.EventLogEntry, made: dg.AssetMaterialization) -> Iterator[Signal]:
    if entry.step_key is not None:
        yield Green(frozenset({step_token(entry.step_key)}), entry.timestamp)
    if "verdicts" not in made.metadata:
        return
    room, *rest = made.asset_key.path
    kinds = {"plan": (("rejected",), "not_in_step"), "safetyamp": (("failed",), "not_as_planned")}
    pushed = pushed_as(made.asset_key.to_user_string())
    entity = pushed.name if pushed is not None else "".join(rest)
    if room in kinds and entity:
        yield _records(entry, made, entity, *kinds[room])


def _records(
    entry: dg.EventLogEntry, made: dg.AssetMaterialization, entity: str, verdicts: tuple[str, ...], table: str
) -> Signal:
    """Records that are not in step, by cause: reported when there are more than were reported before, else ended."""
    asset = made.asset_key.to_user_string()
    counts = [made.metadata[name].value for verdict in verdicts if (name := f"verdict_{verdict}") in made.metadata]
    number = sum(count for count in counts if isinstance(count, int))
    token = f"records/{asset}"
    if not number:
        return Green(frozenset({token}), entry.timestamp)
    is_plan = verdicts == ("rejected",)
    records = f"{number} {'record' if number == 1 else 'records'}"
    return Red(
        problem=token,
        level=Level.DIGEST,
        title=f"{entity}: {records} {'rejected: cannot be synced' if is_plan else 'refused by SafetyAmp'}",
        needs=frozenset({token}),
        at=entry.timestamp,
        detail=_causes(made.metadata.get(table), verdicts),
        advice=f"correct them at the source. `safetyamp {f'plan {entity}' if is_plan else 'failures list'}` names each",
        keys=_keys(made.metadata.get(table), verdicts),
        page="queue",
        run_id=entry.run_id,
        asset=asset,
        size=number,
    )


def _causes(table: Any, verdicts: tuple[str, ...]) -> str:
    """The reasons in a table of records not in step, the most frequent first."""
    if not isinstance(table, dg.TableMetadataValue):
        return ""
    found = Counter(str(row.data["why"]) for row in table.records if row.data["verdict"] in verdicts)
    lines = [f"{number} × {why}" for why, number in found.most_common(MOST_CAUSES)]
    return "\n".join([*lines, *([f"and {len(found) - MOST_CAUSES} other causes"] if len(found) > MOST_CAUSES else [])])


def _keys(table: Any, verdicts: tuple[str, ...]) -> str:
    """The first keys in such a table."""
    if not isinstance(table, dg.TableMetadataValue):
        return ""
    return listed(row.data["key"] for row in table.records if row.data["verdict"] in verdicts)


def _may_be_problem(event: dg.DagsterEvent) -> bool:
    """Whether the event is bad news, or may be."""
    if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return not event.asset_check_evaluation_data.passed
    return event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION


def _stale_assets(change: FreshnessStateChange, *, rests: bool) -> Iterator[Signal]:
    """All assets that are too old are one problem: when syncing stops, all of them are."""
    asset = change.key.to_user_string()
    token = f"fresh/{asset}"
    if change.new_state in (FreshnessState.PASS, FreshnessState.NOT_APPLICABLE):
        yield Green(frozenset({token}), change.state_change_timestamp)
    elif change.new_state in (FreshnessState.WARN, FreshnessState.FAIL):
        is_over = change.new_state is FreshnessState.FAIL
        yield Red(
            problem="too old" if is_over else "getting old",
            level=Level.CRITICAL if is_over and not rests else Level.DIGEST,
            title="syncing stands still: assets are too old, and leavers keep their access"
            if is_over
            else "assets are getting old: the last syncs are missing",
            needs=frozenset({token}),
            at=change.state_change_timestamp,
            detail=f"the last one noticed is {asset}; the pages of the assets show since when",
            advice="Automation in the Dagster UI, sync_all_schedule: its ticks show why nothing starts; "
            "`safetyamp status` shows a pause",
            page="state",
            asset=asset,
        )
