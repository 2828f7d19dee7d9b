"""What operators decide in the Dagster UI: pause, resume, retry failures, approve, undo. The shell does the same.

Each is a job of one step with a form in the launchpad, which opens with every field; the work is in `operations/`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from safetyamp_pipelines.assets.push_config import LOGIN
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations import decisions
from safetyamp_pipelines.operations.decisions import decide
from safetyamp_pipelines.operations.local_time import moment_of
from safetyamp_pipelines.operations.plan_step import Stored, load_stored
from safetyamp_pipelines.operations.progress import ProgressReporter
from safetyamp_pipelines.operations.undo_step import Undoing, render_undo, undo_document
from safetyamp_pipelines.resources.keys import CAUSE_TAG, POOL, SYNC_TAG, tag_session
from safetyamp_pipelines.resources.step_failures import diagnosed
from safetyamp_pipelines.resources.systems import LedgerResource, SafetyAmp, SettingsResource
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.registry import entity_named
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

SOMEBODY = "an operator in the Dagster UI"
TAGS = {CAUSE_TAG: "manual", "dagster/max_retries": "0"}
MOST_KEYS = 100
"""Keys listed in the metadata of one run."""


class DecisionConfig(dg.Config):
    """What is recorded of every decision."""

    reason: str = Field(description="Why; it is kept for ever.")
    by: str = Field(description="Your name; it is kept for ever.")


class PauseConfig(dg.Config):
    """Why syncing is paused, and by whom."""

    reason: str = Field(description="Why; shown wherever the pause is shown.")
    by: str = Field(default=SOMEBODY, description="Your name.")


class ResumeConfig(dg.Config):
    """Who ends the pause."""

    by: str = Field(default=SOMEBODY, description="Your name.")


class RetryConfig(dg.Config):
    """Which failures are tried again: one record, all of an entity, or all there are."""

    entity: str = Field(default="", description="departments, jobs, titles, employees or vehicles; empty: all of them.")
    key: str = Field(default="", description="The source key, such as an employee number; empty: all of the entity.")


class ApproveConfig(DecisionConfig):
    """Which changes that a guard holds may be pushed after all."""

    plan: str = Field(description="The hash of the changes, at least 8 characters of it; the check `guards` shows it.")
    hours: int = Field(default=24, ge=1, le=168, description="How long the approval is valid.")


class RefuseConfig(DecisionConfig):
    """Which changes that a guard holds stay unpushed."""

    changes: str = Field(
        description="The hash of the changes, at least 8 characters of it; the check `guards` shows it."
    )
    keys: list[str] = Field(default=[], description="Only these source keys; empty: all of them.")
    until: str = Field(default="", description="Ask again then, such as 2026-12-01; empty: not until they change.")


class DecideConfig(DecisionConfig):
    """What becomes of one record that waits for a person."""

    entity: str = Field(description="departments, jobs, titles, employees or vehicles.")
    key: str = Field(description="The source key, such as an employee number.")
    choice: str = Field(
        description="source, keep, link or leave; for a held change approve, refuse or later; or undo, which takes "
        "the last decision back. `safetyamp explain` and the desk show both sides."
    )
    safetyamp_id: str = Field(default="", description="With link: the id of the record in SafetyAmp.")
    until: str = Field(default="", description="With later: when to ask again, such as 2026-12-01.")


class LinkConfig(DecisionConfig):
    """Which SafetyAmp record a source record is."""

    entity: str = Field(description="departments, jobs, titles, employees or vehicles.")
    key: str = Field(description="The source key, such as an employee number.")
    safetyamp_id: str = Field(description="The id of the record in SafetyAmp.")


class UndoConfig(dg.Config):
    """Which push is undone, why, and by whom."""

    session: int = Field(description="The number of the session; the metadata of a push and `history` show it.")
    reason: str = Field(description="Why; shown with the pause that it begins.")
    by: str = Field(default=SOMEBODY, description="Your name.")
    dry_run: bool = Field(default=False, description="Write nothing; show what would be set back.")


@dg.op(description="Stop pushes between two calls, and let none start. Plans are still made.")
@diagnosed
def pause(context: dg.OpExecutionContext, config: PauseConfig, ledger: LedgerResource) -> None:
    """A pause in force stays as it is."""
    _require_words(reason=config.reason, by=config.by)
    before, lasting = ledger.get().pause_state(), ledger.get().pause(config.by, config.reason)
    _report(context, paused_by=lasting.who, since=f"{lasting.at:%Y-%m-%d %H:%M} UTC", reason=lasting.reason)
    _report(context, was_paused_before=before is not None)


@dg.op(description="End the pause.")
@diagnosed
def resume(context: dg.OpExecutionContext, config: ResumeConfig, ledger: LedgerResource) -> None:
    """Without a pause nothing happens."""
    ended = ledger.get().resume(config.by)
    _report(context, ended="there was no pause" if ended is None else f"the pause of {ended.who}: {ended.reason}")


@dg.op(description="Have the next sync try refused records again although nothing has changed.")
@diagnosed
def retry(context: dg.OpExecutionContext, config: RetryConfig, ledger: LedgerResource) -> None:
    """The sensor for retries starts that sync soon, unless it is switched off."""
    if config.key and not config.entity:
        raise Refusal("a key needs its entity, such as employees")
    marked = decide(ledger.get(), config.entity or None, config.key or None, "retry", datetime.now(UTC))
    _report(context, marked=len(marked), records=", ".join(marked[:MOST_KEYS]) or "no open failure")


@dg.op(description="Allow the push of exactly the changes that a guard holds.")
@diagnosed
def approve(
    context: dg.OpExecutionContext, config: ApproveConfig, sync_settings: SettingsResource, ledger: LedgerResource
) -> None:
    """A change that differs by then needs an approval of its own."""
    given = decisions.approve(
        snapshot_store(sync_settings.get()),
        ledger.get(),
        config.plan,
        _decider(config),
        lasts=timedelta(hours=config.hours),
    )
    refused_by = "\n".join(f"{one['guard']}: {one['figures']}" for one in given["refused"])
    _report(context, approved_by=given["who"], reason=given["reason"], until=str(given["expires_at"]))
    _report(context, entity=given["entity"], plan_hash=given["plan_hash"], refused_by=refused_by)
    if given["second_person"]:
        _report(context, second_person=given["second_person"])


@dg.op(description="Do not push changes that a guard holds, until they change or until a time.")
@diagnosed
def refuse(
    context: dg.OpExecutionContext, config: RefuseConfig, sync_settings: SettingsResource, ledger: LedgerResource
) -> None:
    """Nobody is asked about them meanwhile."""
    settings, by = sync_settings.get(), _decider(config)
    until = moment_of(config.until, settings.sync_config().schedule.timezone) if config.until else None
    store = snapshot_store(settings)
    found = decisions.set_aside(store, ledger.get(), config.changes, by, until=until, keys=config.keys)
    keys = ", ".join(found["keys"][:MOST_KEYS])
    _report(context, choice=found["choice"], entity=found["entity"], keys=keys, until=found["until"] or "they change")


@dg.op(
    name="decide", description="Decide which side's values of a record count, or which record it is; or take that back."
)
@diagnosed
def decide_about(
    context: dg.OpExecutionContext, config: DecideConfig, sync_settings: SettingsResource, ledger: LedgerResource
) -> None:
    """The next plan follows the decision."""
    settings, by = sync_settings.get(), _decider(config)
    if config.choice == "undo":
        entity = entity_named(config.entity).name
        _decided(context, decisions.undo_decision(ledger.get(), entity, config.key, by.who))
        return
    stored = _stored(config.entity, settings, ledger.get())
    until = moment_of(config.until, stored.config.schedule.timezone) if config.until else None
    to = config.safetyamp_id
    made = decisions.decide_record(stored, ledger.get(), config.key, config.choice, by, target_id=to, until=until)
    _decided(context, made)


@dg.op(description="Link a source record to a SafetyAmp record.")
@diagnosed
def link(
    context: dg.OpExecutionContext, config: LinkConfig, sync_settings: SettingsResource, ledger: LedgerResource
) -> None:
    """The next plan matches it by that link."""
    by, stored = _decider(config), _stored(config.entity, sync_settings.get(), ledger.get())
    _decided(context, decisions.link_record(stored, ledger.get(), config.key, config.safetyamp_id, by))


@dg.op(pool=POOL, description="Revert what one push wrote, where nobody has changed it since. It WRITES to SafetyAmp.")
@diagnosed
def undo(
    context: dg.OpExecutionContext,
    config: UndoConfig,
    sync_settings: SettingsResource,
    safetyamp: SafetyAmp,
    ledger: LedgerResource,
    progress: dg.ResourceParam[ProgressReporter],
) -> None:
    """Syncing is paused first and stays paused: the next sync would write the sources' values again."""
    _require_words(reason=config.reason, by=config.by)
    settings = sync_settings.get()
    store = snapshot_store(settings)
    undoing = Undoing(safetyamp.client(), ledger.get(), settings, store, progress, context.run_id)
    undone = None if config.dry_run else undoing.undo(config.session, config.by, config.reason)
    planned = undoing.plan(config.session) if undone is None else undone.planned
    document = undo_document(planned, undone)
    if document["session"] is not None:
        tag_session(context.instance, context.run_id, document["entity"], document["session"])
    undone_text = "\n".join(render_undo(document))
    _report(context, undoes=config.session, entity=document["entity"], writes=document["writes"], summary=undone_text)
    if document["exit_code"]:
        raise dg.Failure(undone_text, allow_retries=False)


