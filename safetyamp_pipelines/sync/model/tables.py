"""SafetyAmp's tables by id and by natural key, so that plans can speak of names and pushes of ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.snapshot import Record

Id = str | int


def at_path(record: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path (`current_title.id`); a list on the way means its first item; None when absent."""
    value: Any = record
    for part in path.split("."):
        if isinstance(value, list):
            value = value[0] if value else None
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def has_path(record: Mapping[str, Any], path: str) -> bool:
    """Whether the record speaks of that path at all; null is speaking."""
    parent, _, last = path.rpartition(".")
    holder = at_path(record, parent) if parent else record
    if parent and holder is None:
        return has_path(record, parent)
    if isinstance(holder, list):
        return True
    return isinstance(holder, Mapping) and last in holder


def set_path(record: dict[str, Any], path: str, value: Any) -> None:
    """Write a value where it is read; a nested object is replaced by one that holds only that value."""
    parent, _, last = path.partition(".")
    record[parent] = value if not last else (None if value is None else {last: value})


def fold(value: Any, *, case: bool = False, numeric: bool = False) -> str:
    """The text two keys are compared by: trimmed, and where asked without regard to case or leading zeros."""
    folded = str(value).strip() if not numeric else clean.number(value, "") or ""
    return folded.casefold() if case else folded


class TargetTable:
    """Rows of one SafetyAmp table. Ids are compared as they are: user ids are case-sensitive."""

    def __init__(
        self,
        name: str,
        records: Iterable[Record],
        natural_key: Callable[[Record], str | None],
        *,
        fold_case: bool = False,
        linked: Mapping[Id, str] | None = None,
    ) -> None:
        """`linked` gives rows the key they are linked by, whatever they say themselves; they go before the others."""
        self.name = name
        self.rows: dict[Id, Record] = {record["id"]: record for record in records}
        self._fold_case = fold_case
        self._keys: dict[Id, str] = {}
        self._ids: dict[str, Id] = {}
        linked = linked or {}
        for row_id in sorted(self.rows, key=lambda i: (i not in linked, isinstance(i, str), str(i).zfill(12))):
            named = linked.get(row_id) or natural_key(self.rows[row_id])
            folded = self.folded(named) if named else None
            if named is None or folded is None or folded in self._ids:
                self._keys[row_id] = f"{named or name} [{row_id}]"
                continue
            self._keys[row_id] = named
            self._ids[folded] = row_id

    def folded(self, key: str) -> str:
        """The key as it is compared in this table."""
        return fold(key, case=self._fold_case)

    def key_of(self, row_id: Any) -> str | None:
        """The natural key of a row; None for an id that is not in the table."""
        return self._keys.get(row_id)

    def id_of(self, key: str) -> Id | None:
        """The id of a natural key; of two rows with the same key the older one answers."""
        return self._ids.get(self.folded(key))


def _site_key(clusters: TargetTable) -> Callable[[Record], str | None]:
    def natural_key(record: Record) -> str | None:
        code = clean.key(record.get("ext_id") or "", "")
        if code:
            return code
        return f"{record.get('name')} @ {clusters.key_of(record.get('cluster_id')) or 'no cluster'}"

    return natural_key


class References:
    """All SafetyAmp tables at hand, keyed so that references resolve: clusters before sites before asset types."""

    def __init__(
        self, records: Mapping[str, Iterable[Record]], linked: Mapping[str, Mapping[Id, str]] | None = None
    ) -> None:
        """`linked` gives the keys of rows that are linked, by table and id; the other rows speak for themselves."""
        keys = linked or {}

        def table(name: str, key: Callable[[Record], str | None], *, fold_case: bool = False) -> TargetTable:
            return TargetTable(name, records.get(name, ()), key, fold_case=fold_case, linked=keys.get(name))

        clusters = table(
            "site_clusters", lambda r: clean.text(r.get("external_code") or r.get("name") or "", ""), fold_case=True
        )
        sites = table("sites", _site_key(clusters))
        self.tables: dict[str, TargetTable] = {
            "site_clusters": clusters,
            "sites": sites,
            "user_titles": table("user_titles", lambda r: clean.text(r.get("name") or "", ""), fold_case=True),
            "roles": table("roles", lambda r: clean.text(r.get("name") or "", ""), fold_case=True),
            "users": table("users", lambda r: clean.number(r.get("emp_id") or "", "")),
            "asset_types": table(
                "asset_types",
                lambda r: f"{r.get('name')} @ {sites.key_of(r.get('site_id')) or 'no site'}",
                fold_case=True,
            ),
            "assets": table("assets", lambda r: clean.text(r.get("serial") or "", "")),
        }

    def renamed(self, linked: Mapping[str, Mapping[Id, str]]) -> References:
        """The same rows under the keys they are linked by, and under those that follow from these."""
        return References({name: table.rows.values() for name, table in self.tables.items()}, linked)

    def with_rows(self, table: str, rows: Iterable[Record]) -> References:
        """The same tables, one of them as it was read again."""
        return References({name: known.rows.values() for name, known in self.tables.items()} | {table: rows})

    def __getitem__(self, table: str) -> TargetTable:
        return self.tables[table]
