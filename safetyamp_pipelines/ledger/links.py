"""Links: which SafetyAmp record is which source record, and what was last pushed to it.

A SafetyAmp record has one source record. When another one claims it, the claim wins and the older link goes: the
planner recognises records by their links first, so that only the link of a source record which vanished can be claimed,
as when a vehicle is entered anew in Samsara. A refusal here would stop every push until a person came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from safetyamp_pipelines.ledger.records import Link, TargetId, Unlinked
from safetyamp_pipelines.ledger.schema import LinkRow, UnlinkRow
from safetyamp_pipelines.ledger.transactions import Store
from safetyamp_pipelines.ledger.unsettled import refuse_open
from safetyamp_pipelines.sync.model.plan import Agreed


class Links(Store):
    """Read, save and forget links."""

    def links(self, entity: str) -> dict[str, Link]:
        """Source key → link, for the whole entity, with the fields not taken that are still remembered."""
        now = self._clock()
        with self._reading() as db:
            rows = db.scalars(select(LinkRow).filter_by(entity=entity))
            return {row.source_key: link_record(row, now) for row in rows}

    def save_link(
        self,
        entity: str,
        source_key: str,
        natural_key: str,
        target_id: TargetId,
        pushed: Mapping[str, Any],
        not_taken: Mapping[str, str | None] | None = None,
    ) -> str | None:
        """Remember the pair and what was pushed; give the source record that lost this SafetyAmp record, if any.

        `pushed` is merged into what was pushed before; `not_taken` replaces the hashes of the fields it names, None
        removes one. A source record that gets another SafetyAmp record starts from nothing: what was pushed to the
        old one says nothing about the new one.
        """
        with self._writing() as db:
            return put_link(db, entity, source_key, natural_key, target_id, pushed, not_taken or {}, self._clock())

    def save_links(self, entity: str, agreed: Iterable[Agreed]) -> None:
        """Remember records that were recognised in SafetyAmp, all at once, and the values both sides share.

        A field that both sides share is no longer one that SafetyAmp did not take.
        """
        pairs = tuple(agreed)
        if not pairs:
            return
        claims = {pair.target_id: pair.source_key for pair in pairs}
        with self._writing() as db:
            rows = {row.source_key: row for row in db.scalars(select(LinkRow).filter_by(entity=entity))}
            for row in [row for row in rows.values() if claims.get(row.target_id, row.source_key) != row.source_key]:
                db.delete(rows.pop(row.source_key))
            # Deletions first: left to itself SQLAlchemy inserts before it deletes, and a SafetyAmp id is unique.
            db.flush()
            for pair in pairs:
                taken = dict.fromkeys(pair.values)
                row = rows.get(pair.source_key) or LinkRow(entity=entity, source_key=pair.source_key)
                db.add(row)
                merge(row, pair.natural_key, pair.target_id, pair.values, taken, self._clock())

    def unlink(self, entity: str, source_key: str, who: str, reason: str) -> Unlinked | None:
        """Forget a wrong pair, and record that; None when there was none. The next plan recognises the record anew.

        Raises IntentUnsettled while a call for the record has no answer: settling it would bring the pair back.
        """
        with self._writing() as db:
            refuse_open(db, entity, source_key, then="unlink")
            row = db.get(LinkRow, (entity, source_key), with_for_update=True)
            if row is None:
                return None
            kept = {"target_id": row.target_id, "natural_key": row.natural_key, "who": who, "reason": reason}
            noted = UnlinkRow(entity=entity, source_key=source_key, at=self._clock(), **kept)
            db.add(noted)
            db.delete(row)
            db.flush()
            return unlinked_record(noted)

    def unlinked(self, entity: str | None = None) -> list[Unlinked]:
        """Every pair that people had forgotten, newest first."""
        query = select(UnlinkRow).order_by(UnlinkRow.id.desc())
        if entity is not None:
            query = query.where(UnlinkRow.entity == entity)
        with self._reading() as db:
            return [unlinked_record(row) for row in db.scalars(query)]


def unlinked_record(row: UnlinkRow) -> Unlinked:
    """The row as a plain record."""
    return Unlinked(**{field.name: getattr(row, field.name) for field in fields(Unlinked)})


def put_link(
    db: Transaction,
    entity: str,
    source_key: str,
    natural_key: str,
    target_id: TargetId,
    pushed: Mapping[str, Any],
    not_taken: Mapping[str, str | None],
    now: datetime,
    not_taken_for: timedelta | None = None,
) -> str | None:
    """`Links.save_link` inside a transaction that is already open."""
    claimed = select(LinkRow).where(LinkRow.entity == entity, LinkRow.target_id == target_id)
    loser = db.scalars(claimed.where(LinkRow.source_key != source_key)).one_or_none()
    if loser is not None:
        db.delete(loser)
        db.flush()
    row = db.get(LinkRow, (entity, source_key), with_for_update=True) or LinkRow(entity=entity, source_key=source_key)
    db.add(row)
    merge(row, natural_key, target_id, pushed, not_taken, now, not_taken_for)
    return None if loser is None else loser.source_key


def merge(
    row: LinkRow,
    natural_key: str,
    target_id: TargetId,
    pushed: Mapping[str, Any],
    not_taken: Mapping[str, str | None],
    now: datetime,
    not_taken_for: timedelta | None = None,
) -> None:
    """Bring the row up to date; one that is new or gets another SafetyAmp record starts from nothing."""
    if row.target_id != target_id:
        row.target_id, row.pushed, row.not_taken, row.not_taken_until = target_id, {}, {}, {}
    row.natural_key, row.updated_at = natural_key, now
    row.pushed = {**row.pushed, **pushed}
    row.not_taken = {field: hash for field, hash in {**row.not_taken, **not_taken}.items() if hash is not None}
    until = {} if not_taken_for is None else dict.fromkeys(not_taken, (now + not_taken_for).isoformat())
    kept = {field: end for field, end in (row.not_taken_until or {}).items() if field not in not_taken}
    row.not_taken_until = {field: end for field, end in {**kept, **until}.items() if field in row.not_taken}


def link_record(row: LinkRow, now: datetime) -> Link:
    """The row as a plain record, as it stands at `now`."""
    ended = {field for field, end in (row.not_taken_until or {}).items() if datetime.fromisoformat(end) <= now}
    return Link(
        source_key=row.source_key,
        target_id=row.target_id,
        natural_key=row.natural_key,
        pushed=row.pushed,
        not_taken={field: hash for field, hash in row.not_taken.items() if field not in ended},
        updated_at=row.updated_at,
    )
