"""Refusing what must wait until a call for the record has its answer."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from safetyamp_pipelines.ledger.ledger_errors import IntentUnsettled
from safetyamp_pipelines.ledger.schema import ChangeRow


def refuse_open(db: Transaction, entity: str, source_key: str, *, then: str) -> None:
    """IntentUnsettled when a call for the record has no answer; `then` is what is to be done afterwards."""
    query = select(func.count()).where(ChangeRow.entity == entity, ChangeRow.source_key == source_key)
    if db.scalar(query.where(ChangeRow.status.is_(None))):
        raise IntentUnsettled(entity, source_key, then)
