"""SafetyAmp's tables by id and by natural key, so that plans can use names and pushes ids."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.columns import Schema
from safetyamp_pipelines.sync.model.kinds import UpdateMethod
from safetyamp_pipelines.sync.model.snapshot import Record

Id = str | int


def at_path(record: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path (`current_title.id`); a list on the way means its first item; None when absent."""
    if "." not in path:
        return record.get(path)
    value: Any = record
    for part in path.split("."):
        if isinstance(value, list):
            value = value[0] if value else None
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def has_path(record: Mapping[str, Any], path: str) -> bool:
    """Whether the record has that path at all; null counts as a value."""
    if "." not in path:
        return path in record
    parent, _, last = path.rpartition(".")
    holder = at_path(record, parent) if parent else record
    if parent and holder is None:
        return has_path(record, parent)
    if isinstance(holder, list):
        return True
    return isinstance(holder, Mapping) and last in holder


def set_path(record: dict[str, Any], path: str, value: Any) -> None:
    """Write a value where it is read; a nested object is replaced by one that holds only that value, never changed."""
    parent, _, last = path.partition(".")
    record[parent] = value if not last else (None if value is None else {last: value})


def fold(value: Any, *, case: bool = False, numeric: bool = False) -> str:
    """The text two keys are compared by: trimmed, and where asked without regard to case or leading zeros."""
    folded = str(value).strip() if not numeric else clean.number(value, "") or ""
    return folded.casefold() if case else folded


@dataclass(frozen=True)
class Table:
    """One of SafetyAmp's tables, as an entity that writes or reads it declares it.

    `text` begins the sentence that describes it. `natural_key` reads the key that plans use from a row; it may ask
    the tables declared before. Where two rows have the same, the one with the field `code` keeps it. `update` is the
    verb of an update (None: nothing is ever written here), `always` are the fields that SafetyAmp insists on in every
    update.
    """

    name: str
    text: str
    schema: Schema
    natural_key: Callable[[Record, Mapping[str, TargetTable]], str | None]
    fold_case: bool = False
    code: str | None = None
    update: UpdateMethod | None = None
    always: tuple[str, ...] = ()


class TargetTable:
    """Rows of one SafetyAmp table. Ids are compared as they are: user ids are case-sensitive."""

    def __init__(
        self,
        table: Table,
        records: Iterable[Record],
        others: Mapping[str, TargetTable],
        linked: Mapping[Id, str] | None = None,
        known: Set[Id] = frozenset(),
    ) -> None:
        """`linked` gives rows the key they are linked by, whatever they say themselves; they go before the others, as
        do those in `known`, which speak for themselves."""
        self.name = table.name
        self.rows: dict[Id, Record] = {record["id"]: record for record in records}
        self._fold_case = table.fold_case
        self._keys: dict[Id, str] = {}
        self._ids: dict[str, Id] = {}
        linked = linked or {}

        def place(row_id: Id) -> tuple[bool, bool, bool, str]:
            is_coded = table.code is None or bool(self.rows[row_id].get(table.code))
            return (
                not (row_id in linked or row_id in known),
                not is_coded,
                isinstance(row_id, str),
                str(row_id).zfill(12),
            )

        for row_id in sorted(self.rows, key=place):
            named = linked.get(row_id) or table.natural_key(self.rows[row_id], others)
            folded = self.folded(named) if named else None
            if named is None or folded is None or folded in self._ids:
                named = f"{named or table.name} [{row_id}]"
            self._keys[row_id] = named
            self._ids.setdefault(self.folded(named), row_id)

    def folded(self, key: str) -> str:
        """The key as it is compared in this table."""
        return fold(key, case=self._fold_case)

    def key_of(self, row_id: Any) -> str | None:
        """The natural key of a row; None for an id that is not in the table, or is not an id."""
        return self._keys.get(row_id) if isinstance(row_id, str | int) else None

    def id_of(self, key: str) -> Id | None:
        """The id of a natural key; of two rows with the same key the older one answers, the other to key and id."""
        return self._ids.get(self.folded(key))


class References(Mapping[str, TargetTable]):
    """All of SafetyAmp's tables, keyed so that references resolve; a table that was not read is empty."""

    def __init__(
        self,
        tables: Iterable[Table],
        records: Mapping[str, Collection[Record]],
        linked: Mapping[str, Mapping[Id, str]] | None = None,
        claimed: Mapping[str, frozenset[Id]] | None = None,
        known: Mapping[str, Set[Id]] | None = None,
    ) -> None:
        """`linked` gives the keys of rows that are linked, by table and id; the other rows speak for themselves, but of
        two that say the same one in `known` is meant.
        `claimed` are rows that earlier plans of the run have recognised or will create, by table."""
        self._declared = {table.name: table for table in tables}
        self._records, self._linked, self.claimed, self._known = records, linked or {}, claimed or {}, known or {}
        self._keyed: dict[str, TargetTable] = {}

    def renamed(self, linked: Mapping[str, Mapping[Id, str]]) -> References:
        """The same rows under the keys they are linked by, and under those that follow from these."""
        return References(self._declared.values(), self._records, linked, self.claimed, self._known)

    def with_rows(self, table: str, rows: Collection[Record], claimed: Set[Id] = frozenset()) -> References:
        """The same tables, one of them with other rows, of which these have been claimed besides."""
        now = {**self.claimed, table: self.claimed.get(table, frozenset()) | claimed}
        records = {**self._records, table: rows}
        return References(self._declared.values(), records, claimed=now, known=self._known)

    def __getitem__(self, table: str) -> TargetTable:
        """A table by its name; its rows get their keys when it is first asked for."""
        if table not in self._keyed:
            rows, linked = self._records.get(table, ()), self._linked.get(table)
            known = self._known.get(table, frozenset())
            self._keyed[table] = TargetTable(self._declared[table], rows, self, linked, known)
        return self._keyed[table]

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)
