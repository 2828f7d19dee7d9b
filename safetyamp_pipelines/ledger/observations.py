"""Observations: how many rows each whole read of a table gave. The rows themselves are snapshots."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import insert, select, union_all

from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.schema import observations


class Observations(Store):
    """Remember the size of each table, to notice one that shrank.

    A table is named as its readers name it: `users` is SafetyAmp's, `viewpoint/employees` a snapshot of a source.
    """

    def record_observation(self, table: str, rows: int, at: datetime, calls: int | None = None) -> None:
        """Add a whole read of `table` that gave `rows` rows at `at`, with so many calls to SafetyAmp, if any."""
        with self._writing() as db:
            db.execute(insert(observations).values(table_name=table, rows=rows, at=at, calls=calls))

    def previous_rows(self, table: str) -> int | None:
        """The rows of the last whole read, None when the table was never read."""
        return self.previous_rows_of([table]).get(table)

    def previous_rows_of(self, tables: Iterable[str]) -> dict[str, int]:
        """Table → rows of its last whole read, without those that were never read; one query for all."""
        newest = [
            select(observations.c.table_name, observations.c.rows)
            .where(observations.c.table_name == table)
            .order_by(observations.c.at.desc(), observations.c.id.desc())
            .limit(1)
            .subquery()
            for table in sorted(set(tables))
        ]
        if not newest:
            return {}
        with self._reading() as db:
            found = db.execute(union_all(*(select(table) for table in newest)))
            return {row.table_name: row.rows for row in found}

    def reads_noted(self, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
        """When SafetyAmp's tables were read whole in this time, and with how many calls each, oldest first."""
        at, calls = observations.c.at, observations.c.calls
        query = select(at, calls).where(at >= start, at < end, calls.is_not(None)).order_by(at)
        with self._reading() as db:
            return [(moment, number or 0) for moment, number in db.execute(query)]
