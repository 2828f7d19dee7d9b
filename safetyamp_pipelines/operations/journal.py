"""The ledger as one push of one entity sees it. What is written when is decided in `sync/pushing/push.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.sync.entities.registry import BY_NAME, writers
from safetyamp_pipelines.sync.model.errors import RecordRefused
from safetyamp_pipelines.sync.model.plan import Agreed, Change, Outcome
from safetyamp_pipelines.sync.model.remembered import Intent, Link, Memory
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.model.tables import Id

if TYPE_CHECKING:
    from safetyamp_pipelines.sync.pushing.refusals import Explained

log = get_logger(__name__)


def remembered(ledger: Ledger, entity: str) -> Memory:
    """What the planner may know of earlier pushes: links and refusals."""
    spec = BY_NAME[entity]
    others = [other.name for other in writers(spec.table) if other is not spec]
    return Memory(
        links=ledger.links(entity),
        failures=ledger.failures(entity),
        source_rows=ledger.previous_rows_of(spec.sources),
        is_loaded=ledger.was_pushed_whole(entity),
        keyed_hash=ledger.keyed_hash,
        foreign=frozenset(link.target_id for other in others for link in ledger.links(other).values()),
    )


@dataclass
class LedgerJournal:
    """`sync.pushing.ports.Journal` over the ledger, for one session of one entity, with the fields of sync.yaml.

    What an undo is refused is not a failure of a sync. `approved` are the plan's: an intent uses its own up.
    """

    ledger: Ledger
    session_id: int
    spec: EntitySpec
    failure_expires_days: int
    heartbeat: Callable[[], object]
    is_interrupted: Callable[[], bool] = lambda: False
    is_undo: bool = False
    resting: Callable[[], str | None] = lambda: None
    approved: Mapping[str, str] = field(default_factory=dict)

    def open_intents(self) -> Sequence[Intent]:
        return self.ledger.open_intents(self.spec.name)

    def intend(self, change: Change) -> int:
        return self.ledger.intend(self.session_id, change, self.approved.get(change.source_key))

    def done(
        self, intent: int, target_id: Id, pushed: Mapping[str, Any], not_taken: Mapping[str, str | None], note: str
    ) -> None:
        self.ledger.answer(
            intent,
            "done",
            target_id=target_id,
            rule=note or None,
            pushed=pushed,
            not_taken=not_taken,
            not_taken_for=self._days,
            declared={field.name for field in self.spec.fields},
        )

    def refused(self, intent: int, change: Change, refusal: RecordRefused, explained: Explained) -> None:
        """The ledger keeps the names of the offending fields and keyed hashes, never SafetyAmp's texts or values."""
        status, days = refusal.status, self._days
        self.ledger.answer(intent, "failed", http_status=status, error=sorted(refusal.errors), rule="refused")
        if not self.is_undo:
            self.ledger.save_failure(self.spec.name, change, explained, http_status=status, expires_after=days)
        log.warning(
            "refused",
            source_key=change.source_key,
            action=str(change.action),
            status=status,
            fields=[f"{offence.label}: {offence.category}" for offence in explained.offences.values()],
        )

    def undone(self, intent: int, rule: str) -> None:
        self.ledger.answer(intent, "failed", rule=rule)

    def unsent(self, changes: Iterable[Change], outcome: Outcome, rule: str) -> None:
        self.ledger.note_unsent(self.session_id, changes, outcome, rule)

    def agree(self, agreed: Iterable[Agreed]) -> None:
        self.ledger.save_links(self.spec.name, agreed)

    def revive(self, source_keys: Iterable[str]) -> None:
        self.ledger.revive_failures(self.spec.name, source_keys)

    def linked(self, table: str) -> Iterable[Link]:
        """Roles and asset types belong to no entity: nothing of them is linked."""
        return [link for owner in writers(table) for link in self.ledger.links(owner.name).values()]

    def links(self) -> Iterable[Link]:
        return self.ledger.links(self.spec.name).values()

    def has_written_since(self, moment: datetime) -> bool:
        owners = writers(self.spec.table)
        return any(self.ledger.has_written_since(owner.name, moment) for owner in owners)

    def beat(self) -> None:
        self.heartbeat()

    def pause_reason(self) -> str | None:
        return self.resting()

    def interrupt_reason(self) -> str | None:
        self.heartbeat()
        return "interrupted" if self.is_interrupted() else None

    @property
    def _days(self) -> timedelta:
        return timedelta(days=self.failure_expires_days)
