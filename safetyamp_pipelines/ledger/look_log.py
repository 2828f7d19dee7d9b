"""Who looked at whom on the desk, and when: reading personal data is recorded, too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.statements import records


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at a record, or with the key `*` at a page that lists many. A forgotten record's key is empty."""

    at: datetime
    who: str
    entity: str
    source_key: str


class LookLog(Store):
    """Log looks, list them."""

    def log_look(self, who: str, entity: str, source_key: str) -> None:
        """Somebody looks at a record now."""
        with self._writing() as db:
            db.execute(insert(t.looks).values(at=self._clock(), who=who, entity=entity, source_key=source_key))

    def looks(self, limit: int = 200) -> list[Look]:
        """The newest looks, newest first."""
        with self._reading() as db:
            return records(Look, db, select(t.looks).order_by(t.looks.c.id.desc()).limit(limit))
