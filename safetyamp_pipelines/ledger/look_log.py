"""Who looked at whom on the desk, and when: reading personal data is recorded, too."""

from __future__ import annotations

from sqlalchemy import insert

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import Store


class LookLog(Store):
    """Log looks, for whoever asks the database."""

    def log_look(self, who: str, entity: str, source_key: str) -> None:
        """Somebody looks at a record now, or with the key `*` at a page that lists many."""
        with self._writing() as db:
            db.execute(insert(t.looks).values(at=self._clock(), who=who, entity=entity, source_key=source_key))
