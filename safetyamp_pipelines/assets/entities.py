"""The two assets of a synced entity, made from its declaration: the plan, which is pure, and the push.

The planner and the push are imported by the steps that use them: whatever looks at the definitions loads this module.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from time import monotonic
from typing import Any

import dagster as dg

from safetyamp_pipelines.assets.describe import field_mapping
from safetyamp_pipelines.assets.push_config import PushConfig
from safetyamp_pipelines.assets.results import dry_run_metadata, plan_metadata, push_metadata
from safetyamp_pipelines.assets.verified import refuse_unchecked
from safetyamp_pipelines.operations.progress import ProgressReporter
from safetyamp_pipelines.resources.keys import (
    OBSERVED,
    OWNERS,
    PLAN_CHECKS,
    POOL,
    asset_key,
    plan_inputs,
    session_tag,
    snapshot_inputs,
    snapshots_of,
)
from safetyamp_pipelines.resources.ledger import LedgerResource
from safetyamp_pipelines.resources.settings import SettingsResource
from safetyamp_pipelines.resources.systems import SafetyAmp
from safetyamp_pipelines.settings.logs import log_context
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES, asset_name, references
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.planning.expected import expected_references


def observed_tables(spec: EntitySpec) -> list[str]:
    """The SafetyAmp snapshots an entity is planned and pushed against."""
    return [f"{OBSERVED}/{table}" for table in spec.observed]


def plan_asset(spec: EntitySpec) -> dg.AssetsDefinition:
    """`plan/<entity>`: what would change, from snapshots and the plans before it. Writes nothing."""

    @dg.asset(
        key=asset_key(f"plan/{spec.name}"),
        ins={**snapshot_inputs([*spec.sources, *observed_tables(spec)]), **plan_inputs(spec.after)},
        group_name="plan",
        kinds={"python"},
        owners=OWNERS,
        metadata=field_mapping(spec),
        description=f"What would change in SafetyAmp. {spec.description} Materialising it writes nothing."
        f"\n\nLook: `safetyamp plan {spec.name}`. Red? The message names the snapshot or the rule in `sync.yaml`.",
    )
    def plan(
        context: dg.AssetExecutionContext,
        sync_settings: SettingsResource,
        ledger: LedgerResource,
        push_config: PushConfig,
        **inputs: Any,
    ) -> Plan:
        from safetyamp_pipelines.operations.journal import remembered
        from safetyamp_pipelines.resources.push_log import log_plan
        from safetyamp_pipelines.sync.planning.derive import plan_entity

        started, config = monotonic(), sync_settings.get().sync_config()
        snapshots = snapshots_of(inputs)
        earlier = [(BY_NAME[name], inputs[f"plan__{name}"]) for name in spec.after]
        expected = expected_references(_observed(snapshots), earlier)
        memory = remembered(ledger.get(), spec.name)
        given = Inputs(snapshots, expected, memory, config)
        made = plan_entity(spec, given, config, push_config.keys_of(spec.name))
        looked_at = min(datetime.fromisoformat(given.as_of(source)) for source in spec.sources)
        ledger.get().log_verdicts(context.run_id, spec.name, looked_at, made.verdicts)
        with log_context(run_id=context.run_id, entity=spec.name):
            log_plan(made)
        push_config.approve_if_meant(made, ledger.get())
        context.add_output_metadata(plan_metadata(made, seconds=monotonic() - started))
        return made

    return plan


def push_asset(spec: EntitySpec, entities: Sequence[EntitySpec] = ENTITIES) -> dg.AssetsDefinition:
    """`safetyamp/<table>`: the remote table itself, as planned. Waits for every plan of the run and the push before."""
    before = entities[: entities.index(spec)]
    waits_for = [f"plan/{other.name}" for other in entities if other is not spec]
    waits_for += [asset_name(other) for other in before[-1:]]

    @dg.asset(
        key=asset_key(asset_name(spec)),
        ins={**plan_inputs([spec.name]), **snapshot_inputs(observed_tables(spec))},
        deps=[asset_key(name) for name in waits_for],
        group_name="safetyamp",
        kinds={"api"},
        owners=OWNERS,
        pool=POOL,
        output_required=False,
        metadata=field_mapping(spec),
        description=f"SafetyAmp's table after the push. {spec.description} Materialising it WRITES to SafetyAmp."
        f"\n\nRed? `safetyamp plan {spec.name}` shows what is left; nothing is sent twice, so just run it again.",
    )
    def push(
        context: dg.AssetExecutionContext,
        sync_settings: SettingsResource,
        safetyamp: SafetyAmp,
        ledger: LedgerResource,
        progress: dg.ResourceParam[ProgressReporter],
        push_config: PushConfig,
        **inputs: Any,
    ) -> Iterator[dg.Output[Snapshot]]:
        from safetyamp_pipelines.operations.push_step import push_plan

        made: Plan = inputs[f"plan__{spec.name}"]
        push_config.refuse_unasked(made)
        push_config.approve_if_meant(made, ledger.get())
        push_config.refuse_unmet(context.instance)
        refuse_unchecked(context.instance, made, PLAN_CHECKS, run_id=context.run_id, ledger=ledger.get())
        if push_config.dry_run:
            # No output, so no materialisation: the table is not as planned. The pushes after this one are skipped.
            context.log_event(dg.AssetObservation(context.asset_key, metadata=dry_run_metadata(made)))
            context.log.info("dry run: nothing was sent for %s, %s changes wait", spec.name, len(made.changes))
            return
        client, started = safetyamp.client(), monotonic()
        calls_before = client.http.calls
        snapshots = snapshots_of(inputs)
        with log_context(run_id=context.run_id, entity=spec.name):
            pushed = push_plan(
                spec,
                made,
                client=client,
                ledger=ledger.get(),
                settings=sync_settings.get(),
                references=references(_observed(snapshots)),
                observed_at=datetime.fromisoformat(_read_at(snapshots[f"{OBSERVED}/{spec.table}"])),
                run_id=context.run_id,
                progress=progress.of(spec.name, lambda: client.http.calls),
            )
        progress.pushed(spec.name, pushed.result.verdicts)
        looked_at = datetime.fromisoformat(made.as_of)
        ledger.get().log_verdicts(context.run_id, spec.name, looked_at, pushed.result.verdicts)
        (session,) = ledger.get().sessions(1, entity=spec.name, run_id=context.run_id)
        context.instance.add_run_tags(context.run_id, session_tag(spec.name, session.id))
        metadata = push_metadata(made, pushed, client.http.calls - calls_before, monotonic() - started)
        metadata = {"session": session.id, **metadata}
        context.add_output_metadata(metadata)
        pushed.heed_interrupt()
        if pushed.error is not None:
            raise dg.Failure(str(pushed.error), metadata=metadata, allow_retries=False) from pushed.error
        yield dg.Output(pushed.table_after(asset_name(spec), snapshots[f"{OBSERVED}/{spec.table}"]))

    return push


def _read_at(observed: Snapshot) -> str:
    assert observed.certificate is not None, "it was verified when it was read"
    return observed.certificate.read_at


def _observed(snapshots: dict[str, Snapshot]) -> dict[str, Sequence[Any]]:
    prefix = f"{OBSERVED}/"
    return {name.removeprefix(prefix): s.records for name, s in snapshots.items() if name.startswith(prefix)}
