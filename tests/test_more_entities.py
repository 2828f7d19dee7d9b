"""An entity is one file: declared outside the package and registered, it works without the package being touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from more_entities import equipment, lockers

from safetyamp_pipelines.sync.entities import registry
from safetyamp_pipelines.sync.entities.employees import USERS
from safetyamp_pipelines.sync.entities.registry import DeclarationError, register
from safetyamp_pipelines.sync.model.columns import Kind as ColumnKind
from safetyamp_pipelines.sync.model.columns import Schema, columns, keys
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field, MatchKey, SourceKey

HERE = Path(__file__).parent


def story(entity: str, folder: Path) -> dict[str, Any]:
    """What the entity goes through, in a process that has it registered."""
    ended = subprocess.run(
        [sys.executable, "-m", "more_entities.story", entity, str(folder)],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def of_lockers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return story("lockers", tmp_path_factory.mktemp("lockers"))


@pytest.fixture(scope="module")
def of_equipment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return story("equipment", tmp_path_factory.mktemp("equipment"))


@pytest.mark.xdist_group("lockers")
def test_a_sixth_entity_has_assets_checks_on_its_snapshots_and_a_job(of_lockers: dict[str, Any]) -> None:
    found = of_lockers["definitions"]

    assert found["assets"] == ["plan/lockers", "safetyamp/asset_categories", "safetyamp_observed/asset_categories"]
    assert found["jobs"] == ["sync_lockers"]
    checks = {"schema", "certificate", "row_count"}
    assert {f"safetyamp_observed/asset_categories:{name}" for name in checks} <= set(found["checks"])
    assert {"plan/lockers:references", "safetyamp/asset_categories:convergence"} <= set(found["checks"])


@pytest.mark.xdist_group("lockers")
def test_it_is_planned_and_pushed_and_a_second_run_writes_nothing(of_lockers: dict[str, Any]) -> None:
    planned, synced, again = (of_lockers[name]["entities"]["lockers"] for name in ("plan", "synced", "again"))

    assert planned == synced
    assert of_lockers["writes"] == synced["created"] > 0
    assert again == {"out_of_scope": synced["out_of_scope"], "unchanged": synced["created"]}
    assert of_lockers["again_writes"] == 0
    assert {of_lockers[name]["exit_code"] for name in ("plan", "synced", "again")} == {0}


@pytest.mark.xdist_group("lockers")
def test_its_section_of_sync_yaml_is_read_and_checked(of_lockers: dict[str, Any]) -> None:
    assert of_lockers["renamed"]["entities"]["lockers"]["updated"] == of_lockers["writes"]
    exit_code, words = of_lockers["wrong"]
    assert exit_code == 2
    assert "lockers.lable: is not a known key here; known are policies, clears, protected" in words


@pytest.mark.xdist_group("lockers")
def test_explain_and_forget_follow_its_declaration(of_lockers: dict[str, Any]) -> None:
    key = of_lockers["key"]
    (field,) = of_lockers["explained"]["fields"]
    assert field["sources"][0]["source"] == "rule (employee number and name)"
    assert of_lockers["forgotten"]["records"] == {"employees": [key], "lockers": [key]}
    assert of_lockers["forgotten"]["ledger"][f"lockers {key}"]["links"] == 1
    assert of_lockers["left"] == [True, False], "the person's name was stored, and is not any more"


@pytest.mark.xdist_group("equipment")
def test_two_entities_write_one_table_and_leave_each_others_rows_alone(of_equipment: dict[str, Any]) -> None:
    assert {"safetyamp/assets", "safetyamp/assets_equipment"} <= set(of_equipment["definitions"]["assets"])
    assert of_equipment["again_writes"] == 0
    assert of_equipment["again"]["entities"]["equipment"] == {"unchanged": of_equipment["linked"]["equipment"]}
    assert of_equipment["shared"] == []
    assert of_equipment["linked"]["vehicles"] == of_equipment["again"]["entities"]["vehicles"]["unchanged"]


@pytest.mark.xdist_group("equipment")
def test_neither_reports_the_others_rows_as_unmanaged(of_equipment: dict[str, Any]) -> None:
    unmanaged = {key for keys in of_equipment["unmanaged"].values() for key in keys}

    assert len(of_equipment["serials"]) == len(unmanaged) + sum(of_equipment["linked"].values())
    assert not [key for key in unmanaged if key.startswith("GEN-")]


FIRST = lockers.FIELDS[0]
ELSEWHERE = Schema((*keys(ColumnKind.WHOLE, "id"), *columns(ColumnKind.TEXT, "title")))


@pytest.mark.parametrize(
    ("spec", "changes", "words"),
    [
        (lockers.SPEC, {"name": "employees"}, "an entity of this name exists already"),
        (lockers.SPEC, {"words": {}}, "name comes from rule.name: say in `words` where its values come from"),
        (lockers.SPEC, {"match": ()}, "it has no match key"),
        (lockers.SPEC, {"match": (MatchKey("title", "title"),)}, "the match key title is read at title, which is no"),
        (lockers.SPEC, {"target": replace(lockers.CATEGORIES, schema=ELSEWHERE)}, "name is read at name, which is no"),
        (lockers.SPEC, {"target": replace(lockers.CATEGORIES, update=None)}, "has no verb for updates"),
        (lockers.SPEC, {"target": replace(lockers.CATEGORIES, always=("code",))}, "must carry code: declare that"),
        (lockers.SPEC, {"target": replace(USERS)}, "the table users is declared twice"),
        (lockers.SPEC, {"sources": ("viewpoint/lockers",)}, "the columns of viewpoint/lockers are not declared"),
        (lockers.SPEC, {"key": SourceKey("viewpoint/employees", "Locker")}, "its key names Locker, which is not"),
        (lockers.SPEC, {"fields": (replace(FIRST, clean="shout"),)}, "name is cleaned as shout; there are text"),
        (
            lockers.SPEC,
            {"fields": (replace(FIRST, references="sites"),)},
            "refers to sites: add that table to `observe",
        ),
        (lockers.SPEC, {"fields": (replace(FIRST, sources=("viewpoint/jobs.Job",)),)}, "add viewpoint/jobs to its"),
        (
            lockers.SPEC,
            {"fields": (replace(FIRST, sources=("sync.yaml.lockers.x",)),)},
            "which is not a key of its section",
        ),
        (lockers.SPEC, {"place": "site"}, "place names site, which is not a field of it"),
        (lockers.SPEC, {"after": ("tools",)}, "it comes after tools, which is not an entity before it"),
        (equipment.SPEC, {"after": ("jobs",)}, "vehicles writes assets too: add it to `after`"),
    ],
)
def test_a_missing_part_is_one_clear_error_when_definitions_load(
    monkeypatch: pytest.MonkeyPatch, spec: EntitySpec, changes: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(registry, "_READERS", [])
    known = list(registry.ENTITIES)

    with pytest.raises(DeclarationError) as error:
        register(replace(spec, **changes))

    assert words in str(error.value)
    assert known == registry.ENTITIES


def test_all_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_READERS", [])
    fields = (FIRST, Field("code", "Code", ("rule.code",), "code", clean="shout"))

    with pytest.raises(DeclarationError) as error:
        register(replace(lockers.SPEC, fields=fields, match=()))

    assert str(error.value).count("\n  - ") == 4
    assert str(error.value).startswith("the entity lockers is not declared whole:")


def test_an_entity_that_comes_after_its_readers_is_refused() -> None:
    from safetyamp_pipelines.sync.rules.config import SyncConfig  # makes sync.yaml's model of what is registered

    assert SyncConfig()
    with pytest.raises(DeclarationError, match=r"comes too late: register it before the model of sync\.yaml is made"):
        register(lockers.SPEC)