def _job(
    name: str, step: dg.OpDefinition, description: str, *blank: str, tags: Mapping[str, str] = TAGS, **filled: Any
) -> dg.JobDefinition:
    """The job of that one step. The launchpad opens with a form of the fields that are `blank`, and the `filled`."""
    form = {**dict.fromkeys(blank, ""), **filled}
    graph = dg.GraphDefinition(name, node_defs=[step])
    return graph.to_job(config={"ops": {step.name: {"config": form}}}, tags=tags, description=description)


OPERATOR_JOBS = [
    _job(
        "pause_syncing",
        pause,
        "Pause syncing: a running push stops between two calls, and none starts.",
        *("reason", "by"),
    ),
    _job("resume_syncing", resume, "End the pause: the next tick of the schedule syncs again.", by=SOMEBODY),
    _job(
        "retry_failures", retry, "Retry records that SafetyAmp refused, once you have corrected them.", "entity", "key"
    ),
    _job(
        "approve_plan",
        approve,
        "Approve changes that a guard holds, after you have looked at them.",
        *("plan", "reason", "by"),
        hours=24,
    ),
    _job(
        "refuse_changes",
        refuse,
        "Do not push changes that a guard holds, until they change or until a time.",
        *("changes", "until", "reason", "by"),
        keys=[],
    ),
    _job(
        "decide_record",
        decide_about,
        "Decide about one record that waits for a person; the next plan follows it.",
        *("entity", "key", "choice", "safetyamp_id", "until", "reason", "by"),
    ),
    _job(
        "link_record",
        link,
        "Link a source record to a SafetyAmp record.",
        *("entity", "key", "safetyamp_id", "reason", "by"),
    ),
    _job(
        "undo_session",
        undo,
        "Undo one push, field by field, where SafetyAmp still has what it wrote. Pauses syncing.",
        *("reason", "by"),
        tags={**TAGS, SYNC_TAG: "push"},
        session=0,
        dry_run=True,
    ),
]


def _decider(config: DecisionConfig) -> decisions.Decider:
    _require_words(reason=config.reason, by=config.by)
    return decisions.Decider(config.by, LOGIN, config.reason)


def _stored(entity: str, settings: Settings, ledger: Ledger) -> Stored:
    store, config = snapshot_store(settings), settings.sync_config()
    return load_stored(entity_named(entity), store, ledger, config, trials=True)


def _decided(context: dg.OpExecutionContext, decision: Mapping[str, Any]) -> None:
    """Without values: those are in the plan."""
    names = ("entity", "source_key", "choice", "who", "reason", "at", "second_person")
    facts = {name: str(decision[name]) for name in names if decision.get(name)}
    _report(context, **facts)


def _require_words(**given: str) -> None:
    for name, text in given.items():
        if not text.strip():
            raise Refusal(f"{name} must not be empty")


def _report(context: dg.OpExecutionContext, **facts: str | int | bool) -> None:
    """What was done: as metadata of the step, and as a line of the run's log."""
    context.add_output_metadata(facts)
    context.log.info("; ".join(f"{name.replace('_', ' ')}: {fact}" for name, fact in facts.items()))
