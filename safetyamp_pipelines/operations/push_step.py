"""One push, as assets and commands call it: age, pause, lease, then the session around `sync/pushing/` and its log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from safetyamp_pipelines.ledger import Ledger, SessionStatus
from safetyamp_pipelines.operations.journal import LedgerJournal
from safetyamp_pipelines.operations.lease import heartbeat, leased
from safetyamp_pipelines.operations.plan_step import is_approved
from safetyamp_pipelines.settings.logs import get_logger, log_context
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import PlanRefused, PushStopped, Resting, SyncError
from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Action, Outcome, Plan
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.model.tables import Id, References
from safetyamp_pipelines.sync.planning.derive import rules_hash
from safetyamp_pipelines.sync.pushing.outcomes import Progress, PushOptions, PushResult
from safetyamp_pipelines.sync.pushing.push import Push
from safetyamp_pipelines.sync.rules.calendar import ScheduleConfig, freeze_at
from safetyamp_pipelines.sync.rules.config import SyncConfig, TargetConfig, UpdateMethods

if TYPE_CHECKING:
    from safetyamp_pipelines.systems.safetyamp import SafetyAmpClient

log = get_logger(__name__)


@dataclass(frozen=True)
class Pushed:
    """A push that ran. `error` is why it stopped before its end, when it did: the run must not look green then.
    `session` is its number in the ledger."""

    result: PushResult
    error: Exception | None
    session: int

    def table_after(self, name: str, observed: Snapshot) -> Snapshot:
        """SafetyAmp's table as the push left it: what was observed, with every answered write on top."""
        pages = observed.certificate.pages if observed.certificate else 0
        read_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Snapshot.certified(
            name, self.result.rows.values(), key=lambda row: row["id"], pages=pages, read_at=read_at
        )


@dataclass(frozen=True)
class SafetyAmpTarget:
    """`sync.pushing.ports.Target` over the client, with the verbs of sync.yaml. `known_rows` is the size of the table
    when it was observed: an empty page where rows were known is asked for once more."""

    client: SafetyAmpClient
    methods: UpdateMethods
    known_rows: int

    def create(self, table: str, body: Mapping[str, Any]) -> Record:
        return self.client.create(table, body)

    def update(self, table: str, target_id: Id, body: Mapping[str, Any]) -> Record:
        return self.client.update(table, target_id, body, self.methods[table])

    def read(self, table: str) -> tuple[Record, ...]:
        read_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.client.list_table(table, read_at=read_at, previous_rows=self.known_rows).records


def push_plan(
    spec: EntitySpec,
    plan: Plan,
    *,
    client: SafetyAmpClient,
    ledger: Ledger,
    settings: Settings,
    references: References,
    observed_at: datetime,
    run_id: str,
    progress: Progress,
    undoes: int | None = None,
    asked_at: datetime | None = None,
    is_interrupted: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] = time.sleep,
) -> Pushed:
    """Push one plan. `references` are observed tables, of which the entity's own was read at `observed_at`.

    Raises only before the first write: for a plan too old or made under other rules, while somebody else is pushing,
    and for an undo that a guard refuses and nobody has approved. A pause, and a freeze that did not hold when people
    asked for the push (`asked_at`; None for what starts by itself), raises Resting before it and stops it between two
    calls, as does `is_interrupted`. An undo goes on during both: syncs wait for it."""
    refuse_old(plan, settings.plan_max_age_minutes)
    if undoes is not None:
        refuse_guarded(plan, ledger)
    else:
        refuse_other_rules(plan, settings.sync_config())
    rules, is_undo = settings.sync_config(), undoes is not None

    def resting() -> str | None:
        now = settings.sync_config_now().schedule
        return None if is_undo else pause_reason(ledger, now, asked_at, rules.schedule)

    if (why := resting()) is not None:
        raise Resting(f"syncing is {why}")
    made, plan = plan, plan if is_undo else without_withdrawn(spec, plan, ledger)
    config = rules.target
    with leased(ledger, run_id) as lease:
        planned = Counter(str(change.action) for change in plan.changes)
        _abandon_dead_sessions(ledger, spec.name)
        session = ledger.start_session(
            run_id, spec.name, made.hash, planned, lease, is_whole=not plan.only, undoes=undoes
        )
        beat, days = heartbeat(ledger, lease), config.failure_expires_days
        declared = spec.with_custom(rules.of(spec))
        journal = LedgerJournal(ledger, session, declared, days, beat, is_interrupted, is_undo, resting, plan.approved)
        push = Push(
            declared,
            plan,
            SafetyAmpTarget(client, config.update_methods, len(references[spec.table].rows)),
            journal,
            references,
            _options(config, settings, None if is_undo else rules.of(spec).first),
            progress,
            observed_at,
            ledger.now,
            sleep,
        )
        try:
            result = _run_logged(push, session)
        except BaseException:
            ledger.end_session(session, "failed", *_known_of(ledger, session, planned))
            raise
        try:
            _close(spec, plan, ledger, session, result)
            if undoes is not None:
                ledger.use_approval(made.hash)
        except SyncError as error:  # it can be written no more: the next push declares the session over
            log.warning("session_not_closed", session=session, error=type(error).__name__)
            result.broke_off = result.broke_off or error
        return Pushed(result, _error(result), session)


