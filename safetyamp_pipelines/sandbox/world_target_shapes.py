"""Rows in the shape SafetyAmp returns them, and the tables that collect them; which there are is decided elsewhere."""

from __future__ import annotations

import string
from typing import Any

from safetyamp_pipelines.sandbox.world_model import Draft, Row

STAMP = "2025-03-01 10:00:00"
ROLE_STAMP = "2025-02-28T13:29:03.000000Z"  # roles alone come as ISO 8601
TABLES = ("site_clusters", "sites", "user_titles", "roles", "users", "asset_categories", "asset_types", "assets")
_FIRST_IDS = {"site_clusters": 655, "sites": 5101, "user_titles": 77, "roles": 1, "asset_categories": 11}
_FIRST_IDS |= {"asset_types": 301, "assets": 9001}
_UNSET = (
    *("middle_name", "nickname", "gender", "date_of_birth", "current_hire_date", "rehire_date", "mobile_phone"),
    *("work_phone", "home_phone", "extension", "street", "street2", "city", "state", "zip_code", "country"),
    *("current_title", "current_department", "avatar_location", "last_logged_in", "deleted_at"),
)
_PLACE = ("street", "street2", "city", "state", "country", "zip_code")


class Target:
    """SafetyAmp's tables while they are filled; `clusters` by region name or department code, `sites` by ext_id."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.tables: dict[str, list[Row]] = {table: [] for table in TABLES}
        self.clusters: dict[str, Row] = {}
        self.sites: dict[str, Row] = {}
        self.titles: dict[str, Row] = {}
        self.roles: dict[str, Row] = {}
        self.home_offices: dict[str, Row] = {}
        self.users: dict[int, Row] = {}
        self.vehicle_types: dict[int, Row] = {}
        self._user_ids: set[str] = set()
        self._dice = draft.dice("user ids")

    def add_role(self, name: str, is_default: int) -> None:
        """A role; `is_default` 1 marks what new accounts get."""
        dates = {"created_by": 1, "created_at": ROLE_STAMP, "updated_at": ROLE_STAMP}
        fields = {"name": name, "guard_name": "api", "account_default": is_default, "default_role_id": None}
        self.roles[name] = self._add("roles", {**fields, "scim_external_id": None, **dates})

    def add_cluster(self, name: str, parent: Row | None, code: str | None) -> Row:
        """A site cluster under its parent, the root without one; `path` names the ids down to it."""
        row = self._add("site_clusters", {"name": name, "parent_cluster_id": parent["id"] if parent else None})
        row["path"] = f"{parent['path'] if parent else '/'}{row['id']}/"
        row["depth"] = parent["depth"] + 1 if parent else 0
        row |= {"external_code": code, "osha_establishment": 0, **_audit()}
        if code:
            self.clusters[code] = row
        return row

    def add_site(self, name: str, ext_id: str | None, cluster: Row, **place: Any) -> Row:
        """A site in its cluster; `ext_id` is the site code, the job key for job sites."""
        fields = {"name": name, "ext_id": ext_id, "cluster_id": cluster["id"], **dict.fromkeys(_PLACE), **place}
        fields |= {"country": "US", "timezone": "America/Chicago", "latitude": None, "longitude": None}
        fields |= {"em_enabled": False, "em_weather_override": None, "naics_code": None, "industry_description": None}
        row = self._add("sites", {**fields, **_audit()})
        if ext_id:
            self.sites[ext_id] = row
        return row

    def add_title(self, name: str) -> Row:
        """A user title."""
        self.titles[name.lower()] = self._add("user_titles", {"name": name, **_audit()})
        return self.titles[name.lower()]

    def add_asset_category(self, name: str) -> Row:
        """An asset category."""
        return self._add("asset_categories", {"name": name})

    def add_asset_type(self, name: str, site: Row, category: Row) -> Row:
        """An asset type: it belongs to one site and one category."""
        fields = {"name": name, "site_id": site["id"], "asset_category_id": category["id"], "relationships": []}
        row = self._add("asset_types", fields)
        if name == "Vehicle":
            self.vehicle_types[site["id"]] = row
        return row

    def add_user(self, emp_id: str | None, first: str, last: str, email: str, home: Row, **fields: Any) -> Row:
        """A user at home in a site, role Field, switched on unless `fields` say otherwise."""
        row = {
            "id": self._user_id(),
            "emp_id": emp_id,
            "first_name": first,
            "last_name": last,
            "email": email,
            **dict.fromkeys(_UNSET),
            "roles": [dict(self.roles["Field"])],
            "sites": [],
            **{"activated": True, "system_access": True, "owner": False, "bypass_sso": False},
            **{"text_opt_out": 0, "type": 0, "timezone": "America/Chicago"},
            **fields,
        }
        place_user(row, home)
        self.tables["users"].append(row)
        if emp_id is not None and emp_id.isdigit():
            self.users[int(emp_id)] = row
        return row

    def add_asset(self, name: str, site: Row, kind: Row, user: Row | None, **fields: Any) -> Row:
        """An asset of a type at a site, with its current user."""
        shown = {k: kind[k] for k in ("id", "name", "site_id", "asset_category_id")}
        row = {"code": None, "name": name, "description": None, "site_id": site["id"], "status": 1, "serial": None}
        row |= {"model": None, "asset_type_id": kind["id"], "asset_type": {**shown, "templates": []}}
        row |= {"current_user_id": user["id"] if user else None, "current_user": _short(user) if user else None}
        row |= {"location_id": None, "location": None, "site": {"id": site["id"], "name": site["name"]}}
        return self._add("assets", {**row, **_audit(), **fields})

    def _add(self, table: str, fields: Row) -> Row:
        row = {"id": _FIRST_IDS[table] + len(self.tables[table]), **fields}
        self.tables[table].append(row)
        return row

    def _user_id(self) -> str:
        """Five letters or digits; the second differs from the first by case alone, as ids are case-sensitive."""
        if len(self._user_ids) == 1:
            fresh = next(iter(self._user_ids)).swapcase()
        else:
            fresh = "".join(self._dice.choices(string.ascii_letters + string.digits, k=4)) + "z"
        if fresh in self._user_ids:
            return self._user_id()
        self._user_ids.add(fresh)
        return fresh


def place_user(user: Row, site: Row) -> None:
    """Make a site the user's home, in both places where SafetyAmp shows it."""
    user["home_site_id"] = site["id"]
    user["home_site"] = {"id": site["id"], "name": site["name"], **{column: site[column] for column in _PLACE}}


def _audit() -> Row:
    times = {"created_at": STAMP, "updated_at": STAMP, "deleted_at": None}
    return {**times, "created_by": None, "updated_by": None, "deleted_by": None}


def _short(user: Row) -> Row:
    title = user["current_title"]
    shown = {k: user[k] for k in ("id", "emp_id", "first_name", "last_name", "email")}
    return {**shown, "current_title": title["name"] if title else None}  # a text here, an object on the user itself
