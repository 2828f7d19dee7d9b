"""SafetyAmp's records in one flat shape, for what is expected and for what is there alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Token = Any  # the id of a record that was there before, ("new", natural key) of one to be created
Tables = Mapping[str, list[Row]]

FIELDS = {
    "site_clusters": ("name", "parent_cluster_id", "external_code", "osha_establishment"),
    "sites": (
        *("name", "ext_id", "cluster_id", "street", "street2", "city", "state", "zip_code", "country", "timezone"),
        *("em_enabled",),
    ),
    "user_titles": ("name",),
    "users": (
        *("emp_id", "first_name", "last_name", "middle_name", "nickname", "email", "gender", "date_of_birth"),
        *("current_hire_date", "rehire_date", "mobile_phone", "work_phone", "home_phone", "extension", "street"),
        *("street2", "city", "state", "zip_code", "country", "home_site_id", "current_title_id", "roles", "sites"),
        *("current_supervisor_id", "system_access", "bypass_sso", "text_opt_out", "timezone", "activated", "owner"),
    ),
    "assets": (
        *("code", "name", "site_id", "status", "serial", "model", "asset_type_id", "current_user_id", "location_id"),
    ),
}
REFERENCES = {
    "parent_cluster_id": "site_clusters",
    "cluster_id": "site_clusters",
    "home_site_id": "sites",
    "site_id": "sites",
    "current_title_id": "user_titles",
    "current_supervisor_id": "users",
    "current_user_id": "users",
}
NEW = {
    "site_clusters": {"osha_establishment": 0},
    "sites": {"em_enabled": False},
    "users": {
        **{"roles": [], "sites": [], "bypass_sso": False, "text_opt_out": 0, "activated": True, "owner": False},
        "system_access": True,
    },
    "assets": {"status": 1},
}


def natural_key(table: str, row: Mapping[str, Any]) -> Any:
    """What a created record is known by."""
    match table:
        case "site_clusters":
            return row["external_code"]
        case "sites":
            return row["ext_id"]
        case "user_titles":
            return row["name"].casefold()
        case "users":
            return row["emp_id"]
    return row["serial"]


@dataclass
class Book:
    """The five tables that are written, by token; `fixed` are those that are only read."""

    rows: dict[str, dict[Token, Row]]
    fixed: dict[str, list[Row]] = field(default_factory=dict)

    def find(self, table: str, **wanted: Any) -> list[Token]:
        """The records whose fields are as wanted."""
        return [t for t, row in self.rows[table].items() if all(row[name] == value for name, value in wanted.items())]

    def add(self, table: str, **fields: Any) -> Token:
        """A record to be created."""
        row = {**dict.fromkeys(FIELDS[table]), **NEW.get(table, {}), **fields}
        token = ("new", natural_key(table, row))
        self.rows[table][token] = row
        return token

    def set(self, table: str, token: Token, **fields: Any) -> None:
        """Source values win, and an empty one never blanks what is there."""
        self.rows[table][token].update({name: value for name, value in fields.items() if value is not None})


def read(tables: Tables, known: Mapping[str, Iterable[Any]] | None = None) -> Book:
    """The tables as a book. With `known` (ids by table) every other record is one created since."""
    ids: dict[str, dict[Any, Token]] = {table: {} for table in FIELDS}
    for table in FIELDS:
        before = None if known is None else set(known[table])
        for row in tables[table]:
            ids[table][row["id"]] = (
                row["id"] if before is None or row["id"] in before else ("new", natural_key(table, row))
            )
    rows = {table: {ids[table][row["id"]]: _flat(table, row, ids) for row in tables[table]} for table in FIELDS}
    fixed = {table: list(tables[table]) for table in ("roles", "asset_types")}
    return Book(rows, fixed)


def _flat(table: str, row: Row, ids: Mapping[str, Mapping[Any, Token]]) -> Row:
    flat = {name: _value(name, row, ids) for name in FIELDS[table]}
    if table == "users":
        flat["email"] = (flat["email"] or "").lower() or None
    return flat


def _value(name: str, row: Row, ids: Mapping[str, Mapping[Any, Token]]) -> Any:
    if name in ("roles", "sites"):
        return sorted(item["name"] for item in row[name])
    value = (row["current_title"] or {}).get("id") if name == "current_title_id" else row[name]
    return ids[REFERENCES[name]].get(value) if name in REFERENCES else value
