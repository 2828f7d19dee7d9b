"""Undoing one session from outside in: read SafetyAmp afresh, plan, pause the syncs, push. The plan: `sync/undo.py`.

The next sync would write again what the sources say, so syncing is paused first, and stays so until a person resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from safetyamp_pipelines.operations.push_step import LEASE, Pushed, push_plan
from safetyamp_pipelines.resources.push_log import log_plan
from safetyamp_pipelines.settings.logs import get_logger, log_context
from safetyamp_pipelines.sync.entities.registry import BY_NAME, references
from safetyamp_pipelines.sync.model.errors import PlanRefused, Refusal
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.model.tables import References
from safetyamp_pipelines.sync.planning.reversal import Ground, plan_undo

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger, Pause, Session
    from safetyamp_pipelines.operations.progress import ProgressReporter
    from safetyamp_pipelines.settings.model import Settings
    from safetyamp_pipelines.sync.model.plan import Plan
    from safetyamp_pipelines.systems.safetyamp import SafetyAmpClient
    from safetyamp_pipelines.systems.snapshots.store import SnapshotStore

log = get_logger(__name__)


@dataclass(frozen=True)
class PlannedUndo:
    """What taking a session back would change. `unanswered` counts its calls whose answer nobody knows yet."""

    session: Session
    plan: Plan
    references: References
    unanswered: int


@dataclass(frozen=True)
class Undone:
    """An undo that was carried out. Without anything to send or to look up nothing was pushed, and nothing is paused
    for it; `pause` is the one that lasts, whoever began it."""

    planned: PlannedUndo
    pushed: Pushed | None
    session_id: int | None
    pause: Pause | None


@dataclass(frozen=True)
class Undoing:
    """All that an undo needs of the outside."""

    client: SafetyAmpClient
    ledger: Ledger
    settings: Settings
    store: SnapshotStore
    progress: ProgressReporter
    run_id: str

    def plan(self, session_id: int) -> PlannedUndo:
        """Read SafetyAmp, plan the inverse and keep the plan, so that it can be approved. Writes nothing to SafetyAmp.

        Raises Refusal when there is no such session or it still goes on, ReadError when SafetyAmp cannot be read.
        """
        session = self._session(session_id)
        spec, config = BY_NAME[session.entity], self.settings.sync_config()
        changes = self.ledger.changes(session_id=session_id)
        observed = {table: self._read(table) for table in spec.observed}
        own = observed[spec.table].certificate
        hashes = {taken.table: taken.certificate.content_hash for taken in observed.values() if taken.certificate}
        shown = references({table: taken.records for table, taken in observed.items()})
        ground = Ground(shown, self.ledger.links(spec.name), own.read_at if own else "", hashes)
        plan = plan_undo(spec, session_id, self.ledger.changes_done(session_id), ground, config)
        name = f"undo/{spec.name}"
        self.store.publish(name, self.run_id, plan.to_bytes(), plan.manifest(), kind="Plan")
        self.store.prune(name)
        with log_context(run_id=self.run_id, entity=spec.name):
            log_plan(plan)
        return PlannedUndo(session, plan, shown, sum(change.status is None for change in changes))

    def undo(self, session_id: int, who: str, reason: str) -> Undone:
        """Take the session back. Raises as `plan` does, and PlanRefused when a guard or another push is in the way.

        After an undo that was killed, the same again goes on: what is set back already is left. Calls without an
        answer are looked up by a push even when there is nothing else to do: they could never be taken back otherwise.
        """
        self._session(session_id)
        pushed = None
        with self._paused(session_id, who, reason) as keep:
            planned = self.plan(session_id)
            refuse_guarded(planned, self.ledger)
            if planned.plan.changes or planned.unanswered:
                keep()
            if planned.plan.changes or self.ledger.open_intents(planned.session.entity):
                pushed = self._push(planned)
        session = next(iter(self.ledger.sessions(1, run_id=self.run_id)), None)
        return Undone(planned, pushed, None if session is None else session.id, self.ledger.pause_state())

    def _session(self, session_id: int) -> Session:
        session, holder = self.ledger.session(session_id), self.ledger.lease_holder(LEASE)
        if session is None:
            raise Refusal(f"there is no session {session_id}: `safetyamp history` lists them")
        if holder is not None:
            raise PlanRefused(f"{holder[0]} is pushing since {holder[1]:%Y-%m-%d %H:%M:%S} UTC: wait for it to end")
        return session

    def _read(self, table: str) -> Snapshot:
        calls_before = self.client.http.calls
        read_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        taken = self.client.list_table(table, read_at=read_at, previous_rows=self.ledger.previous_rows(table))
        calls = self.client.http.calls - calls_before
        self.ledger.record_observation(table, len(taken.records), datetime.now(UTC), calls)
        self.progress.read(table, len(taken.records), calls)
        return taken

    def _push(self, planned: PlannedUndo) -> Pushed:
        entity = planned.session.entity
        with log_context(run_id=self.run_id, entity=entity):
            pushed = push_plan(
                BY_NAME[entity],
                planned.plan,
                client=self.client,
                ledger=self.ledger,
                settings=self.settings,
                references=planned.references,
                observed_at=datetime.fromisoformat(planned.plan.as_of),
                run_id=self.run_id,
                progress=self.progress.of(entity, lambda: self.client.http.calls),
                undoes=planned.session.id,
            )
        self.progress.pushed(entity, pushed.result.verdicts)
        pushed.heed_interrupt()
        return pushed

    @contextmanager
    def _paused(self, session_id: int, who: str, reason: str) -> Iterator[Callable[[], None]]:
        """Pause before anything is read, so that no sync comes in between. Unless kept, a pause of ours ends again."""
        was_paused = self.ledger.pause_state() is not None
        if not was_paused:
            self.ledger.pause(who, f"undo of session {session_id}" + (f": {reason}" if reason.strip() else ""))
        is_kept = was_paused

        def keep() -> None:
            nonlocal is_kept
            is_kept = True

        try:
            yield keep
        finally:
            if not is_kept:
                self.ledger.resume(who)


def refuse_guarded(planned: PlannedUndo, ledger: Ledger) -> None:
    """PlanRefused when a guard stands against the undo and nobody has approved exactly this plan."""
    plan, number = planned.plan, planned.session.id
    if plan.refused and ledger.approval(plan.hash) is None:
        raise PlanRefused(
            f"undoing session {number} is refused by the guards: {'; '.join(map(str, plan.refused))}. Look at it with "
            f"`safetyamp undo {number} --dry-run`; if it is right: `safetyamp approve {plan.hash[:12]} --reason …`, "
            "then undo again"
        )
