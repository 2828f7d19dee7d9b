"""Links: which SafetyAmp record is which source record, and what was last pushed to it.

A SafetyAmp record has one source record. When another one claims it, the claim wins and the older link goes: the
planner recognises records by their links first, so that only the link of a source record which vanished can be claimed,
as when a vehicle is entered again in Samsara. A refusal here would stop every push until a person came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.failures import clear_settled
from safetyamp_pipelines.ledger.statements import many, put, row_at
from safetyamp_pipelines.sync.model.plan import Agreed
from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.tables import Id

c = t.links.c
COLUMNS = {field.name: c[field.name] for field in fields(Link)}
NOTHING: Mapping[Any, Any] = {"pushed": {}, "not_taken": {}, "not_taken_until": {}}


class Links(Store):
    """Read and save links."""

    def links(self, entity: str) -> dict[str, Link]:
        """Source key → link, for the whole entity, with the fields not taken that are still remembered."""
        now = self._clock()
        with self._reading() as db:
            rows = db.execute(select(*COLUMNS.values(), c.not_taken_until).where(c.entity == entity)).all()
        links = {}
        for *values, until in rows:
            link = Link(**dict(zip(COLUMNS, values, strict=True)))
            ended = {name for name, end in until.items() if datetime.fromisoformat(end) <= now}
            links[link.source_key] = link if not ended else replace(link, not_taken=_without(link.not_taken, ended))
        return links

    def linked_ids(self, entity: str) -> frozenset[Id]:
        """The SafetyAmp records to which the entity's are linked."""
        with self._reading() as db:
            return frozenset(db.scalars(select(c.target_id).where(c.entity == entity)))

    def save_links(self, entity: str, agreed: Iterable[Agreed]) -> None:
        """Remember records that were recognised in SafetyAmp, all at once, and the values both sides share.

        A field that both sides share is no longer one that SafetyAmp did not take, or refused.
        """
        pairs = tuple(agreed)
        if not pairs:
            return
        claims = {pair.target_id: pair.source_key for pair in pairs}
        with self._writing() as db:
            own = c.entity == entity
            rows = {row["source_key"]: row for row in db.execute(select(t.links).where(own)).mappings()}
            lost = [{"lost": key} for key, row in rows.items() if claims.get(row["target_id"], key) != key]
            # Deletions first: a SafetyAmp id is unique.
            many(db, delete(t.links).where(own, c.source_key == bindparam("lost")), lost)
            for one in lost:
                del rows[one["lost"]]
            now = self._clock()
            merged = {
                pair.source_key: merge(rows.get(pair.source_key), pair, dict.fromkeys(pair.values), now)
                for pair in pairs
            }
            changed = update(t.links).where(own, c.source_key == bindparam("known"))
            many(db, changed, [{"known": key, **values} for key, values in merged.items() if key in rows])
            new = [(key, values) for key, values in merged.items() if key not in rows]
            many(db, insert(t.links), [{"entity": entity, "source_key": key, **values} for key, values in new])
            clear_settled(db, entity, pairs)


def put_link(
    db: Connection,
    entity: str,
    pair: Agreed,
    not_taken: Mapping[str, str | None],
    now: datetime,
    not_taken_for: timedelta | None = None,
) -> None:
    """Remember one pair; a source record that was linked to this SafetyAmp record before loses it."""
    claimed = delete(t.links).where(c.entity == entity, c.target_id == pair.target_id)
    db.execute(claimed.where(c.source_key != pair.source_key))
    known = row_at(db, t.links, entity, pair.source_key, lock=True)
    values = merge(known, pair, not_taken, now, not_taken_for)
    put(db, t.links, [entity, pair.source_key], values, known=known is not None)


def merge(
    before: Mapping[Any, Any] | None,
    pair: Agreed,
    not_taken: Mapping[str, str | None],
    now: datetime,
    not_taken_for: timedelta | None = None,
) -> dict[str, Any]:
    """The columns brought up to date: values are merged into what was pushed before, `not_taken` replaces the hashes
    of the fields it names, None removes one.

    A source record that gets another SafetyAmp record starts from nothing: what was pushed to the old one says nothing
    about the new one.
    """
    if before is None or before["target_id"] != pair.target_id:
        before = NOTHING
    left = {field: hash for field, hash in {**before["not_taken"], **not_taken}.items() if hash is not None}
    until = {} if not_taken_for is None else dict.fromkeys(not_taken, (now + not_taken_for).isoformat())
    kept = {field: end for field, end in before["not_taken_until"].items() if field not in not_taken}
    return {
        "target_id": pair.target_id,
        "natural_key": pair.natural_key,
        "pushed": {**before["pushed"], **pair.values},
        "not_taken": left,
        "not_taken_until": {field: end for field, end in {**kept, **until}.items() if field in left},
        "updated_at": now,
    }


def _without(not_taken: Mapping[str, str], ended: Set[str]) -> dict[str, str]:
    return {name: hash for name, hash in not_taken.items() if name not in ended}
