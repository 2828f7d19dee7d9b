"""Taking in the records a SafetyAmp starts with: flattening, dates, and the check that they hang together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from safetyamp_pipelines.sandbox.safetyamp_schema import TABLES
from safetyamp_pipelines.sandbox.safetyamp_views import Row

SEEDED_AT = datetime(2025, 3, 1, 10, tzinfo=UTC)

Rows = Mapping[str, Mapping[Any, Row]]  # table -> id -> stored record


def flat(records: Iterable[Row]) -> Iterator[Row]:
    """The records and, parents first, their nested `children`."""
    for record in records:
        yield record
        yield from flat(record.get("children") or ())


def moment(table: str, at: datetime) -> str:
    """A time as the table shows it: roles in ISO 8601 with microseconds, the rest without zone, both UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if table == "roles" else "%Y-%m-%d %H:%M:%S")


def verify(rows: Rows) -> None:
    """Raise ValueError for a reference that leads nowhere and for a cluster below itself."""
    for table in TABLES:
        for row in rows[table].values():
            _verify_references(table, row, rows)
    for cluster in rows["site_clusters"].values():
        _verify_root(cluster, rows)


def _verify_references(table: str, row: Row, rows: Rows) -> None:
    for name, spec in TABLES[table].fields.items():
        if spec.kind not in ("reference", "references"):
            continue
        ids = row[name] if spec.kind == "references" else [row[name]]
        if lost := [id_ for id_ in ids if id_ is not None and id_ not in rows[spec.to]]:
            raise ValueError(f"{table} {row['id']!r}: {name} leads to no record of {spec.to}: {lost!r}")


def _verify_root(cluster: Row, rows: Rows) -> None:
    seen, above = {cluster["id"]}, cluster
    while (parent_id := above["parent_cluster_id"]) is not None:
        if parent_id in seen:
            raise ValueError(f"site_clusters {cluster['id']!r} stands below itself")
        seen.add(parent_id)
        above = rows["site_clusters"][parent_id]
