"""Snapshots: all raw records of one table with the certificate that the read was whole. No storage here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

from safetyamp_pipelines.sync.model.errors import SnapshotError
from safetyamp_pipelines.sync.model.text import UNREADABLE, displayed, is_suspect, usable

NAMED = 20
"""So many fields are named in a notice; the rest is counted."""

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


class _Read(NamedTuple):
    """A record that came in: usable, its canonical JSON, the fields that were not, and what they were."""

    record: Record
    text: str
    fields: tuple[str, ...] = ()
    as_read: str | None = None


def _read(record: Record) -> _Read:
    with suppress(ValueError, RecursionError):  # NaN, and what is nested without end
        text = canonical_json(record)
        if not is_suspect(text):
            return _Read(record, text)
    made: dict[str, Any] = usable(dict(record))
    fields = tuple(
        name for name, value in made.items() if record.get(name) != value or UNREADABLE in canonical_json(value)
    )
    try:
        as_read = None if made == record else json.dumps(dict(record))
    except RecursionError:
        as_read = None
    return _Read(made, canonical_json(made), fields, as_read)


def _unreadable(fields: Sequence[str]) -> Iterator[str]:
    if fields:
        more = f" and {len(fields) - NAMED} more" if len(fields) > NAMED else ""
        yield f"values that cannot be read or stored as they are were made usable: {', '.join(fields[:NAMED])}{more}"


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
    as_read: Mapping[int, str] = field(default_factory=dict)
    """Position → JSON of a record as it was read, where something in it could not be used."""

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
        """Sort the records by key and certify them. The caller vouches that it saw every page.

        This is the one door through which outside text comes in: what no later part could hold is made usable here,
        with a notice for each field, and the record as it was read is kept beside it.
        """
        texts = sorted(
            ((canonical_json(key(one.record)), one.text, one.as_read or "", one) for one in map(_read, records)),
            key=itemgetter(0, 1, 2),
        )
        rows = tuple(one.record for *_, one in texts)
        keys = {text for text, *_ in texts}
        certificate = Certificate(pages, len(rows), len(keys), _hash_of(one.text for *_, one in texts), read_at)
        unreadable = [f"{displayed(name, 60)} of {text}" for text, *_, one in texts for name in one.fields]
        return cls(
            table,
            rows,
            certificate,
            (*notices, *_unreadable(unreadable)),
            {place: one.as_read for place, (*_, one) in enumerate(texts) if one.as_read is not None},
        ).vouched_for()  # the hash is of these very rows

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

    def vouched_for(self) -> Snapshot:
        """This snapshot, whose records the caller knows to be those that were certified."""
        vars(self)["_fits"] = self.certificate is not None
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
