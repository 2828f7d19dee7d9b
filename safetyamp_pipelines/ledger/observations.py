"""Observations: how many rows each whole read of a SafetyAmp table gave. The rows themselves are snapshots."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from safetyamp_pipelines.ledger.models import ObservationRow
from safetyamp_pipelines.ledger.store import Store


class Observations(Store):
    """Remember the size of each table, to notice one that shrank."""

    def record_observation(self, table: str, rows: int, at: datetime) -> None:
        """Add a whole read of `table` (its SafetyAmp name) that gave `rows` rows at `at`."""
        with self._writing() as db:
            db.add(ObservationRow(table_name=table, rows=rows, at=at))

    def previous_rows(self, table: str) -> int | None:
        """The rows of the last whole read, None when the table was never read."""
        query = select(ObservationRow.rows).where(ObservationRow.table_name == table)
        with self._reading() as db:
            return db.scalar(query.order_by(ObservationRow.at.desc(), ObservationRow.id.desc()).limit(1))
