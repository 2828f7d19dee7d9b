"""Ready-made entries of a ledger: changes, refusals and links, written through its own doors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import RowMapping, select

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.ledger.schema import metadata
from safetyamp_pipelines.sync.model.plan import Action, Agreed, Change
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.pushing.refusals import Category, Explained, Offence

WEEK = timedelta(days=7)


def change_of(
    source_key: str,
    after: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
    *,
    action: str = "create",
    target_id: Id | None = None,
    natural_key: str = "",
    payload_hash: str = "payload-hash",
    wave: int = 0,
) -> Change:
    """A change that writes `after` where `before` stood."""
    fields = {name: ((before or {}).get(name), value) for name, value in after.items()}
    return Change(
        Action(action), source_key, natural_key or source_key, target_id, fields, "a rule", payload_hash, wave
    )


def refuse(
    ledger: Ledger,
    entity: str,
    *keys: str,
    fields: Mapping[str, tuple[str, str]] | None = None,
    cause: Mapping[str, Any] | None = None,
    change: Change | None = None,
    expires_after: timedelta = WEEK,
) -> None:
    """SafetyAmp has refused these records; `fields` maps an offending field to (category, suggestion)."""
    told = {name: Offence(name, Category(kind), mend) for name, (kind, mend) in (fields or {}).items()}
    for key in keys:
        refused, explained = change or change_of(key, {}, payload_hash="p1"), Explained(told, cause or {})
        ledger.save_failure(entity, refused, explained, http_status=422, expires_after=expires_after)


def link(ledger: Ledger, entity: str, key: str, target_id: Id, values: Mapping[str, Any] | None = None) -> None:
    """The pair is remembered, with what both sides share."""
    ledger.save_links(entity, [Agreed(key, key, target_id, values or {})])


def stored(ledger: Ledger, name: str) -> Sequence[RowMapping]:
    """The rows of one of the ledger's tables, newest first."""
    table = metadata.tables[f"ledger_{name}"]
    with ledger._engine.connect() as connection:
        return connection.execute(select(table).order_by(table.c.id.desc())).mappings().all()
