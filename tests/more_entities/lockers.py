"""A sixth entity, all of it: each active employee has a locker, which SafetyAmp knows as an asset category."""

from __future__ import annotations

from pydantic import Field as Setting

from safetyamp_pipelines.sync.entities.shared import EMPLOYEES, EMPLOYMENT, is_active
from safetyamp_pipelines.sync.model.columns import Kind, Schema, columns, keys
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.kinds import EntityRules, Text
from safetyamp_pipelines.sync.model.mapping import map_fields
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec, Field, MatchKey, Scope, SourceKey
from safetyamp_pipelines.sync.model.tables import Table

KEY = SourceKey(EMPLOYEES, "Employee", clean="number", company="PRCo")


class LockersConfig(EntityRules):
    """Employees have lockers."""

    label: Text = Setting(default="Locker", description="What a locker is called in SafetyAmp.")


def desire_lockers(inputs: Inputs, rules: LockersConfig) -> list[Desired]:
    """One locker an employee; whoever is not active has none."""
    rows, today = inputs.snapshot(EMPLOYEES).records, inputs.today(EMPLOYEES)
    active = is_active(inputs.columns(EMPLOYEES, EMPLOYMENT), today)
    names = [f"{KEY.of(row)} {rules.label} of {row['FirstName']} {row['LastName']}" for row in rows]
    mapped = map_fields({"rule.name": names}, FIELDS, unknown=SPEC.unknown(inputs.unread))
    return [
        Desired(
            source_key=KEY.of(row),
            natural_key=KEY.of(row),
            values=found.values if on else {},
            match={"name": (name,)},
            scope=Scope.ACTIVE if on else Scope.OUT,
            rule="" if on else "not employed",
            reasons=tuple(found.reasons),
            rows=(row,),
        )
        for row, on, name, found in zip(rows, active, names, mapped, strict=True)
    ]


CATEGORIES = Table(
    "asset_categories",
    "Asset categories, which are lockers,",
    Schema((*keys(Kind.WHOLE, "id"), *columns(Kind.TEXT, "name"))),
    lambda row, _tables: (row.get("name") or "").partition(" ")[0] or None,
    update="PUT",
    always=("name",),
)

FIELDS = (Field("name", "Name", ("rule.name",), "name", required=True, personal=True),)

SPEC = EntitySpec(
    name="lockers",
    target=CATEGORIES,
    title="Asset categories from lockers",
    description="A locker for each active employee.",
    sources=(EMPLOYEES,),
    observed=("asset_categories",),
    after=(),
    fields=FIELDS,
    match=(MatchKey("name", "name"),),
    key=KEY,
    rules=LockersConfig,
    desire=desire_lockers,
    words={"rule.name": "employee number and name"},
)
