"""Links: which SafetyAmp record is which source record, and what was last pushed to it.

A SafetyAmp record has one source record. When another one claims it, the claim wins and the older link goes: the
planner recognises records by their links first, so that only the link of a source record which vanished can be claimed,
as when a vehicle is entered anew in Samsara. A refusal here would stop every push until a person came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import fields, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.schema import LinkRow
from safetyamp_pipelines.sync.model.plan import Agreed
from safetyamp_pipelines.sync.model.remembered import Link

COLUMNS = {field.name: getattr(LinkRow, field.name) for field in fields(Link)}


class Links(Store):
    """Read and save links."""

    def links(self, entity: str) -> dict[str, Link]:
        """Source key → link, for the whole entity, with the fields not taken that are still remembered."""
        now = self._clock()
        with self._reading() as db:
            # The columns alone: an object of the session for each of thousands of links costs five times as much.
            rows = db.execute(select(*COLUMNS.values(), LinkRow.not_taken_until).where(LinkRow.entity == entity)).all()
        links = {}
        for *values, until in rows:
            link = Link(**dict(zip(COLUMNS, values, strict=True)))
            ended = {name for name, end in until.items() if datetime.fromisoformat(end) <= now}
            links[link.source_key] = link if not ended else replace(link, not_taken=_without(link.not_taken, ended))
        return links

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
                row = rows.get(pair.source_key) or LinkRow(entity=entity, source_key=pair.source_key)
                db.add(row)
                merge(row, pair, dict.fromkeys(pair.values), self._clock())


def put_link(
    db: Transaction,
    entity: str,
    pair: Agreed,
    not_taken: Mapping[str, str | None],
    now: datetime,
    not_taken_for: timedelta | None = None,
) -> None:
    """Remember one pair; a source record that was linked to this SafetyAmp record before loses it."""
    claimed = select(LinkRow).where(LinkRow.entity == entity, LinkRow.target_id == pair.target_id)
    loser = db.scalars(claimed.where(LinkRow.source_key != pair.source_key)).one_or_none()
    if loser is not None:
        db.delete(loser)
        db.flush()
    known = db.get(LinkRow, (entity, pair.source_key), with_for_update=True)
    row = known or LinkRow(entity=entity, source_key=pair.source_key)
    db.add(row)
    merge(row, pair, not_taken, now, not_taken_for)


def merge(
    row: LinkRow,
    pair: Agreed,
    not_taken: Mapping[str, str | None],
    now: datetime,
    not_taken_for: timedelta | None = None,
) -> None:
    """Bring the row up to date: values are merged into what was pushed before, `not_taken` replaces the hashes of the
    fields it names, None removes one.

    A source record that gets another SafetyAmp record starts from nothing: what was pushed to the old one says nothing
    about the new one.
    """
    if row.target_id != pair.target_id:
        row.target_id, row.pushed, row.not_taken, row.not_taken_until = pair.target_id, {}, {}, {}
    row.natural_key, row.updated_at = pair.natural_key, now
    row.pushed = {**row.pushed, **pair.values}
    row.not_taken = {field: hash for field, hash in {**row.not_taken, **not_taken}.items() if hash is not None}
    until = {} if not_taken_for is None else dict.fromkeys(not_taken, (now + not_taken_for).isoformat())
    kept = {field: end for field, end in row.not_taken_until.items() if field not in not_taken}
    row.not_taken_until = {field: end for field, end in {**kept, **until}.items() if field in row.not_taken}


def _without(not_taken: Mapping[str, str], ended: Set[str]) -> dict[str, str]:
    return {name: hash for name, hash in not_taken.items() if name not in ended}
