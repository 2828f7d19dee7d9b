"""Failures: the records SafetyAmp refused, remembered until their cause changes, they expire or a person decides.

Values are remembered as keyed hashes alone.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Set
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session as Transaction

from safetyamp_pipelines.ledger.database import HASH_KEY, Store
from safetyamp_pipelines.ledger.schema import FailureRow, KeyRow, as_record
from safetyamp_pipelines.sync.model.plan import Action, Change
from safetyamp_pipelines.sync.model.remembered import Failure, FailureState
from safetyamp_pipelines.sync.model.snapshot import canonical_json

if TYPE_CHECKING:
    from safetyamp_pipelines.sync.pushing.refusals import Explained


class Failures(Store):
    """Read, save, mark and clear failures. Which cause ends one is the planner's to judge."""

    def failures(self, entity: str, *, now: datetime | None = None) -> dict[str, Failure]:
        """Source key → failure, of those that still stand at `now` (default: the ledger's clock)."""
        query = select(FailureRow).where(FailureRow.entity == entity, stands(now or self._clock()))
        with self._reading() as db:
            return {row.source_key: as_record(Failure, row) for row in db.scalars(query)}

    def all_failures(self, *, now: datetime | None = None) -> list[tuple[str, Failure]]:
        """(entity, failure) of every entity, in the order of their keys, of those that still stand at `now`."""
        query = select(FailureRow).where(stands(now or self._clock()))
        with self._reading() as db:
            rows = db.scalars(query.order_by(FailureRow.entity, FailureRow.source_key))
            return [(row.entity, as_record(Failure, row)) for row in rows]

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
            row = db.get(FailureRow, (entity, change.source_key), with_for_update=True)
            if row is None:
                row = FailureRow(entity=entity, source_key=change.source_key, first_seen=now, attempts=0)
                db.add(row)
            row.action, row.payload_hash, row.http_status = change.action, change.payload_hash, http_status
            row.fields, row.cause, row.state = fields, dict(explained.cause), "open"
            row.last_seen, row.expires_at, row.attempts = now, now + expires_after, row.attempts + 1

    def mark_failure(self, entity: str, source_key: str, state: FailureState) -> bool:
        """Have it retried or dismissed. False when there is no such failure."""
        with self._writing() as db:
            row = db.get(FailureRow, (entity, source_key), with_for_update=True)
            if row is None:
                return False
            row.state = state
            return True

    def revive_failures(self, entity: str, source_keys: Iterable[str]) -> None:
        """Let them stand in nobody's way any more, as their cause has changed; each is listed until its record is
        taken."""
        query = select(FailureRow).where(FailureRow.entity == entity, FailureRow.source_key.in_(list(source_keys)))
        with self._writing() as db:
            for row in db.scalars(query.with_for_update()):
                forget_hashes(row)

    def keyed_hash(self, value: Any) -> str:
        """HMAC-SHA256 of a JSON value, in hex, with this ledger's own key.

        Equal values give equal hashes in this ledger and in no other; without the key nobody can find a value, not
        even one of few possible ones, by hashing guesses.
        """
        return hmac.new(self._hash_key, canonical_json(value).encode(), hashlib.sha256).hexdigest()

    @cached_property
    def _hash_key(self) -> bytes:
        with self._reading() as db:
            return db.get_one(KeyRow, HASH_KEY).secret


def clear_failure(db: Transaction, entity: str, source_key: str, pushed: Collection[str], optional: Set[str]) -> None:
    """Forget a refusal, as SafetyAmp has taken the record. One of fields that can be left out, which are the optional
    ones and all of an update, stands while none of them was sent: the record was taken without them."""
    row = db.get(FailureRow, (entity, source_key), with_for_update=True)
    if row is None:
        return
    can_be_left_out = row.action in (Action.UPDATE, Action.REACTIVATE) or row.fields.keys() <= optional
    if not row.fields or not can_be_left_out or row.fields.keys() & set(pushed):
        db.delete(row)


def stands(now: datetime) -> ColumnElement[bool]:
    """A failure stands until it expires; one that a person dismissed until it is cleared or retried."""
    return or_(FailureRow.expires_at > now, FailureRow.state == "dismissed")


def forget_hashes(row: FailureRow) -> None:
    """Without hashes every cause counts as changed."""
    row.fields = {name: {**facts, "hash": ""} for name, facts in row.fields.items()}
    row.payload_hash, row.cause = "", {}
