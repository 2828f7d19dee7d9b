"""The synced entities, in the order in which they are pushed: a sixth is a module beside these and a line here."""

from __future__ import annotations

from safetyamp_pipelines.sync.entities import departments, employees, jobs, titles, vehicles
from safetyamp_pipelines.sync.model.spec import EntitySpec

ENTITIES: tuple[EntitySpec, ...] = (departments.SPEC, jobs.SPEC, titles.SPEC, employees.SPEC, vehicles.SPEC)
BY_NAME = {spec.name: spec for spec in ENTITIES}
BY_TABLE = {spec.table: spec for spec in ENTITIES}
