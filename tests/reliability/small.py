"""The world of the matrix, and what SafetyAmp holds in the end in words that do not depend on ids. No faults here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec

WORLD = WorldSpec(seed=2, employees=8, jobs=6, vehicles=3, departments=4, titles=3, regions=2, present=0.4, mess=False)
"""Creates in every table, updates of people, records that are in step already."""

TIMEOUT = 2.0
"""Seconds: many times what the sandbox takes on a busy machine."""

NATURAL = {
    "site_clusters": ("external_code", "name"),
    "sites": ("ext_id", "name"),
    "user_titles": ("name",),
    "roles": ("name",),
    "users": ("emp_id", "email"),
    "asset_types": ("name", "site_id"),
    "assets": ("serial", "code", "name"),
}
"""What tells the records of a table apart: the first of them that has a value."""

REFERENCES = {
    "parent_cluster_id": "site_clusters",
    "cluster_id": "site_clusters",
    "home_site_id": "sites",
    "site_id": "sites",
    "asset_type_id": "asset_types",
    "current_user_id": "users",
    "current_supervisor_id": "users",
}
_NOT_VALUES = {"id", "path", "home_site", "site", "asset_type", "current_user", "avatar_location"} | {
    f"{what}_{how}" for what in ("created", "updated", "deleted") for how in ("at", "by")
}

Tables = Mapping[str, list[dict[str, Any]]]


def small_box(*, home: Path | None = None, **options: Any) -> Sandbox:
    """A sandbox of that world that never makes a caller wait for its budget."""
    return Sandbox(WORLD, TargetOptions(calls=100_000, period=0.5, **options), home=home)


def environment_of(box: Sandbox) -> dict[str, str]:
    """What leads a run to the box: one call at a time, so that the calls come in the same order every time."""
    return {**box.environment, "HTTP_REQUEST_TIMEOUT": str(TIMEOUT), "SYNC_CALLS_IN_FLIGHT": "1"}


def end_state(box: Sandbox) -> dict[str, list[str]]:
    """All of SafetyAmp's tables, ids replaced by what they stand for, in an order of their own."""
    tables = box.safetyamp.tables()
    names = {table: {row["id"]: _natural(table, row) for row in rows} for table, rows in tables.items()}
    return {table: sorted(_told(row, names) for row in rows) for table, rows in tables.items()}


def duplicates(box: Sandbox) -> list[str]:
    """Natural keys that two records of one table bear."""
    found = []
    for table, rows in box.safetyamp.tables().items():
        for name in NATURAL.get(table, ())[:1] if table != "asset_types" else ():
            counts = Counter(str(row[name]).casefold() for row in rows if row[name] is not None)
            found += [f"{table} {value}" for value, number in counts.items() if number > 1]
    return found


def _natural(table: str, row: Mapping[str, Any]) -> str:
    values = [row[name] for name in NATURAL.get(table, ("name",))]
    return "/".join(str(value) for value in values) if table == "asset_types" else str(next(filter(None, values), ""))


def _told(row: Mapping[str, Any], names: Mapping[str, Mapping[Any, str]]) -> str:
    shown = {name: value for name, value in row.items() if name not in _NOT_VALUES}
    for name, table in REFERENCES.items():
        if shown.get(name) is not None:
            shown[name] = names[table].get(shown[name], "nothing")
    for name in ("roles", "current_title"):
        if isinstance(shown.get(name), list):
            shown[name] = sorted(item["name"] for item in shown[name])
        elif isinstance(shown.get(name), dict):
            shown[name] = shown[name]["name"]
    return json.dumps(shown, sort_keys=True)
