"""Snapshots: all raw records of one table with the certificate that the read was whole. No storage here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any

from safetyamp_pipelines.sync.model.errors import SnapshotError

Record = Mapping[str, Any]
Columns = dict[str, list[Any]]
"""Working columns of an entity, all of one length: by `table.Column`, `sync.yaml.<path>` and `rule.<name>`."""


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no blanks, UTF-8 kept. Equal values give equal texts."""
    return _CANONICAL.encode(value)


def content_hash(records: Iterable[Record]) -> str:
    """SHA-256 over the records' canonical JSON, in the order given."""
    return _hash_of(map(canonical_json, records))


def _hash_of(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\n")
    return digest.hexdigest()


@dataclass(frozen=True)
class Certificate:
    """Evidence that a read was whole. `read_at` is ISO 8601 UTC; `unique_keys` equals `rows` when keys are unique."""

    pages: int
    rows: int
    unique_keys: int
    content_hash: str
    read_at: str


@dataclass(frozen=True)
class Snapshot:
    """All raw records of one table, JSON values only, sorted by key. `notices` say what was degraded and why."""

    table: str
    records: tuple[Record, ...]
    certificate: Certificate | None
    notices: tuple[str, ...] = field(default=())

    @classmethod
    def certified(
        cls,
        table: str,
        records: Iterable[Record],
        *,
        key: Callable[[Record], Any],
        pages: int,
        read_at: str,
        notices: Iterable[str] = (),
    ) -> Snapshot:
        """Sort the records by key and certify them. The caller vouches that it saw every page."""
        texts = sorted(
            ((canonical_json(key(record)), canonical_json(record), record) for record in records), key=itemgetter(0, 1)
        )
        rows = tuple(record for _, _, record in texts)
        keys = {text for text, _, _ in texts}
        certificate = Certificate(pages, len(rows), len(keys), _hash_of(text for _, text, _ in texts), read_at)
        made = cls(table, rows, certificate, tuple(notices))
        vars(made)["_fits"] = True  # the hash is of these very rows
        return made

    @property
    def read_at(self) -> str:
        """When it was read (ISO 8601 UTC); SnapshotError for one without a certificate."""
        if self.certificate is None:
            raise SnapshotError(f"{self.table}: the snapshot has no certificate; materialise it again")
        return self.certificate.read_at

    def verified(self) -> Snapshot:
        """This snapshot, or SnapshotError when its certificate is missing or does not fit its records."""
        if self.certificate is None:
            raise SnapshotError(f"{self.table}: the snapshot has no certificate; materialise it again")
        if not self._fits:
            raise SnapshotError(f"{self.table}: the snapshot does not match its certificate; materialise it again")
        return self

    @cached_property
    def _fits(self) -> bool:
        """Whether the certificate is of these records; found out once, since neither ever changes."""
        held = self.certificate
        return held is not None and held.rows == len(self.records) and held.content_hash == content_hash(self.records)

    def manifest(self) -> dict[str, Any]:
        """The certificate and notices as plain values; raises SnapshotError without a certificate."""
        certificate = self.verified().certificate
        assert certificate is not None
        return {"table": self.table, "certificate": asdict(certificate), "notices": list(self.notices)}
