"""Builds a whole world from a spec, always the same one. The parts are built in the other world_* files."""

from __future__ import annotations

from safetyamp_pipelines.sandbox.viewpoint_schema import TABLES
from safetyamp_pipelines.sandbox.world_accounts import add_accounts
from safetyamp_pipelines.sandbox.world_contacts import plant_contacts
from safetyamp_pipelines.sandbox.world_jobs import add_departments, add_jobs
from safetyamp_pipelines.sandbox.world_model import Draft, World, WorldSpec
from safetyamp_pipelines.sandbox.world_people import add_employees, pad_texts, plant_lives
from safetyamp_pipelines.sandbox.world_target import add_safetyamp
from safetyamp_pipelines.sandbox.world_test_company import add_test_company
from safetyamp_pipelines.sandbox.world_timecards import add_timecards
from safetyamp_pipelines.sandbox.world_vehicles import add_vehicles

__all__ = ["World", "WorldSpec", "build_world"]


def build_world(spec: WorldSpec | None = None) -> World:
    """The world of a spec; the order of the steps is part of what makes it the same every time."""
    draft = Draft(spec or WorldSpec(), TABLES)
    add_departments(draft)
    add_jobs(draft)
    add_employees(draft)
    plant_lives(draft)
    add_timecards(draft)
    add_accounts(draft)
    plant_contacts(draft)
    add_vehicles(draft)
    add_safetyamp(draft)
    add_test_company(draft)
    pad_texts(draft)
    _number_rows(draft.world)
    return draft.world


def _number_rows(world: World) -> None:
    for table, columns in TABLES.items():
        if "KeyID" in columns:
            for key_id, row in enumerate(world.viewpoint[table], start=1):
                row["KeyID"] = key_id