def _close(spec: EntitySpec, plan: Plan, ledger: Ledger, session: int, result: PushResult) -> None:
    """Write down how the push ended, and what the next plan has to know of it."""
    status: SessionStatus = "paused" if result.paused else "stopped" if result.stopped else "done"
    ledger.end_session(session, "failed" if result.broke_off else status, result.counts(), result.attempts)
    _remember_sources(ledger, plan)
    done = {verdict.source_key for verdict in result.verdicts if verdict.outcome in OUTCOME_OF.values()}
    _end_decisions(spec, plan, ledger, done)


def pause_reason(
    ledger: Ledger, schedule: ScheduleConfig, asked_at: datetime | None = None, known: ScheduleConfig | None = None
) -> str | None:
    """The pause, or the freeze that people did not know of when they asked for a push; None when neither holds. `known`
    is the schedule as it stood then."""
    if (pause := ledger.pause_state()) is not None:
        return f"paused by {pause.who}: {pause.reason}. `safetyamp resume` ends the pause"
    freeze = freeze_at(schedule.freezes, ledger.now(), schedule.timezone)
    then = known or schedule
    meant = None if asked_at is None else freeze_at(then.freezes, asked_at, then.timezone)
    if freeze is None or freeze == meant:
        return None
    return f"frozen from {freeze.starts} until {freeze.ends} ({schedule.timezone}): {freeze.reason}"


def refuse_old(plan: Plan, minutes: int, now: datetime | None = None) -> None:
    """PlanRefused when SafetyAmp, or a source, was read too long ago: what the plan assumes may no longer be true."""
    age = (now or datetime.now(UTC)) - datetime.fromisoformat(plan.oldest or plan.as_of)
    if age > timedelta(minutes=minutes):
        raise PlanRefused(
            f"the plan for {plan.entity} is {int(age.total_seconds() // 60)} minutes old, by the oldest snapshot it "
            f"was made from, {minutes} are allowed: materialise the snapshots and the plan again"
        )


def refuse_other_rules(plan: Plan, config: SyncConfig) -> None:
    """PlanRefused when sync.yaml has changed since the plan was made: it may protect people whom the plan touches."""
    if plan.config_hash != rules_hash(config):
        raise PlanRefused(
            f"sync.yaml has changed since the plan for {plan.entity} was made: run the job sync_{plan.entity}, which "
            "plans anew"
        )


def without_withdrawn(spec: EntitySpec, plan: Plan, ledger: Ledger) -> Plan:
    """The plan without the changes whose decision no longer counts: an approval (one of two, where two are needed) that
    was used, withdrawn or has expired; a decision that was withdrawn; another link."""
    by_one, by_two = ledger.approved(spec.name), ledger.approved(spec.name, logins=2) if plan.by_two else frozenset()
    decided, links = ledger.decided(spec.name), ledger.links(spec.name)
    asked = {question.source_key: question for question in plan.questions if question.answer}
    why: dict[str, str] = {}
    for change in plan.changes:
        question, link = asked.get(change.source_key), links.get(change.source_key)
        approved = plan.approved.get(change.source_key)
        if approved is not None and approved not in (by_two if change.source_key in plan.by_two else by_one):
            why[change.source_key] = "an approval of it was used, withdrawn or has expired since this plan was made"
        elif question is not None and question.hash not in decided:
            why[change.source_key] = (
                "what was decided about it was taken back, or carried out, since this plan was made"
            )
        elif link is not None and change.target_id not in (None, link.target_id):
            why[change.source_key] = "it was linked to another record since this plan was made"
    verdicts = [
        replace(verdict, outcome=Outcome.HELD, rule=why[verdict.source_key]) if verdict.source_key in why else verdict
        for verdict in plan.verdicts
    ]
    changes = tuple(change for change in plan.changes if change.source_key not in why)
    return replace(plan, changes=changes, verdicts=tuple(verdicts)) if why else plan


