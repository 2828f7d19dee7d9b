"""An entity that writes a table which another one writes too: every open job has a generator, an asset at its site."""

from __future__ import annotations

from safetyamp_pipelines.sync.entities.jobs import KEY, SOURCE
from safetyamp_pipelines.sync.entities.vehicles import ASSETS
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.kinds import EntityRules
from safetyamp_pipelines.sync.model.mapping import map_fields
from safetyamp_pipelines.sync.model.spec import Collision, Desired, EntitySpec, Field, MatchKey, SourceKey


class EquipmentConfig(EntityRules):
    """Jobs have equipment."""


def desire_equipment(inputs: Inputs, _rules: EquipmentConfig) -> list[Desired]:
    """One generator for each site that has the asset type."""
    types = inputs.expected["asset_types"]
    rows = [row for row in inputs.snapshot(SOURCE).records if types.id_of(f"Vehicle @ {KEY.of(row)}") is not None]
    if not rows:
        return []
    jobs = [KEY.of(row) for row in rows]
    mapped = map_fields(
        {
            "rule.name": [f"Generator of {job}" for job in jobs],
            "rule.serial": [f"GEN-{job}" for job in jobs],
            "rule.site": list(jobs),
            "rule.type": [f"Vehicle @ {job}" for job in jobs],
        },
        FIELDS,
    )
    return [
        Desired(job, f"GEN-{job}", found.values, {"serial": (f"GEN-{job}",)}, reasons=tuple(found.reasons), rows=(row,))
        for row, job, found in zip(rows, jobs, mapped, strict=True)
    ]


FIELDS = (
    Field("name", "Name", ("rule.name",), "name", required=True),
    Field("serial", "Serial", ("rule.serial",), "serial", required=True, unique=Collision.REJECT, fold_case=True),
    Field("site_id", "Site", ("rule.site",), "site_id", required=True, references="sites"),
    Field("asset_type_id", "Asset type", ("rule.type",), "asset_type_id", required=True, references="asset_types"),
)

SPEC = EntitySpec(
    name="equipment",
    target=ASSETS,
    title="Assets from equipment",
    description="The generators of jobs as SafetyAmp assets.",
    sources=(SOURCE,),
    observed=("site_clusters", "sites", "user_titles", "roles", "users", "asset_types", "assets"),
    after=("departments", "jobs", "titles", "employees", "vehicles"),
    fields=FIELDS,
    match=(MatchKey("serial", "serial", fold_case=True),),
    key=SourceKey(SOURCE, "Job", clean="key"),
    rules=EquipmentConfig,
    desire=desire_equipment,
    records=lambda inputs: [(None, record.source_key) for record in desire_equipment(inputs, EquipmentConfig())],
    words={
        "rule.name": "the job's number",
        "rule.serial": "GEN- and the job's number",
        "rule.site": "the job",
        "rule.type": "the type of that site",
    },
    place="site_id",
)
