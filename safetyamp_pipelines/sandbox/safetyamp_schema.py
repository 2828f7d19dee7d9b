"""SafetyAmp's tables as its API takes them: written names, what is required, what is unique. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "email", "phone", "date", "choice", "flag", "timezone", "reference", "references"]


@dataclass(frozen=True)
class Field:
    """One field that can be written. `to` names the table a reference points to; `label` is its name in messages."""

    kind: Kind = "text"
    to: str = ""
    label: str = ""
    shown_as_bool: bool = False  # a flag is written 0 or 1 and, for some, read as a boolean


@dataclass(frozen=True)
class Table:
    """One table of the API; a table without `fields` can only be listed."""

    fields: Mapping[str, Field] = field(default_factory=dict)
    required_on_create: tuple[str, ...] = ()
    required_on_update: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    extras: Mapping[str, object] = field(default_factory=dict)  # read-only fields and what they are for a new record
    audited: bool = True  # carries created_, updated_ and deleted_ _at and _by


_TEXT = Field()
_PHONE = Field("phone")
_DATE = Field("date")
_ADDRESS = dict.fromkeys(("street", "street2", "city", "state", "zip_code", "country"), _TEXT)

TABLES: Mapping[str, Table] = {
    "site_clusters": Table(
        {
            "name": _TEXT,
            "parent_cluster_id": Field("reference", "site_clusters"),
            "external_code": Field(label="cluster code"),
            "osha_establishment": Field("flag"),
        },
        required_on_create=("name", "parent_cluster_id"),
        required_on_update=("name", "parent_cluster_id", "osha_establishment"),
        unique=("external_code",),
    ),
    "sites": Table(
        {
            "name": _TEXT,
            "ext_id": Field(label="site code"),
            "cluster_id": Field("reference", "site_clusters"),
            **_ADDRESS,
            "timezone": Field("timezone"),
            "em_enabled": Field("flag", shown_as_bool=True),
        },
        required_on_create=("name", "cluster_id"),
        unique=("ext_id",),
        extras={
            "latitude": None,
            "longitude": None,
            "em_weather_override": None,
            "naics_code": None,
            "industry_description": None,
        },
    ),
    "user_titles": Table({"name": _TEXT}, required_on_create=("name",), required_on_update=("name",)),
    "roles": Table(
        extras={
            "name": None,
            "guard_name": "api",
            "account_default": 0,
            "default_role_id": None,
            "scim_external_id": None,
            "created_by": 1,
        },
        audited=False,
    ),
    "users": Table(
        {
            "emp_id": _TEXT,
            "first_name": _TEXT,
            "last_name": _TEXT,
            "middle_name": _TEXT,
            "nickname": _TEXT,
            "email": Field("email"),
            "gender": Field("choice"),
            "date_of_birth": _DATE,
            "current_hire_date": _DATE,
            "rehire_date": _DATE,
            "mobile_phone": _PHONE,
            "work_phone": _PHONE,
            "home_phone": _PHONE,
            "extension": _TEXT,
            **_ADDRESS,
            "home_site_id": Field("reference", "sites"),
            "current_title_id": Field("reference", "user_titles"),
            "current_supervisor_id": Field("reference", "users"),
            "roles": Field("references", "roles"),
            "sites": Field("references", "sites"),
            "system_access": Field("flag", shown_as_bool=True),
            "bypass_sso": Field("flag", shown_as_bool=True),
            "text_opt_out": Field("flag"),
            "timezone": Field("timezone"),
        },
        required_on_create=("first_name", "last_name", "email"),
        required_on_update=("first_name", "last_name", "email"),
        unique=("email", "mobile_phone"),
        extras={
            "current_department": None,
            "activated": True,
            "owner": False,
            "type": 0,
            "avatar_location": None,
            "last_logged_in": None,
            "deleted_at": None,
        },
        audited=False,
    ),
    # Written by nothing of the package: a table for entities that somebody adds.
    "asset_categories": Table(
        {"name": _TEXT}, required_on_create=("name",), required_on_update=("name",), audited=False
    ),
    "asset_types": Table(
        extras={"name": None, "site_id": None, "asset_category_id": None, "relationships": ()}, audited=False
    ),
    "locations": Table(extras={"name": None, "site_id": None}, audited=False),
    "assets": Table(
        {
            "code": _TEXT,
            "name": _TEXT,
            "description": _TEXT,
            "site_id": Field("reference", "sites"),
            "status": Field("choice"),
            "serial": _TEXT,
            "model": _TEXT,
            "asset_type_id": Field("reference", "asset_types"),
            "current_user_id": Field("reference", "users"),
            "location_id": Field("reference", "locations"),
        },
        required_on_create=("name", "site_id", "asset_type_id"),
        required_on_update=("site_id",),
    ),
}

# `locations` is not an endpoint of its own: it only stands behind `assets.location`.
ENDPOINTS = tuple(name for name in TABLES if name != "locations")

# Where a record shows an object, the field under which the object's id is written.
NESTED: Mapping[str, Mapping[str, str]] = {
    "users": {
        "home_site": "home_site_id",
        "current_title": "current_title_id",
        "current_supervisor": "current_supervisor_id",
    },
    "assets": {
        "asset_type": "asset_type_id",
        "current_user": "current_user_id",
        "site": "site_id",
        "location": "location_id",
    },
}

# What a new record holds where nothing was written; null elsewhere.
NEW_RECORD: Mapping[str, Mapping[str, object]] = {
    "site_clusters": {"osha_establishment": 0},
    "sites": {"em_enabled": False},
    "users": {"roles": (), "sites": (), "system_access": False, "bypass_sso": False, "text_opt_out": 0},
    "assets": {"status": 1},
}

AUDIT = ("created_at", "updated_at", "deleted_at", "created_by", "updated_by", "deleted_by")
