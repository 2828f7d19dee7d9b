"""Asset keys, groups, owners and the small things every asset shares. What an asset does is in the other modules."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Snapshot

OWNERS = ["team:integration"]
POOL = "safetyamp_api"
"""The pool of every push: one at a time, across runs. Reads need none, they share the budget:
steps that wait for a slot are asked again every 1 to 15 s (Dagster 1.13), which made an in-process run 9 s longer."""
PLAN_CHECKS = ("one_verdict_each", "references", "collisions", "rejected_share")
"""The blocking checks of every plan: a push refuses a plan that has not passed each of them; a warning has passed."""
ALERT_SENSOR, OWNER_SENSOR = "alerts", "owner_digests"
"""The sensors that notify people."""
SYNC_TAG = "safetyamp/sync"
"""dagster.yaml allows one queued run with this tag at a time."""
CAUSE_TAG = "safetyamp/cause"
"""Why a run started: schedule, retry, source_change or shell; manual where nothing else is given."""
BY_ITSELF = frozenset({"schedule", "retry", "source_change"})
PROCESS_TAG = "safetyamp/process"
"""Which process carries a run out, so that others see whether it is dead."""
RESTED_TAG = "safetyamp/stopped"
"""The pause or freeze that ended a run's pushes, or let none begin: such a run is green, and says nothing of health."""
SESSIONS_TAG, FIGURES_TAG = "safetyamp/sessions", "safetyamp/figures"
"""The tags of a run with the numbers of its sessions, and with what its pushes have done so far, and have not."""
OF_ONE_RUN = frozenset({RESTED_TAG, SESSIONS_TAG, FIGURES_TAG})
"""Tags about what one run did; in a run that repeats it they are empty."""
TRIAL_TAG = "safetyamp/trial"
"""A run that only plans, because a person wants to see it: its plans are kept apart, and nothing else hears of them."""


def is_trial(run: dg.DagsterRun) -> bool:
    """Whether the run's plans are only to be looked at: it plans and nothing else, or it is a dry run."""
    config: Any = run.run_config
    for name in ("resources", "push_config", "config", "dry_run"):
        config = config.get(name) if isinstance(config, Mapping) else None
    return TRIAL_TAG in run.tags or config is True


def asset_key(name: str) -> dg.AssetKey:
    """`viewpoint/employees` → the asset key of that snapshot, plan or table."""
    return dg.AssetKey(name.split("/"))


def input_name(name: str) -> str:
    """The Python name an asset's value has as an input."""
    return name.replace("/", "__")


def snapshot_inputs(tables: Iterable[str]) -> dict[str, dg.AssetIn]:
    """Inputs that load snapshots."""
    return {input_name(table): dg.AssetIn(key=asset_key(table), dagster_type=Snapshot) for table in tables}


def plan_inputs(entities: Iterable[str]) -> dict[str, dg.AssetIn]:
    """Inputs that load plans."""
    return {f"plan__{entity}": dg.AssetIn(key=asset_key(f"plan/{entity}"), dagster_type=Plan) for entity in entities}


def values_of(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """An asset's inputs by the names of the assets they come from: `viewpoint/employees`, `plan/jobs`."""
    return {name.replace("__", "/", 1): value for name, value in inputs.items()}


def tag_session(instance: dg.DagsterInstance, run_id: str, entity: str, session: int, figures: str = "") -> None:
    """Note a session in the one tag of its run that lists them: `titles 11, employees 12`; and what they came to."""
    run = instance.get_run_by_id(run_id)
    before = run.tags.get(SESSIONS_TAG) if run is not None else None
    noted = {FIGURES_TAG: figures} if figures else {}
    instance.add_run_tags(run_id, {SESSIONS_TAG: ", ".join(filter(None, [before, f"{entity} {session}"])), **noted})


def now_text() -> str:
    """This moment as snapshots note it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
