"""The declared schemas against what the entities read: a column that is read and not declared would go unchecked."""

from __future__ import annotations

import pytest

from safetyamp_pipelines.sync.entities import vehicles
from safetyamp_pipelines.sync.entities.jobs import ADDRESS_COLUMNS
from safetyamp_pipelines.sync.entities.jobs import SOURCE as JOBS
from safetyamp_pipelines.sync.entities.registry import ENTITIES, SCHEMAS
from safetyamp_pipelines.sync.entities.shared import EMPLOYEES, EMPLOYMENT
from safetyamp_pipelines.sync.model.columns import TYPES, Kind, Presence
from safetyamp_pipelines.sync.model.spec import EntitySpec

FRAMES = {
    EMPLOYEES: ("PRCo", "PRDept", *EMPLOYMENT),
    JOBS: ("JCCo", "JobStatus", "PCVisibleInJC", *ADDRESS_COLUMNS),
    vehicles.VEHICLES: vehicles.READ,
}


def read_of(table: str) -> set[str]:
    return {column.name for column in SCHEMAS[table].columns}


@pytest.mark.parametrize("spec", ENTITIES, ids=lambda spec: spec.name)
def test_every_column_that_an_entity_reads_is_declared(spec: EntitySpec) -> None:
    sources = [source.partition(".") for field in spec.fields for source in field.sources if "/" in source]
    assert {(table, column) for table, _, column in sources if column not in read_of(table)} == set()
    shown = {str(field.read).partition(".")[0] for field in spec.fields if field.read is not None}
    assert shown - read_of(f"safetyamp_observed/{spec.table}") == set()
    assert {key.read.partition(".")[0] for key in spec.match} <= read_of(f"safetyamp_observed/{spec.table}")


@pytest.mark.parametrize("table", sorted(FRAMES))
def test_every_column_of_a_working_frame_is_declared(table: str) -> None:
    assert set(FRAMES[table]) - read_of(table) == set()


def test_every_snapshot_of_an_entity_has_a_schema_and_every_schema_a_key() -> None:
    wanted = {name for spec in ENTITIES for name in spec.sources}
    wanted |= {f"safetyamp_observed/{table}" for spec in ENTITIES for table in spec.observed}
    assert wanted == set(SCHEMAS)
    assert [table for table, schema in SCHEMAS.items() if not schema.key] == []


def test_no_column_is_declared_twice() -> None:
    for table, schema in SCHEMAS.items():
        names = [*(column.name for column in schema.columns), *schema.others.split()]
        assert sorted(set(names)) == sorted(names), table


def test_what_only_one_site_has_is_never_needed() -> None:
    site = {column.name for schema in SCHEMAS.values() for column in schema.columns if column.name.startswith("ud")}
    assert site == {"udEmpTitle", "udRegion"}
    for schema in SCHEMAS.values():
        assert all(c.presence is Presence.SITE for c in schema.columns if c.name.startswith("ud"))


def test_true_is_a_flag_and_no_whole_number() -> None:
    assert bool in TYPES[Kind.FLAG]
    assert bool not in Kind.WHOLE.types