def refuse_guarded(plan: Plan, ledger: Ledger) -> None:
    """PlanRefused when a guard refuses the plan and nobody has approved exactly this plan, or not as many people as
    sync.yaml requires."""
    refusal = plan.refusal()
    if refusal is not None and not is_approved(plan, ledger):
        raise PlanRefused(refusal)


def _end_decisions(spec: EntitySpec, plan: Plan, ledger: Ledger, done: Collection[str]) -> None:
    """What was decided and is carried out, and what is not as it was any more, counts for no later plan. A plan that
    could not see everything ends nothing: what it does not ask may be asked again."""
    answered = [one for one in plan.questions if one.answer == "source"]
    carried_out = {question.hash for question in answered if question.source_key in done}
    asked = {question.hash for question in plan.questions}
    asked |= {held.change.hash for held in (*plan.held, *plan.set_aside)}
    saw_all = set(spec.snapshots) <= plan.inputs.keys()
    before = datetime.fromisoformat(plan.as_of)
    ledger.end_decisions(spec.name, carried_out, asked if saw_all and not plan.only else None, before)


def _remember_sources(ledger: Ledger, plan: Plan) -> None:
    """The rows a source had when its plan was pushed: what the next plan's guard against shrinking compares with."""
    now = datetime.now(UTC)
    for source, rows in plan.source_rows.items():
        ledger.record_observation(source, rows, now)


def _error(result: PushResult) -> Exception | None:
    if result.broke_off is not None:
        return result.broke_off
    if result.fatal is not None:
        return result.fatal
    if result.paused is not None:
        return Resting(f"syncing is {result.paused}")
    return PushStopped(f"stopped: {result.stopped}") if result.stopped is not None else None


def _options(config: TargetConfig, settings: Settings, first: int | None) -> PushOptions:
    return PushOptions(
        settings.sync_in_flight,
        config.refusals_in_a_row,
        config.refusals_share,
        config.refusals_share_after,
        late_arrival=config.late_arrival_seconds,
        longest_queue=settings.api_rate_limit_period,
        observed_max_age=60.0 * settings.observed_max_age_minutes,
        first=first,
    )


def _abandon_dead_sessions(ledger: Ledger, entity: str) -> None:
    """To be called with the lease held: a session still open then belongs to a push that died."""
    while (dead := ledger.open_session(entity)) is not None:
        ledger.end_session(dead.id, "abandoned", *_known_of(ledger, dead.id, dead.planned))
        log.warning("session_abandoned", abandoned=dead.id, of_run=dead.run_id, started_at=dead.started_at.isoformat())


def _known_of(ledger: Ledger, session: int, planned: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """What became of the changes of a push that broke off, as far as the ledger knows, and how many calls it made."""
    changes = ledger.changes(session_id=session)
    sent = [change for change in changes if change.status in (None, "done", "failed")]
    # A change that was tried once more, without what SafetyAmp refused, ended as its last call did.
    last = {(change.source_key, change.wave): change for change in reversed(changes)}.values()
    counts = Counter(
        str(OUTCOME_OF[Action(change.action)]) if change.status == "done" else change.status or Outcome.FAILED.value
        for change in last
    )
    counts[Outcome.NOT_ATTEMPTED.value] += sum(planned.values()) - len(last)
    return {name: number for name, number in counts.items() if number > 0}, len(sent)


def _run_logged(push: Push, session: int) -> PushResult:
    """Run the push; every line of its log names the session in the ledger."""
    planned = Counter(str(change.action) for change in push.plan.changes)
    with log_context(session=session):
        log.info("push_begins", plan=push.plan.hash[:12], planned=dict(sorted(planned.items())))
        try:
            result = push.run()
        except BaseException as error:
            log.error("push_broke_off", error=type(error).__name__)
            raise
        with suppress(Exception):  # the log is kept in Dagster's storage too, which may be away: the result is not
            _log_end(result)
    return result


def _log_end(result: PushResult) -> None:
    if result.broke_off is not None:
        log.error("push_broke_off", error=type(result.broke_off).__name__, writes=result.writes)
        return
    report = log.info if result.stopped is None and not result.has_failed() else log.warning
    report(
        "push_ended",
        verdicts=result.counts(),
        writes=result.writes,
        calls=result.attempts,
        **({} if result.stopped is None else {"stopped": result.stopped}),
    )
