"""Jira in Dagster: assets, their partitions, jobs and schedules. What they do is in the other modules of the room."""

import warnings
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG, BACKFILL_ID_TAG
from pydantic import Field

from safetyamp_pipelines.jira.asset_checks import ISSUES, PRESENCE, check_results, check_specs
from safetyamp_pipelines.jira.forward import window_of
from safetyamp_pipelines.jira.partitions import JiraSession, Outcome
from safetyamp_pipelines.jira.questions import daily_report
from safetyamp_pipelines.resources.keys import OWNERS, asset_key
from safetyamp_pipelines.resources.run_console import CONSOLE
from safetyamp_pipelines.resources.step_failures import diagnosed, failure_of
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.settings.loading import TimingSettings
from safetyamp_pipelines.sync.model.errors import SyncError
from safetyamp_pipelines.sync.rules.calendar import cron_of

FIELDS, HISTORY, DAILY = "jira/fields", "jira/history", "reports/jira_daily"
FIRST_DAY = "2026-01-01"
PARTITIONS = dg.DynamicPartitionsDefinition(name="jira_partitions")
"""`instance|PROJECT`, kept by every tick and by `jira/fields`: what is configured, or visible to the account."""
TAGS = {"safetyamp/cause": "manual", "dagster/max_retries": "0"}
JIRA_TAG = {"safetyamp/jira": "read"}

TEXTS = {
    FIELDS: "The catalogue of every instance's fields, by which a mapping is written and checked, and the projects to "
    "read. Red? An instance cannot be reached or refuses the login: `safetyamp doctor`. Its old catalogue stays.",
    ISSUES: "`jira_issues`: the issues of a project, a column for each line of the mapping. Read forward from the "
    "partition's watermark; all of it where the mapping has a new column, and in a backfill. Red? The partitions named "
    "could not be read; the others were. The next tick tries again; `safetyamp jira status` has the reasons.",
    HISTORY: "`jira_changes`: the complete changelog of every issue, and the columns with times from it. Red? See "
    "`jira/issues`.",
    PRESENCE: "Which issues still exist. Those that are gone are marked with the reason, those that became invisible "
    "are left as they are, missed ones are read. Red? A partition could not be listed: `safetyamp jira status`.",
    DAILY: "What the reads of a day found, from their records. Red? The Jira database cannot be used.",
}


class ReadConfig(dg.Config):
    """What is read of the partitions chosen; without anything what changed since the last read."""

    whole: bool = Field(default=False, description="Read every issue again.")
    since: str = Field(default="", description="Read a window instead: issues updated from this time (ISO) on …")
    until: str = Field(default="", description="… and before this time. The watermark stays where it is.")

    def options(self) -> dict[str, Any]:
        """As `read_issues` takes it. Raises Refusal."""
        if not self.since and not self.until:
            return {"whole": self.whole}
        return {"window": window_of(self.since, self.until)}


def _spec(name: str, *deps: str, group: str = "jira") -> dg.AssetSpec:
    return dg.AssetSpec(
        asset_key(name),
        deps=[asset_key(dep) for dep in deps],
        description=TEXTS[name],
        group_name=group,
        owners=OWNERS,
        kinds={"sql"},
        skippable=True,
    )


def _session(context: dg.AssetExecutionContext, settings: SettingsResource) -> JiraSession:
    return JiraSession(settings.get(), run_id=context.run_id, cause=context.run.tags.get("safetyamp/cause", "manual"))


