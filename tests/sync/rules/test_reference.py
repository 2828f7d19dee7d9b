"""docs/sync-yaml.md has every key of sync.yaml with its default, an example that works, and what it means.

`python -m sync.rules.test_reference` (in tests/) writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from safetyamp_pipelines.sync.rules.config import ENTITIES, SyncConfig
from safetyamp_pipelines.sync.rules.limits import Limit
from safetyamp_pipelines.sync.rules.yaml_file import parse_sync_config

PAGE = Path(__file__).parents[3] / "docs" / "sync-yaml.md"
HEAD = """# sync.yaml, key by key

The business rules live in one file, [`sync.yaml`](../safetyamp_pipelines/sync.yaml); `SYNC_CONFIG` names your own copy,
which needs only the keys that you change. `safetyamp config show` prints the values in force, a mistake is reported
with its key and line, and editors check the file against `sync.schema.json`. To see what a change would do:
`safetyamp compare --rules new-sync.yaml`. This page is generated from the model.
"""
EVERY = "Keys of every entity"
EXAMPLES = {
    "companies": "[1, 2]",
    "company_rules": "{1: {job_prefix: E-}}",
    "viewpoint.db_schema": "dbo",
    "viewpoint.lookback_days": "365",
    "viewpoint.isolation_level": "SNAPSHOT",
    "departments.root_cluster": "Acme",
    "jobs.default_state": "LA",
    "employees.default_state": "LA",
    "employees.protected_roles": "[Company Administrator]",
    "employees.hire_lead_days": "7",
    "vehicles.default_site": "HQ-YARD",
    "vehicles.default_asset_type": "Truck",
    "vehicles.tag_sites": "{Yard South: YARD-SOUTH}",
    "guards.second_person_above": "50",
    "schedule.freezes": '[{starts: "Fri 18:00", ends: "Mon 05:00", reason: payroll}]',
    "owners.default": "office@example.com",
    "owners.entities": "{employees: hr@example.com}",
    "owners.companies": "{1: south@example.com}",
    "owners.departments": '{"10": foreman@example.com}',
}
EVERY_EXAMPLE = {
    "policies": "{street: fill}",
    "protected": "[100482]",
    "suppressed": "[100483]",
    "only": "{PRDept: [10, 20]}",
    "except": "{udEmpTitle: Foreman}",
    "clears": "[middle_name, mobile_phone]",
    "custom_fields": "[{column: udShirtSize, field: nickname, policy: fill}]",
    "first": "20",
}
SHARED = set(ENTITIES[0].rules.__bases__[0].model_fields)
NEEDED_WITH = {"vehicles.default_asset_type": "default_site: HQ-YARD"}
"""A key that is wrong without another."""


def keys(section: BaseModel, path: str = "") -> Iterator[tuple[str, Any, str]]:
    """(path, default, description) of every key that holds no section; a limit is one key."""
    for name, field in type(section).model_fields.items():
        here, default = f"{path}{field.alias or name}", getattr(section, name)
        if isinstance(default, BaseModel) and not isinstance(default, Limit):
            yield from keys(default, f"{here}.")
        else:
            yield here, default, str(field.description or "")


def shown(default: Any) -> str:
    """A value as one writes it into the file."""
    match default:
        case BaseModel():
            return "{" + ", ".join(f"{name}: {value}" for name, value in default) + "}"
        case str():
            return f"'{default}'" if "(" in default else default
        case tuple():
            return json.dumps(list(default), ensure_ascii=False)
    return json.dumps(default, ensure_ascii=False)


def is_of_every(path: str) -> bool:
    entity, _, key = path.partition(".")
    name = "except_" if key == "except" else key
    return entity in {spec.name for spec in ENTITIES} and name in SHARED


def examples() -> dict[str, tuple[str, str, str]]:
    """Path → default, example, description; the keys that every entity has once, under the entity employees."""
    found = {}
    for path, default, description in keys(SyncConfig()):
        if is_of_every(path) and not path.startswith("employees."):
            continue
        example = EXAMPLES.get(path) or EVERY_EXAMPLE.get(path.partition(".")[2]) or shown(default)
        found[path] = shown(default), example, description
    return found


def page() -> str:
    lines, rows = [HEAD], examples()
    groups: dict[str, list[str]] = {}
    for path, (default, example, description) in rows.items():
        group = EVERY if is_of_every(path) else path.partition(".")[0] if "." in path else "Companies"
        name = path.partition(".")[2] if is_of_every(path) else path
        cells = [f"`{name}`", f"`{default}`", f"`{example}`", description]
        groups.setdefault(group, []).append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    for group, table in groups.items():
        lines += [f"## {group}\n", "| key | default | example | meaning |", "|---|---|---|---|", *table, ""]
    return "\n".join(lines).rstrip() + "\n"


def test_the_page_has_every_key_of_the_model() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it: cd tests && python -m sync.rules.test_reference"


def test_an_empty_default_has_an_example_that_says_more() -> None:
    assert [path for path, (_, example, _) in examples().items() if example in ("null", "[]", "{}")] == []


@pytest.mark.parametrize("path", examples())
def test_every_example_is_read(path: str) -> None:
    section, _, key = path.rpartition(".")
    line = f"{key or path}: {examples()[path][1]}"
    line = f"{line}, {NEEDED_WITH[path]}" if path in NEEDED_WITH else line
    for name in reversed(section.split(".") if section else []):
        line = f"{name}: {{{line}}}"
    assert parse_sync_config(line) is not None


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
