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
ROWS = 2_000
"""Records in one row group."""


def snapshot_to_parquet(snapshot: Snapshot) -> bytes:
    """The records, whole and in order: one column `record` of JSON text, and one `as_read` where that differs; zstd."""
    names = ["record", "as_read"] if snapshot.as_read else ["record"]
    schema, sink = pa.schema([(name, pa.large_string()) for name in names]), pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        # Some at a time: the texts of 20,000 records, held three times over, took 60 MB that the run never got back.
        for start in range(0, len(snapshot.records), ROWS):
            rows = snapshot.records[start : start + ROWS]
            texts = [json.dumps(dict(record), ensure_ascii=False, allow_nan=False) for record in rows]
            as_read = [snapshot.as_read.get(place) for place in range(start, start + len(rows))]
            writer.write_table(pa.table([texts, as_read][: len(names)], schema=schema))
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
