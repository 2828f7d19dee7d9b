"""Dagster's events as signals: what turned red, and what turned green. Which event is which; nothing is decided here.

Failed runs, of which there is more to say, are read in failed_runs.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from safetyamp_pipelines.automation.alerting.failed_runs import FailedStep, job_token, reds_of, step_token
from safetyamp_pipelines.automation.named_jobs import JOBS
from safetyamp_pipelines.automation.starting.timing import is_partial, is_whole_sync
from safetyamp_pipelines.operations.alerts.problems import Green, Level, Red, Signal
from safetyamp_pipelines.resources.diagnosed import diagnosis_of
from safetyamp_pipelines.resources.keys import RESTED_TAG
from safetyamp_pipelines.sync.entities.registry import pushed_as

_UNNAMED_JOB = "__ASSET_JOB"
"""What Dagster calls the run of assets that somebody materialised by the button."""
_COMMANDS = ("look_closer", "overrule")
"""Metadata of a check that says what to do."""
_COUNTED_ELSEWHERE = "failure_share"
"""The check whose warning, that some records were refused, is told here with the causes and again when they grow."""
_IN_PART = frozenset({"plan", "safetyamp"})
"""Groups of assets of which a run of single records, or a dry run, shows a part: its good end is not that of all."""
MOST_CAUSES = 5


@dataclass(frozen=True)
class Reader:
    """Reads events against the records of their runs.

    `described` gives what a check says of itself. Failures of `quiet_jobs` are seen by the person who starts them.
    While it `rests`, by a pause or a freeze, pushes that are refused and tables that grow old are what people wanted.
    """

    instance: dg.DagsterInstance
    described: Callable[[dg.AssetCheckKey], str] = lambda _: ""
    quiet_jobs: frozenset[str] = frozenset()
    rests: bool = False
    _runs: dict[str, dg.DagsterRun | None] = field(default_factory=dict)

    def signals(self, events: Iterable[dg.EventLogEntry]) -> Iterator[Signal]:
        """What these events say, in their order."""
        for entry in events:
            yield from self._signals(entry)

    def _signals(self, entry: dg.EventLogEntry) -> Iterator[Signal]:
        event = entry.get_dagster_event()
        if event.event_type is dg.DagsterEventType.RUN_FAILURE:
            yield from self._failed(entry)
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
            yield from _aged(event.event_specific_data, rests=self.rests)

    def _run(self, entry: dg.EventLogEntry) -> dg.DagsterRun | None:
        """The run of an event, asked for once; None for events without one, and when it was deleted since."""
        if entry.run_id not in self._runs:
            self._runs[entry.run_id] = self.instance.get_run_by_id(entry.run_id) if entry.run_id else None
        return self._runs[entry.run_id]

    def _is_in_part(self, entry: dg.EventLogEntry, asset: dg.AssetKey) -> bool:
        """Whether the event's run was asked for less than everything, and the asset shows it."""
        if asset.path[0] not in _IN_PART or (run := self._run(entry)) is None:
            return False
        return is_partial(run.run_config)

    def _failed(self, entry: dg.EventLogEntry) -> Iterator[Signal]:
        run = self._run(entry)
        if run is None or run.job_name in self.quiet_jobs:
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
        # A dry run that ends well, and one that a pause stopped, say nothing about a push.
        if run is None or is_partial(run.run_config) or RESTED_TAG in run.tags:
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
    told = {label: value.value for label, value in found.metadata.items()}
    measured = "; ".join(
        f"{label}: {value}" for label, value in told.items() if label not in _COMMANDS and _is_telling(value, found)
    )
    yield Red(
        problem=token,
        level=Level.CRITICAL if is_error else Level.DIGEST,
        title=f"{asset}: the check {found.check_name} {'failed' if is_error else 'warns'}",
        needs=frozenset({token}),
        at=entry.timestamp,
        detail="\n".join(part for part in (found.description, measured) if part),
        advice=_what_to_do(
            [f"`{told[label]}`" for label in _COMMANDS if told.get(label)], described, is_error=is_error
        ),
        run_id=entry.run_id,
        asset=asset,
    )


def _is_telling(value: object, found: dg.AssetCheckEvaluation) -> bool:
    """A figure or a text that says something, and not what the result says already."""
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return is_plain and value not in ("", "none", found.description)


def _what_to_do(commands: list[str], described: str, *, is_error: bool) -> str:
    """The commands a check names, and what its description says of this colour."""
    mark = "Red? " if is_error else "Yellow: "
    words = described.partition(mark)[2].partition(" Yellow: " if is_error else " Red? ")[0]
    return ". ".join(part for part in (", ".join(commands), words) if part) or "look at the check on the asset's page"


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
    """Records that are not in step, by cause: told when they are more than were told, ended when there are none."""
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
        advice=f"`safetyamp {f'plan {entity}' if is_plan else 'failures list'}` names each; correct them at the source",
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


def _aged(change: FreshnessStateChange, *, rests: bool) -> Iterator[Signal]:
    """All assets that are too old are one problem: when syncing stands still, they all are."""
    asset = change.key.to_user_string()
    token = f"fresh/{asset}"
    if change.new_state in (FreshnessState.PASS, FreshnessState.NOT_APPLICABLE):
        yield Green(frozenset({token}), change.state_change_timestamp)
    elif change.new_state in (FreshnessState.WARN, FreshnessState.FAIL):
        is_over = change.new_state is FreshnessState.FAIL
        yield Red(
            problem="too old" if is_over else "getting old",
            level=Level.CRITICAL if is_over and not rests else Level.DIGEST,
            title="syncing stands still: assets are too old" if is_over else "assets are getting old",
            needs=frozenset({token}),
            at=change.state_change_timestamp,
            detail=f"the last to be noticed was {asset}; the pages of the assets tell since when",
            advice="look at Automation, sync_all_schedule: its ticks say why nothing starts. `safetyamp status` "
            "tells of a pause",
            asset=asset,
        )
