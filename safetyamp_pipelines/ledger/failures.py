"""Failures: the records SafetyAmp refused, remembered until their cause changes, they expire or a person decides.

Values are remembered as keyed hashes alone.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping, Set
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, delete, or_, select, update

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import HASH_KEY, Store
from safetyamp_pipelines.ledger.statements import as_record, of_key, put, records, row_at
from safetyamp_pipelines.sync.model.plan import Agreed, Change
from safetyamp_pipelines.sync.model.remembered import Failure, FailureState
from safetyamp_pipelines.sync.model.snapshot import canonical_json

if TYPE_CHECKING:
    from safetyamp_pipelines.sync.pushing.refusals import Explained


class Failures(Store):
    """Read, save, mark and clear failures. Which cause ends one is the planner's to judge."""

    def failures(self, entity: str, *, now: datetime | None = None) -> dict[str, Failure]:
        """Source key → failure, of those that still stand at `now` (default: the ledger's clock)."""
        query = select(t.failures).where(t.failures.c.entity == entity, is_open(now or self._clock()))
        with self._reading() as db:
            return {failure.source_key: failure for failure in records(Failure, db, query)}

    def all_failures(self, *, now: datetime | None = None) -> list[tuple[str, Failure]]:
        """(entity, failure) of every entity, in the order of their keys, of those that still stand at `now`."""
        query = select(t.failures).where(is_open(now or self._clock()))
        with self._reading() as db:
            rows = db.execute(query.order_by(*t.failures.primary_key)).mappings()
            return [(row["entity"], as_record(Failure, row)) for row in rows]

    def save_failure(
        self, entity: str, change: Change, explained: Explained, *, http_status: int | None, expires_after: timedelta
    ) -> None:
        """Remember the refusal; counted on as one failure until it is cleared. It is open again, whatever it was.

        Of an offending field its keyed hash is kept, never its value; the cause replaces the earlier one.
        """
        values = change.after()
        fields = {
            name: {
                "hash": self.keyed_hash(values.get(name)),
                "category": str(offence.category),
                "suggestion": offence.suggestion,
            }
            for name, offence in explained.offences.items()
        }
        with self._writing() as db:
            now = self._clock()
            known = row_at(db, t.failures, entity, change.source_key, lock=True)
            refused = {
                "action": change.action,
                "payload_hash": change.payload_hash,
                "http_status": http_status,
                "fields": fields,
                "cause": dict(explained.cause),
                "state": "open",
                "first_seen": known["first_seen"] if known else now,
                "last_seen": now,
                "expires_at": now + expires_after,
                "attempts": known["attempts"] + 1 if known else 1,
            }
            put(db, t.failures, [entity, change.source_key], refused, known=known is not None)

    def mark_failure(self, entity: str, source_key: str, state: FailureState) -> bool:
        """Have it retried or dismissed. False when there is no such failure."""
        with self._writing() as db:
            marked = update(t.failures).where(of_key(t.failures, entity, source_key)).values(state=state)
            return db.execute(marked).rowcount > 0

    def revive_failures(self, entity: str, source_keys: Iterable[str]) -> None:
        """Let them stand in nobody's way any more, as their cause has changed; each is listed until its record is
        taken."""
        query = select(t.failures).where(t.failures.c.entity == entity, t.failures.c.source_key.in_(list(source_keys)))
        with self._writing() as db:
            for row in db.execute(query.with_for_update()).mappings().all():
                put(db, t.failures, [entity, row["source_key"]], without_hashes(row["fields"]), known=True)

    def keyed_hash(self, value: Any) -> str:
        """HMAC-SHA256 of a JSON value, in hex, with this ledger's own key.

        Equal values give equal hashes in this ledger and in no other; without the key nobody can find a value, not
        even one of few possible ones, by hashing guesses.
        """
        return hmac.new(self._hash_key, canonical_json(value).encode(), hashlib.sha256).hexdigest()

    @cached_property
    def _hash_key(self) -> bytes:
        with self._reading() as db:
            return bytes(db.execute(select(t.keys.c.secret).where(of_key(t.keys, HASH_KEY))).scalar_one())


def clear_failure(db: Connection, entity: str, source_key: str, pushed: Collection[str], declared: Set[str]) -> None:
    """Forget a refusal, as SafetyAmp has taken the record. One of `declared` fields stands while none of them was sent:
    the record was taken without them."""
    row = row_at(db, t.failures, entity, source_key, lock=True)
    if row is None:
        return
    fields = row["fields"].keys()
    if not fields or not fields <= declared or fields & set(pushed):
        db.execute(delete(t.failures).where(of_key(t.failures, entity, source_key)))


def clear_settled(db: Connection, entity: str, pairs: Iterable[Agreed]) -> None:
    """Forget the refusals of fields in which both sides now agree, whoever corrected them."""
    agreed = {pair.source_key: pair.values.keys() for pair in pairs}
    query = select(t.failures.c.source_key, t.failures.c.fields).where(t.failures.c.entity == entity)
    for key, fields in db.execute(query).all():
        if fields and key in agreed and fields.keys() <= agreed[key]:
            db.execute(delete(t.failures).where(of_key(t.failures, entity, key)))


def is_open(now: datetime) -> ColumnElement[bool]:
    """A failure is open until it expires; one that a person dismissed, until it is cleared or retried."""
    return or_(t.failures.c.expires_at > now, t.failures.c.state == "dismissed")


def without_hashes(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The columns of a failure of these fields as they are without hashes: then every cause counts as changed."""
    return {"fields": {name: {**facts, "hash": ""} for name, facts in fields.items()}, "payload_hash": "", "cause": {}}