@dg.multi_asset(specs=[_spec(FIELDS)], name="jira_fields")
@diagnosed
def jira_fields(
    context: dg.AssetExecutionContext, sync_settings: SettingsResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Each instance alone; red when one could not be read, with the others stored."""
    with _session(context, sync_settings) as session:
        found = session.refresh_fields()
        keys, errors = session.refresh_partitions()
        keep_partitions(context.instance, keys)
        metadata = {f"fields of {name}": one["fields"] for name, one in found.items() if isinstance(one, dict)}
        yield dg.MaterializeResult(asset_key=asset_key(FIELDS), metadata={**metadata, "partitions": len(keys)})
    _raise_for({**found, **errors})


def keep_partitions(instance: dg.DagsterInstance, keys: list[str]) -> list[str]:
    """Make Dagster's partitions these, and return them."""
    known = instance.get_dynamic_partitions(str(PARTITIONS.name))
    for key in set(known) - set(keys):
        instance.delete_dynamic_partition(str(PARTITIONS.name), key)
    if new := [key for key in keys if key not in known]:
        instance.add_dynamic_partitions(str(PARTITIONS.name), new)
    return keys


def reading_assets(minutes: int) -> list[dg.AssetsDefinition]:
    """Issues and history in one step, which reads the one before the other; presence in another."""

    @dg.multi_asset(
        specs=[_spec(ISSUES, FIELDS), _spec(HISTORY, ISSUES)],
        check_specs=check_specs(ISSUES),
        name="jira_issues",
        partitions_def=PARTITIONS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    @diagnosed
    def jira_issues(
        context: dg.AssetExecutionContext, config: ReadConfig, sync_settings: SettingsResource
    ) -> Iterator[dg.AssetMaterialization | dg.AssetCheckResult]:
        """Partitions side by side, each with its own materialisation; red when one could not be read."""
        chosen: dict[str, Any] = {}
        failed: dict[str, Outcome] = {}
        with _session(context, sync_settings) as session:
            chosen = config.options()
            if BACKFILL_ID_TAG in context.run.tags and "window" not in chosen:
                chosen = {"whole": True}
            for name, kind, options in ((ISSUES, "issues", chosen), (HISTORY, "history", {})):
                if asset_key(name) in context.selected_asset_keys:
                    keys = [key for key in context.partition_keys if key not in failed]
                    outcomes = session.read(kind, keys, **options)  # type: ignore[arg-type]
                    failed |= {key: found for key, found in outcomes.items() if isinstance(found, SyncError)}
                    yield from _materialised(session, name, outcomes)
            if context.selected_asset_check_keys:
                yield from check_results(ISSUES, session.book, minutes)
        _raise_for(failed)

    @dg.multi_asset(
        specs=[_spec(PRESENCE, ISSUES)],
        check_specs=check_specs(PRESENCE),
        name="jira_presence",
        partitions_def=PARTITIONS,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    @diagnosed
    def jira_presence(
        context: dg.AssetExecutionContext, sync_settings: SettingsResource
    ) -> Iterator[dg.AssetMaterialization | dg.AssetCheckResult]:
        """As above; old runs are forgotten with it."""
        outcomes: dict[str, Outcome] = {}
        with _session(context, sync_settings) as session:
            outcomes = session.read("presence", context.partition_keys)
            yield from _materialised(session, PRESENCE, outcomes)
            session.book.prune_runs()
            yield from check_results(PRESENCE, session.book, minutes)
        _raise_for(outcomes)

    return [jira_issues, jira_presence]


def _materialised(
    session: JiraSession, name: str, outcomes: Mapping[str, Outcome]
) -> Iterator[dg.AssetMaterialization]:
    """One for each partition that was read, with its figures."""
    for key, figures in outcomes.items():
        if isinstance(figures, dict):
            metadata = {word: value for word, value in figures.items() if value not in (None, {})}
            metadata |= {"columns_added": session.columns_added} if session.columns_added else {}
            if name == ISSUES:
                metadata["dagster/column_lineage"] = _lineage(session, key)
            yield dg.AssetMaterialization(asset_key(name), metadata=metadata, partition=key)


def _lineage(session: JiraSession, key: str) -> dg.TableColumnLineage:
    """Each column from the fields of this instance."""
    instance = key.partition("|")[0]
    sources = session.scope(instance).active.mapping.sources_of(instance)
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(asset_key(FIELDS), path.partition(".")[0]) for path in source.paths]
            or [dg.TableColumnDep(asset_key(HISTORY), "at")]
            for name, source in sources
        }
    )


