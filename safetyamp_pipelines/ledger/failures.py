"""Failures: the records SafetyAmp refused, remembered until their cause changes, they expire or a person decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select

from safetyamp_pipelines.ledger.records import Action, Failure, FailureState
from safetyamp_pipelines.ledger.schema import FailureRow
from safetyamp_pipelines.ledger.transactions import Store


class Failures(Store):
    """Read, save, mark and clear failures. Which cause ends one is the planner's to judge."""

    def failures(self, entity: str, *, now: datetime | None = None) -> dict[str, Failure]:
        """Source key → failure, of those that still stand at `now` (default: the ledger's clock)."""
        query = select(FailureRow).where(FailureRow.entity == entity, stands(now or self._clock()))
        with self._reading() as db:
            return {row.source_key: failure_record(row) for row in db.scalars(query)}

    def all_failures(self, *, now: datetime | None = None) -> list[tuple[str, Failure]]:
        """(entity, failure) of every entity, in the order of their keys, of those that still stand at `now`."""
        query = select(FailureRow).where(stands(now or self._clock()))
        with self._reading() as db:
            rows = db.scalars(query.order_by(FailureRow.entity, FailureRow.source_key))
            return [(row.entity, failure_record(row)) for row in rows]

    def save_failure(
        self,
        entity: str,
        source_key: str,
        *,
        action: Action,
        payload_hash: str,
        fields: Mapping[str, Mapping[str, Any]],
        http_status: int | None,
        expires_after: timedelta,
        cause: Mapping[str, Any] | None = None,
    ) -> None:
        """Remember the refusal; counted on as one failure until it is cleared. It is open again, whatever it was.

        `fields` maps each offending field to its keyed `hash`, `category` and `suggestion`: never to its value.
        `cause` holds keys and keyed hashes of what else the refusal hung on; it replaces the earlier one.
        """
        with self._writing() as db:
            now = self._clock()
            row = db.get(FailureRow, (entity, source_key), with_for_update=True)
            if row is None:
                row = FailureRow(entity=entity, source_key=source_key, first_seen=now, attempts=0)
                db.add(row)
            row.action, row.payload_hash, row.http_status = (action, payload_hash, http_status)
            row.fields = {name: dict(facts) for name, facts in fields.items()}
            row.cause = dict(cause or {})
            row.last_seen, row.expires_at, row.attempts, row.state = (
                now,
                now + expires_after,
                row.attempts + 1,
                "open",
            )

    def mark_failure(self, entity: str, source_key: str, state: FailureState) -> bool:
        """Have it retried or dismissed. False when there is no such failure."""
        with self._writing() as db:
            row = db.get(FailureRow, (entity, source_key), with_for_update=True)
            if row is None:
                return False
            row.state = state
            return True

    def revive_failure(self, entity: str, source_key: str) -> None:
        """Let it stand in nobody's way any more, as its cause has changed; it is listed until the record is taken."""
        with self._writing() as db:
            row = db.get(FailureRow, (entity, source_key), with_for_update=True)
            if row is not None:
                forget_hashes(row)

    def clear_failure(self, entity: str, source_key: str) -> bool:
        """Forget it: the record was taken. False when there was none."""
        query = delete(FailureRow).where(FailureRow.entity == entity, FailureRow.source_key == source_key)
        with self._writing() as db:
            return db.execute(query.returning(FailureRow.entity)).first() is not None


def stands(now: datetime) -> ColumnElement[bool]:
    """A failure stands until it expires; one that a person dismissed until it is cleared or retried."""
    return or_(FailureRow.expires_at > now, FailureRow.state == "dismissed")


def forget_hashes(row: FailureRow) -> None:
    """Without hashes every cause counts as changed."""
    row.fields = {name: {**facts, "hash": ""} for name, facts in row.fields.items()}
    row.payload_hash, row.cause = "", {}


def failure_record(row: FailureRow) -> Failure:
    """The row as a plain record."""
    own = {field.name: getattr(row, field.name) for field in dataclass_fields(Failure) if field.name != "cause"}
    return Failure(**own, cause=row.cause or {})
