"""The ledger as one push of one entity sees it. What is written when is decided in `sync/push.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from dagster._utils.interrupts import check_captured_interrupt

from safetyamp_pipelines.ledger import Intent
from safetyamp_pipelines.logs import get_logger
from safetyamp_pipelines.sync.entities import BY_NAME, BY_TABLE
from safetyamp_pipelines.sync.errors import RecordRefused
from safetyamp_pipelines.sync.inputs import Memory
from safetyamp_pipelines.sync.journal import Linked, OpenIntent
from safetyamp_pipelines.sync.plan import Agreed, Change
from safetyamp_pipelines.sync.tables import Id

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger

log = get_logger(__name__)


def remembered(ledger: Ledger, entity: str) -> Memory:
    """What the planner may know of earlier pushes: links, and the refusals that still stand."""
    failures = {key: failure for key, failure in ledger.failures(entity).items() if failure.state != "retry"}
    rows = ledger.previous_rows_of(BY_NAME[entity].sources)
    is_loaded = ledger.was_pushed_whole(entity)
    return Memory(links=ledger.links(entity), failures=failures, source_rows=rows, is_loaded=is_loaded)


@dataclass
class LedgerJournal:
    """`sync.journal.Journal` over the ledger, for one session of one entity.

    An undo goes on during a pause, and what it is refused is no failure of a sync.
    """

    ledger: Ledger
    session_id: int
    entity: str
    failure_expires_days: int
    heartbeat: Callable[[], object]
    is_undo: bool = False
    _source_keys: dict[int, str] = field(default_factory=dict, init=False)
    _failed: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._failed = set(self.ledger.failures(self.entity))

    def open_intents(self) -> list[OpenIntent]:
        rows = self.ledger.open_intents(self.entity)
        self._source_keys |= {row.id: row.source_key for row in rows}
        return [
            OpenIntent(row.id, row.source_key, row.natural_key, row.target_id, row.payload, row.intended_at)
            for row in rows
        ]

    def intend(self, change: Change) -> int:
        intent = self.ledger.intend(self.session_id, self._intent(change))
        self._source_keys[intent] = change.source_key
        return intent

    def done(
        self, intent: int, target_id: Id, pushed: Mapping[str, Any], not_taken: Mapping[str, str | None], note: str
    ) -> None:
        """SafetyAmp took the record, so an earlier refusal of it stands no more."""
        self.ledger.answer(intent, "done", target_id=target_id, rule=note or None, pushed=pushed, not_taken=not_taken)
        if (source_key := self._source_keys[intent]) in self._failed:
            self.ledger.clear_failure(self.entity, source_key)
            self._failed.discard(source_key)

    def refused(self, intent: int, change: Change, refusal: RecordRefused, *, remember: bool) -> None:
        """The ledger keeps the names of the offending fields and keyed hashes, never SafetyAmp's texts or values."""
        values, labels = change.after(), {field.name: field.label for field in BY_NAME[self.entity].fields}
        fields = {
            name: {"hash": self.ledger.keyed_hash(values.get(name)), "category": "unknown", "suggestion": ""}
            for name in refusal.errors
        }
        self.ledger.answer(intent, "failed", http_status=refusal.status, error=sorted(refusal.errors), rule="refused")
        log.warning(
            "refused",
            source_key=change.source_key,
            action=change.action.value,
            status=refusal.status,
            fields=[labels.get(name, name) for name in sorted(refusal.errors)],
        )
        if remember and not self.is_undo:
            self.ledger.save_failure(
                self.entity,
                change.source_key,
                action=change.action.value,
                payload_hash=change.payload_hash,
                fields=fields,
                http_status=refusal.status,
                expires_after=timedelta(days=self.failure_expires_days),
            )

    def undone(self, intent: int, rule: str) -> None:
        self.ledger.answer(intent, "failed", rule=rule)

    def unsent(self, changes: Iterable[Change], outcome: str, rule: str) -> None:
        status = cast('Literal["blocked", "stale", "not_attempted"]', str(outcome))
        self.ledger.note_unsent(self.session_id, [self._intent(change) for change in changes], status, rule)

    def agree(self, agreed: Iterable[Agreed]) -> None:
        self.ledger.save_links(self.entity, tuple(agreed))

    def linked(self, table: str) -> Iterable[Linked]:
        """Roles and asset types belong to no entity: nothing of them is linked."""
        owner = BY_TABLE.get(table)
        return () if owner is None else self.ledger.links(owner.name).values()

    def has_written_since(self, moment: datetime) -> bool:
        return self.ledger.has_written_since(self.entity, moment)

    def beat(self) -> None:
        self.heartbeat()

    def why_stop(self) -> str | None:
        self.heartbeat()
        if check_captured_interrupt():
            return "interrupted"
        pause = None if self.is_undo else self.ledger.pause_state()
        return f"paused by {pause.who}: {pause.reason}" if pause is not None else None

    def _intent(self, change: Change) -> Intent:
        return Intent(
            entity=self.entity,
            source_key=change.source_key,
            natural_key=change.natural_key,
            action=change.action.value,
            payload_hash=change.payload_hash,
            payload=change.after(),
            expected={name: before for name, (before, _) in change.fields.items()},
            target_id=change.target_id,
            wave=change.wave,
        )