def daily_asset(zone: str) -> dg.AssetsDefinition:
    """`reports/jira_daily`, from the runs alone."""

    @dg.multi_asset(
        specs=[_spec(DAILY, ISSUES, HISTORY, PRESENCE, group="reports")],
        name="jira_daily",
        partitions_def=dg.DailyPartitionsDefinition(FIRST_DAY, timezone=zone, end_offset=1),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    @diagnosed
    def jira_daily(
        context: dg.AssetExecutionContext, sync_settings: SettingsResource
    ) -> Iterator[dg.AssetMaterialization]:
        """Each day's figures as metadata, which the UI plots over the days."""
        with _session(context, sync_settings) as session:
            for day in context.partition_keys:
                report = daily_report(session.book, date.fromisoformat(day), zone)
                each = dg.MetadataValue.json(report.pop("partitions"))
                metadata = {name: value for name, value in report.items() if value is not None}
                yield dg.AssetMaterialization(asset_key(DAILY), metadata={**metadata, "each": each}, partition=day)

    return jira_daily


def _raise_for(outcomes: Mapping[str, Outcome]) -> None:
    failed = {key: str(found) for key, found in outcomes.items() if isinstance(found, SyncError)}
    if failed:
        lines = [text if key in text else f"{key}: {text}" for key, text in failed.items()]
        raise failure_of(SyncError("\n".join(lines)), failed=list(failed))


def jira_definitions(timing: TimingSettings) -> dg.Definitions:
    """Everything of Jira that Dagster shows."""
    minutes = timing.jira_minutes or 5
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):  # backfill_policy is marked beta
        assets = [jira_fields, *reading_assets(minutes), daily_asset(timing.timezone)]
    sync = dg.define_asset_job(
        "jira_sync",
        selection=dg.AssetSelection.assets(asset_key(ISSUES), asset_key(HISTORY)),
        description="Read what changed in Jira: issues, then their history, of the partitions chosen.",
        tags={**TAGS, **JIRA_TAG},
    )
    nightly = dg.define_asset_job(
        "jira_nightly",
        selection=dg.AssetSelection.assets(asset_key(FIELDS), asset_key(PRESENCE)),
        description="Read the catalogues of fields, and check which issues still exist.",
        tags={**TAGS, **JIRA_TAG},
    )
    report = dg.define_asset_job(
        "jira_report", selection=[asset_key(DAILY)], description="The report of a day's reads of Jira.", tags=TAGS
    )
    return dg.Definitions(
        assets=assets,
        jobs=[sync, nightly, report],
        schedules=[
            _schedule(timing, sync, cron_of(minutes), "What changed in Jira (JIRA_SYNC_MINUTES)."),
            _schedule(timing, nightly, "10 2 * * *", "Catalogue and presence, each night."),
            _report_schedule(timing, report),
        ],
    )


def _status(timing: TimingSettings) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if timing.is_jira_on else dg.DefaultScheduleStatus.STOPPED


def _schedule(timing: TimingSettings, job: Any, cron: str, about: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=timing.timezone,
        default_status=_status(timing),
        description=f"{about} A tick is skipped, and says why, while reading is paused or a read is running.",
    )
    def tick(context: dg.ScheduleEvaluationContext, sync_settings: SettingsResource) -> dg.RunRequest | dg.SkipReason:
        with JiraSession(sync_settings.get(), run_id="a tick") as session:
            if (pause := session.book.pause_state()) is not None:
                return dg.SkipReason(f"reading Jira is paused by {pause['who']}: {pause['why']}")
            if active := session.book.runs(active=True):
                first = active[-1]
                return dg.SkipReason(f"a read is running: {first['kind']} of {first['instance']}|{first['project']}")
            if going_on := context.instance.get_runs(
                dg.RunsFilter(tags=JIRA_TAG, statuses=NOT_FINISHED_STATUSES), limit=1
            ):
                return dg.SkipReason(f"the last run is still running: {going_on[0].run_id[:8]}")
            keys = session.partition_keys() or session.refresh_partitions()[0]
        if not keys:
            return dg.SkipReason("no project is configured or visible: see `safetyamp doctor`")
        keep_partitions(context.instance, keys)
        ordered = PARTITIONS.get_partition_keys(dynamic_partitions_store=context.instance)
        tags = {ASSET_PARTITION_RANGE_START_TAG: ordered[0], ASSET_PARTITION_RANGE_END_TAG: ordered[-1]}
        return dg.RunRequest(run_config=CONSOLE, tags={**tags, "safetyamp/cause": "schedule"})

    return tick


def _report_schedule(timing: TimingSettings, job: Any) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule="25 0 * * *",
        execution_timezone=timing.timezone,
        default_status=_status(timing),
        description="The report of yesterday's reads of Jira, each night.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        yesterday = context.scheduled_execution_time.date().toordinal() - 1
        tags = {"safetyamp/cause": "schedule"}
        return dg.RunRequest(partition_key=date.fromordinal(yesterday).isoformat(), run_config=CONSOLE, tags=tags)

    return tick
