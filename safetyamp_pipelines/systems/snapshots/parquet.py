"""A snapshot as the bytes that are stored, and back. Where they are kept is in `store.py`.

Apart from `resources/io_manager.py`, so that commands that only look do not import Dagster, which takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from safetyamp_pipelines.sync.model.errors import SnapshotUnreadable
from safetyamp_pipelines.sync.model.snapshot import Certificate, Snapshot

SNAPSHOT_KIND = "snapshot"


def snapshot_to_parquet(snapshot: Snapshot) -> bytes:
    """The records, whole and in order: one column `record` of JSON text, and one `as_read` where that differs; zstd."""
    texts = [json.dumps(dict(record), ensure_ascii=False, allow_nan=False) for record in snapshot.records]
    sink = pa.BufferOutputStream()
    columns: dict[str, list[str | None]] = {"record": list(texts)}
    if snapshot.as_read:
        columns["as_read"] = [snapshot.as_read.get(place) for place in range(len(texts))]
    table = pa.table({name: pa.array(column, pa.large_string()) for name, column in columns.items()})
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def snapshot_from_parquet(payload: bytes, manifest: Mapping[str, Any], *, to_look: bool = False) -> Snapshot:
    """The snapshot again, verified against its certificate; raises SnapshotError when they do not fit.

    Who only looks goes without hashing every record again: the store compares the payload with its manifest.
    """
    try:
        # Not `read_table`: it goes through datasets, and those load pandas where it is installed.
        columns = pq.ParquetFile(pa.BufferReader(payload)).read().to_pydict()
        certificate = Certificate(**manifest["certificate"])
        table, notices = str(manifest["table"]), tuple(manifest["notices"])
        # All in one text: a name of a field is then kept once, and not once for each of thousands of rows.
        records = tuple(json.loads(f"[{','.join(columns['record'])}]"))
        if len(records) != len(columns["record"]):
            raise ValueError("a row is not one JSON value")
        as_read = {place: text for place, text in enumerate(columns.get("as_read", ())) if text is not None}
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise SnapshotUnreadable(f"a snapshot cannot be read ({type(error).__name__}): materialise it again") from error
    made = Snapshot(table, records, certificate, notices, as_read)
    return made.vouched_for() if to_look else made.verified()
