"""The ledger as one push of one entity sees it. What is written when is decided in `sync/push.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from safetyamp_pipelines.ledger import Intent, Ledger
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.sync.entities.registry import BY_NAME, writers
from safetyamp_pipelines.sync.model.errors import RecordRefused
from safetyamp_pipelines.sync.model.inputs import Memory
from safetyamp_pipelines.sync.model.plan import Agreed, Change
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.pushing.ports import Linked, OpenIntent
from safetyamp_pipelines.sync.pushing.refusals import Explained

log = get_logger(__name__)

EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""A failure that has expired is forgotten, too, once SafetyAmp takes the record: the next one is not its second."""


def remembered(ledger: Ledger, entity: str) -> Memory:
    """What the planner may know of earlier pushes: links, and the refusals that still stand."""
    failures = {key: failure for key, failure in ledger.failures(entity).items() if failure.state != "retry"}
    spec = BY_NAME[entity]
    others = [other.name for other in writers(spec.table) if other is not spec]
    return Memory(
        links=ledger.links(entity),
        failures=failures,
        source_rows=ledger.previous_rows_of(spec.sources),
        is_loaded=ledger.was_pushed_whole(entity),
        keyed_hash=ledger.keyed_hash,
        foreign=frozenset(link.target_id for other in others for link in ledger.links(other).values()),
    )


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
    is_interrupted: Callable[[], bool]
    is_undo: bool = False
    _source_keys: dict[int, str] = field(default_factory=dict, init=False)
    _failed: dict[str, Set[str]] = field(init=False)
    """The offending fields of each failure, by source key."""

    def __post_init__(self) -> None:
        remembered = self.ledger.failures(self.entity, now=EVER)
        self._failed = {key: set(failure.fields) for key, failure in remembered.items()}

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
        """SafetyAmp took the record, so an earlier refusal of it stands no more; that of a field left out does."""
        self.ledger.answer(
            intent,
            "done",
            target_id=target_id,
            rule=note or None,
            pushed=pushed,
            not_taken=not_taken,
            not_taken_for=self._days,
        )
        source_key = self._source_keys[intent]
        failed = self._failed.get(source_key)
        optional = {field.name for field in BY_NAME[self.entity].fields if not field.required}
        if failed is not None and (not failed or not failed <= optional or failed & pushed.keys()):
            self.ledger.clear_failure(self.entity, source_key)
            del self._failed[source_key]

    def refused(self, intent: int, change: Change, refusal: RecordRefused, explained: Explained) -> None:
        """The ledger keeps the names of the offending fields and keyed hashes, never SafetyAmp's texts or values."""
        values = change.after()
        fields = {
            name: {
                "hash": self.ledger.keyed_hash(values.get(name)),
                "category": str(offence.category),
                "suggestion": offence.suggestion,
            }
            for name, offence in explained.offences.items()
        }
        self.ledger.answer(intent, "failed", http_status=refusal.status, error=sorted(refusal.errors), rule="refused")
        log.warning(
            "refused",
            source_key=change.source_key,
            action=change.action.value,
            status=refusal.status,
            fields=[f"{offence.label}: {offence.category}" for offence in explained.offences.values()],
        )
        if self.is_undo:
            return
        self._failed[change.source_key] = fields.keys()
        self.ledger.save_failure(
            self.entity,
            change.source_key,
            action=change.action.value,
            payload_hash=change.payload_hash,
            fields=fields,
            http_status=refusal.status,
            expires_after=self._days,
            cause=explained.cause,
        )

    def undone(self, intent: int, rule: str) -> None:
        self.ledger.answer(intent, "failed", rule=rule)

    def unsent(self, changes: Iterable[Change], outcome: str, rule: str) -> None:
        status = cast('Literal["blocked", "stale", "not_attempted"]', str(outcome))
        self.ledger.note_unsent(self.session_id, [self._intent(change) for change in changes], status, rule)

    def agree(self, agreed: Iterable[Agreed]) -> None:
        self.ledger.save_links(self.entity, tuple(agreed))

    def revive(self, source_keys: Iterable[str]) -> None:
        for source_key in source_keys:
            self.ledger.revive_failure(self.entity, source_key)

    def linked(self, table: str) -> Iterable[Linked]:
        """Roles and asset types belong to no entity: nothing of them is linked."""
        return [link for owner in writers(table) for link in self.ledger.links(owner.name).values()]

    def links(self) -> Iterable[Linked]:
        return self.ledger.links(self.entity).values()

    def has_written_since(self, moment: datetime) -> bool:
        owners = writers(BY_NAME[self.entity].table)
        return any(self.ledger.has_written_since(owner.name, moment) for owner in owners)

    def beat(self) -> None:
        self.heartbeat()

    def why_stop(self) -> str | None:
        self.heartbeat()
        if self.is_interrupted():
            return "interrupted"
        pause = None if self.is_undo else self.ledger.pause_state()
        return f"paused by {pause.who}: {pause.reason}" if pause is not None else None

    @property
    def _days(self) -> timedelta:
        return timedelta(days=self.failure_expires_days)

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
