"""The two assets of every declared entity, made from its declaration: the plan, which is pure, and the push."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

import dagster as dg

from safetyamp_pipelines.assets.describe import field_mapping
from safetyamp_pipelines.assets.lanes import Lane, needed_for_plan, priority, with_parents
from safetyamp_pipelines.assets.push_config import PushConfig
from safetyamp_pipelines.assets.results import STOPPED, dry_run_metadata, plan_metadata, push_metadata
from safetyamp_pipelines.assets.verified import refuse_unchecked
from safetyamp_pipelines.ledger import Ledger, LedgerUnusable
from safetyamp_pipelines.operations.figures import figures_of
from safetyamp_pipelines.operations.interrupts import interrupts_deferred
from safetyamp_pipelines.operations.plan_step import make_plan
from safetyamp_pipelines.operations.progress import ProgressReporter
from safetyamp_pipelines.operations.push_step import Pushed, push_plan
from safetyamp_pipelines.resources.io_manager import SnapshotIOManager
from safetyamp_pipelines.resources.keys import (
    BY_ITSELF,
    CAUSE_TAG,
    OWNERS,
    PLAN_CHECKS,
    POOL,
    RESTED_TAG,
    asset_key,
    is_trial,
    plan_inputs,
    snapshot_inputs,
    tag_session,
    values_of,
)
from safetyamp_pipelines.resources.step_failures import diagnosed, failure_of
from safetyamp_pipelines.resources.systems import LedgerResource, SafetyAmp, SettingsResource
from safetyamp_pipelines.settings.logs import get_logger, log_context
from safetyamp_pipelines.sync.entities.registry import ENTITIES, asset_name, references
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.errors import Resting
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.planning.only import as_not_pushed
from safetyamp_pipelines.sync.rules.config import SyncConfig

log = get_logger(__name__)


def plan_asset(spec: EntitySpec) -> dg.AssetsDefinition:
    """`plan/<entity>`: what would change, from snapshots and the plans before it. Writes nothing."""

    @dg.asset(
        key=asset_key(f"plan/{spec.name}"),
        ins=snapshot_inputs(needed_for_plan(spec)),
        op_tags=priority(ENTITIES.index(spec), push=False),
        group_name="plan",
        kinds={"python"},
        owners=OWNERS,
        metadata=field_mapping(spec),
        description=f"What would change in SafetyAmp. {spec.description} Materialising it writes nothing."
        f"\n\nLook: `safetyamp plan {spec.name}`. Red? The message names the snapshot or the rule in `sync.yaml`.",
    )
    @diagnosed
    def plan(
        context: dg.AssetExecutionContext,
        sync_settings: SettingsResource,
        ledger: LedgerResource,
        push_config: PushConfig,
        io_manager: dg.ResourceParam[SnapshotIOManager],
        **inputs: Any,
    ) -> Plan:
        started, lane = monotonic(), Lane(context, spec, io_manager, values_of(inputs))
        plan_now = partial(
            make_plan,
            spec,
            lane,
            lane.unread,
            ledger=ledger.get(),
            config=sync_settings.get().sync_config(),
            run_id=context.run_id,
            keys=push_config.keys_of(spec.name),
            is_trial=is_trial(context.run),
        )
        made = plan_now()
        if push_config.approve_if_meant(made, ledger.get()):
            made = plan_now()
        settings = sync_settings.get()
        mapping = field_mapping(spec.with_custom(settings.sync_config().of(spec)))["field_mapping"]
        took, desk_url = monotonic() - started, settings.desk_url
        metadata = plan_metadata(made, lane.unread, seconds=took, desk_url=desk_url)
        context.add_output_metadata({**metadata, "field_mapping": mapping})
        return made

    return with_parents(plan, spec)


def push_asset(spec: EntitySpec) -> dg.AssetsDefinition:
    """`safetyamp/<table>`: the remote table itself, as planned. Follows the plans and the pushes before it, but goes on
    without them."""

    @dg.asset(
        key=asset_key(asset_name(spec)),
        ins={**plan_inputs([spec.name]), **snapshot_inputs([f"{OBSERVED}/{spec.table}"])},
        op_tags=priority(ENTITIES.index(spec), push=True),
        group_name="safetyamp",
        kinds={"api"},
        owners=OWNERS,
        pool=POOL,
        output_required=False,
        metadata=field_mapping(spec),
        description=f"SafetyAmp's table after the push. {spec.description} Materialising it WRITES to SafetyAmp."
        f"\n\nRed? `safetyamp plan {spec.name}` shows what is left; nothing is sent twice, so just run it again.",
    )
    @diagnosed
    def push(
        context: dg.AssetExecutionContext,
        sync_settings: SettingsResource,
        safetyamp: SafetyAmp,
        ledger: LedgerResource,
        progress: dg.ResourceParam[ProgressReporter],
        push_config: PushConfig,
        io_manager: dg.ResourceParam[SnapshotIOManager],
        **inputs: Any,
    ) -> Iterator[dg.Output[Snapshot]]:
        made: Plan = inputs[f"plan__{spec.name}"]
        push_config.refuse_unasked(made)
        push_config.refuse_unmet()
        refuse_unchecked(context.instance, made, PLAN_CHECKS, run_id=context.run_id)
        if push_config.dry_run:
            # No output, so no materialisation: the table is not as planned.
            context.log_event(dg.AssetObservation(context.asset_key, metadata=dry_run_metadata(made)))
            context.log.info("dry run: nothing was sent for %s, %s changes wait", spec.name, len(made.changes))
            return
        if (why := _left_to_its_own_job(context.run, spec, sync_settings.get().sync_config())) is not None:
            left = [as_not_pushed(verdict, why) for verdict in made.verdicts]
            ledger.get().log_verdicts(context.run_id, spec.name, datetime.fromisoformat(made.as_of), left)
            context.log_event(dg.AssetObservation(context.asset_key, metadata={"not_pushed": why}))
            return
        client, started = safetyamp.client(), monotonic()
        calls_before = client.http.calls
        lane = Lane(context, spec, io_manager, values_of(inputs))
        observed: Snapshot = lane(f"{OBSERVED}/{spec.table}")
        read = [table for table in spec.observed if f"{OBSERVED}/{table}" not in lane.unread]
        tables = {table: lane(f"{OBSERVED}/{table}").records for table in read}
        # An interrupt stops the push between two calls, and ends the run once what became of it is written down.
        with log_context(run_id=context.run_id, entity=spec.name), interrupts_deferred() as is_interrupted:
            try:
                pushed = push_plan(
                    spec,
                    made,
                    client=client,
                    ledger=ledger.get(),
                    settings=sync_settings.get(),
                    references=references(tables),
                    observed_at=datetime.fromisoformat(observed.read_at),
                    run_id=context.run_id,
                    progress=progress.of(spec.name, lambda: client.http.calls),
                    asked_at=_asked_at(context),
                    is_interrupted=is_interrupted,
                )
            except Resting as rest:
                _rest(context, rest)
                return
            except Exception as error:
                raise failure_of(error, writes=0, calls=client.http.calls - calls_before) from error
            progress.pushed(spec.name, pushed.result.verdicts)
            metadata = push_metadata(made, pushed, client.http.calls - calls_before, monotonic() - started)
            stopped_by, looked_at = pushed.error, datetime.fromisoformat(made.as_of)
            try:
                ledger.get().log_verdicts(context.run_id, spec.name, looked_at, pushed.result.verdicts)
            except LedgerUnusable as error:  # what was written is reported all the same
                stopped_by = stopped_by or error
            figures = _figures(context.run_id, ledger.get(), spec, pushed)
            tag_session(context.instance, context.run_id, spec.name, pushed.session, figures)
            log.info("run_so_far", figures=figures)
            context.add_output_metadata(metadata)
        if isinstance(stopped_by, Resting):
            _rest(context, stopped_by, **metadata)
            return
        if stopped_by is not None:
            done = figures_of({spec.name: pushed.result.counts()})
            raise failure_of(stopped_by, first=done, **metadata) from stopped_by
        yield dg.Output(pushed.table_after(asset_name(spec), observed))

    return push


def _figures(run_id: str, ledger: Ledger, spec: EntitySpec, pushed: Pushed) -> str:
    """What the pushes of this run have come to, this one the last of them."""
    try:
        before = ledger.sessions(run_id=run_id)
    except LedgerUnusable:  # what this push did is reported all the same
        before = []
    counts = {session.entity: session.counts or {} for session in reversed(before)}
    return figures_of({**counts, spec.name: pushed.result.counts()})


def _left_to_its_own_job(run: dg.DagsterRun, spec: EntitySpec, config: SyncConfig) -> str | None:
    """Why this run of the whole sync pushes nothing of the entity. A command names what it pushes, and a person who
    chooses assets does."""
    pushes = {asset_key(asset_name(one)) for one in ENTITIES}
    is_whole = run.job_name == "sync_all" and pushes <= (run.asset_selection or pushes)
    is_whole = is_whole and run.tags.get(CAUSE_TAG) != "shell"
    return f"{spec.name}.in_sync_all of sync.yaml is false" if is_whole and not config.of(spec).in_sync_all else None


def _asked_at(context: dg.AssetExecutionContext) -> datetime | None:
    """When a person asked for this run, in a freeze perhaps; None for a run that started by itself. One that repeats
    another was asked for, whatever the tags say that were copied from it."""
    if context.run.parent_run_id is None and context.run.tags.get(CAUSE_TAG) in BY_ITSELF:
        return None
    record = context.instance.get_run_record_by_id(context.run_id)
    return None if record is None else record.create_timestamp


def _rest(context: dg.AssetExecutionContext, why: Resting, **metadata: Any) -> None:
    """A push that people wanted to stop, or not to begin, is not a failure: no output, so nothing is materialised."""
    context.log_event(dg.AssetObservation(context.asset_key, metadata={STOPPED: str(why), **metadata}))
    context.instance.add_run_tags(context.run_id, {RESTED_TAG: str(why)})
    context.log.warning("%s: %s", context.asset_key.to_user_string(), why)


PLANS = [plan_asset(spec) for spec in ENTITIES]
PUSHES = [push_asset(spec) for spec in ENTITIES]
