"""The two shapes of a record: as SafetyAmp shows it (nested objects) and as it is stored (ids). Pure functions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from safetyamp_pipelines.sandbox.safetyamp_schema import AUDIT, NESTED, NEW_RECORD, TABLES

Row = Mapping[str, Any]
Lookup = Callable[[str, Any], Row | None]  # (table, id) -> the stored row, hidden or not

_SITE_SUMMARY = ("id", "name", "street", "street2", "city", "state", "country", "zip_code")


def stored_fields(table: str) -> tuple[str, ...]:
    """Every field a stored record of the table has, `id` first."""
    schema = TABLES[table]
    names = ("id", *schema.fields, *schema.extras, *(AUDIT if schema.audited else ("created_at", "updated_at")))
    return tuple(dict.fromkeys(names))


def blank(table: str) -> dict[str, Any]:
    """A stored record without values."""
    row: dict[str, Any] = dict.fromkeys(stored_fields(table))
    for name, value in {**TABLES[table].extras, **NEW_RECORD.get(table, {})}.items():
        row[name] = list(value) if isinstance(value, tuple) else value
    return row


def to_stored(table: str, shown: Row) -> dict[str, Any]:
    """A record given in the shape of a listing (or under written names) as it is stored, fields it lacks left out.

    Raises ValueError for a field SafetyAmp does not have, so that a misspelt seed is not silently half a seed.
    """
    row: dict[str, Any] = {}
    for name, value in shown.items():
        if name in NESTED.get(table, {}):
            if value is not None:
                row.setdefault(NESTED[table][name], value["id"])
        elif name in TABLES[table].fields and TABLES[table].fields[name].kind == "references":
            row[name] = [item["id"] if isinstance(item, Mapping) else item for item in value]
        elif table == "site_clusters" and name in ("path", "depth", "children"):
            continue  # they follow from the parents
        elif name in stored_fields(table):
            row[name] = value
        else:
            raise ValueError(f"{table} has no field {name!r}")
    for name, spec in TABLES[table].fields.items():
        if spec.shown_as_bool and name in row:
            row[name] = bool(row[name])
    return row


def to_shown(table: str, row: Row, lookup: Lookup, *, with_supervisor: bool = False) -> dict[str, Any]:
    """A stored record as the API shows it, sharing nothing with the stored one."""
    match table:
        case "users":
            return _user(row, lookup, with_supervisor)
        case "assets":
            return _asset(row, lookup)
        case "site_clusters":
            return {**row, **_place_in_tree(row, lookup)}
        case "asset_types":
            shown = {name: row[name] for name in ("id", "name", "site_id", "asset_category_id")}
            return {**shown, "relationships": copy.deepcopy(row["relationships"])}
        case "asset_categories":
            return {"id": row["id"], "name": row["name"]}
    return dict(row)


def tree(clusters: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Shown clusters as roots with nested `children`."""
    nodes = {cluster["id"]: {**cluster, "children": []} for cluster in clusters}
    roots: list[dict[str, Any]] = []
    for node in nodes.values():
        parent = nodes.get(node["parent_cluster_id"])
        (parent["children"] if parent else roots).append(node)
    return roots


def _user(row: Row, lookup: Lookup, with_supervisor: bool) -> dict[str, Any]:
    hidden = ("current_title_id", "current_supervisor_id", "created_at", "updated_at")
    user = {name: value for name, value in row.items() if name not in hidden}
    home, title = lookup("sites", row["home_site_id"]), lookup("user_titles", row["current_title_id"])
    user["home_site"] = {name: home[name] for name in _SITE_SUMMARY} if home else None
    user["current_title"] = {"id": title["id"], "name": title["name"]} if title else None
    user["roles"] = [dict(role) for role in _found("roles", row["roles"], lookup)]
    # Inside a user the contract shows the site's author as a number, elsewhere as a user id.
    user["sites"] = [{**site, "created_by": 1, "updated_by": 1} for site in _found("sites", row["sites"], lookup)]
    if with_supervisor:
        boss = lookup("users", row["current_supervisor_id"])
        user["current_supervisor"] = {name: boss[name] for name in ("id", "first_name", "last_name")} if boss else None
    return user


def _asset(row: Row, lookup: Lookup) -> dict[str, Any]:
    asset = dict(row)
    kind, holder = lookup("asset_types", row["asset_type_id"]), lookup("users", row["current_user_id"])
    site, location = lookup("sites", row["site_id"]), lookup("locations", row["location_id"])
    asset["asset_type"] = (
        {**{name: kind[name] for name in ("id", "name", "site_id", "asset_category_id")}, "templates": []}
        if kind
        else None
    )
    asset["current_user"] = None
    if holder:
        title = lookup("user_titles", holder["current_title_id"])
        asset["current_user"] = {
            **{name: holder[name] for name in ("id", "emp_id", "first_name", "last_name", "email")},
            "current_title": title["name"] if title else None,  # a text here, an object in a user
        }
    asset["site"] = dict(site) if site else None
    asset["location"] = {name: location[name] for name in ("id", "name", "site_id")} if location else None
    return asset


def _found(table: str, ids: Iterable[Any], lookup: Lookup) -> list[Row]:
    return [row for id_ in ids if (row := lookup(table, id_)) is not None]


def _place_in_tree(row: Row, lookup: Lookup) -> dict[str, Any]:
    """`path` and `depth`; a seeded cluster below itself is refused when the records are taken in."""
    above, ids = row, [row["id"]]
    while (parent := lookup("site_clusters", above["parent_cluster_id"])) is not None:
        ids.insert(0, parent["id"])
        above = parent
    return {"path": "/" + "/".join(str(id_) for id_ in ids) + "/", "depth": len(ids) - 1}
