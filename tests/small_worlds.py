"""Worlds of a few hand-made records for the tests of the domain: rows with sensible defaults, and plans of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from safetyamp_pipelines.sync.entities.registry import BY_NAME, references
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Change, Plan, Verdict
from safetyamp_pipelines.sync.model.remembered import Decision, Memory
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot, canonical_json
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.planning.derive import plan_entity
from safetyamp_pipelines.sync.planning.expected import apply_plan, expected_references
from safetyamp_pipelines.sync.rules.config import SyncConfig

READ_AT = "2026-11-20T10:00:00Z"
OBSERVED = "safetyamp_observed/"
TARGET_TABLES = ("site_clusters", "sites", "user_titles", "roles", "users", "asset_types", "assets")

World = dict[str, list[Record]]
"""Records by snapshot name; SafetyAmp's tables by their own name. A table that is not there is empty."""


def snapshot(table: str, records: Iterable[Record], read_at: str = READ_AT) -> Snapshot:
    return Snapshot.certified(table, records, key=canonical_json, pages=1, read_at=read_at)


def config(**sections: Any) -> SyncConfig:
    return SyncConfig.model_validate(sections)


@dataclass(frozen=True)
class Remembered:
    """A link as the ledger gives it."""

    target_id: Id
    pushed: Mapping[str, Any] = field(default_factory=dict)
    not_taken: Mapping[str, str] = field(default_factory=dict)
    updated_at: datetime = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Refusal:
    """A remembered refusal."""

    payload_hash: str
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cause: Mapping[str, Any] = field(default_factory=dict)
    state: str = "open"


def observed_in(world: World) -> dict[str, list[Record]]:
    return {table: list(world.get(table, ())) for table in TARGET_TABLES}


def plan_of(
    entity: str,
    world: World,
    *,
    rules: SyncConfig | None = None,
    links: Mapping[str, Remembered] | None = None,
    failures: Mapping[str, Refusal] | None = None,
    after: Iterable[Plan] = (),
    source_rows: Mapping[str, int] | None = None,
    is_loaded: bool = True,
    keys: Iterable[str] = (),
    approved: Iterable[str] | None = None,
    unread: Mapping[str, str] | None = None,
    decisions: Mapping[str, Decision] | None = None,
    approved_twice: Iterable[str] = (),
    swings: Mapping[str, Mapping[str, frozenset[frozenset[str]]]] | None = None,
) -> Plan:
    """The plan of one entity in that world, or of some of its keys, after the earlier plans given."""
    spec, rules = BY_NAME[entity], rules or SyncConfig()
    names = [*spec.sources, *(OBSERVED + table for table in spec.observed)]
    names = [name for name in names if name not in (unread or ())]
    world = {table: rows for table, rows in world.items() if OBSERVED + table not in (unread or ())}
    snapshots = {name: snapshot(name, world.get(name.removeprefix(OBSERVED), ())) for name in names}
    expected = expected_references(observed_in(world), [(BY_NAME[plan.entity], plan) for plan in after])
    known = None if approved is None else frozenset(approved)
    rows = source_rows if source_rows is not None else {name: len(rows.records) for name, rows in snapshots.items()}
    memory = Memory(
        links or {},
        failures or {},
        rows,
        is_loaded,
        approved=known,
        approved_twice=frozenset(approved_twice),
        decisions=decisions or {},
        swings=swings or {},
    )
    return plan_entity(spec, Inputs(snapshots, expected, memory, rules, unread), rules, tuple(keys))


def plan_all(world: World, rules: SyncConfig | None = None) -> dict[str, Plan]:
    """The plans of all entities, each after those before it."""
    plans: dict[str, Plan] = {}
    for entity, spec in BY_NAME.items():
        plans[entity] = plan_of(entity, world, rules=rules, after=[plans[name] for name in spec.after])
    return plans


def applied(plan: Plan, world: World) -> World:
    """The world with the plan carried out in SafetyAmp as planned."""
    keyed = references(observed_in(world))
    return {**world, plan.table: apply_plan(BY_NAME[plan.entity], plan, world.get(plan.table, ()), keyed)}


def verdicts(plan: Plan) -> dict[str, str]:
    return {verdict.source_key: str(verdict.outcome) for verdict in plan.verdicts}


def verdict(plan: Plan, source_key: str) -> Verdict:
    return next(found for found in plan.verdicts if found.source_key == source_key)


def change(plan: Plan, source_key: str) -> Change:
    return next(found for found in plan.changes if found.source_key == source_key)


def pairs(plan: Plan, source_key: str) -> dict[str, tuple[Any, Any]]:
    """Field → (before, after) of the changes of one record."""
    return {
        name: pair for found in plan.changes if found.source_key == source_key for name, pair in found.fields.items()
    }


# Source records: what the readers give, whole rows with everything a test does not care about filled in.


def department(code: str, region: str | None = "South", **columns: Any) -> Record:
    return {"PRCo": 1, "PRDept": code, "Description": f"Department {code.strip()}", "udRegion": region, **columns}


def job(key: str, department: str | None = "10", **columns: Any) -> Record:
    row = {"JCCo": 1, "Job": key, "Description": f"Works {key.strip()}", "JobStatus": 1, "Department": department}
    return {**row, **columns}


def employee(number: int, **columns: Any) -> Record:
    row = {"PRCo": 1, "Employee": number, "LastName": "Test", "FirstName": f"Nora {number}", "PRDept": "10"}
    dates = {"HireDate": "2020-01-06 00:00:00", "TermDate": None}
    return {**row, **dates, "Email": f"p{number}@example.com", "udEmpTitle": "Fitter", **columns}


def recent_job(number: int, key: str, **columns: Any) -> Record:
    return {"PRCo": 1, "Employee": number, "JCCo": 1, "Job": key, "LastWorked": "2026-11-01 00:00:00", **columns}


def account(number: object, **columns: Any) -> Record:
    return {"id": f"entra-{number}", "employeeId": str(number), "mail": None, "userType": "Member", **columns}


def vehicle(samsara_id: str, **columns: Any) -> Record:
    return {"id": samsara_id, "name": f"Truck {samsara_id}", "serial": f"GW-{samsara_id}", **columns}


def driver(samsara_id: str, **columns: Any) -> Record:
    return {"id": samsara_id, "name": "Nora Test", **columns}


# SafetyAmp's records, in the shape in which it lists them.


def cluster(row_id: int, name: str, parent: int | None, code: str | None = None, **columns: Any) -> Record:
    row = {"id": row_id, "name": name, "parent_cluster_id": parent, "external_code": code, "osha_establishment": 0}
    return {**row, **columns}


def site(row_id: int, name: str, cluster_id: int, code: str | None = None, **columns: Any) -> Record:
    return {"id": row_id, "name": name, "cluster_id": cluster_id, "ext_id": code, **columns}


def title(row_id: int, name: str) -> Record:
    return {"id": row_id, "name": name}


def user(row_id: str, number: str | None, **columns: Any) -> Record:
    row = {"id": row_id, "emp_id": number, "first_name": "Nora", "last_name": "Test", "email": f"{row_id}@example.com"}
    return {**row, "system_access": True, "current_title": None, "home_site_id": None, "roles": [], **columns}


def asset_type(row_id: int, site_id: int, name: str = "Vehicle") -> Record:
    return {"id": row_id, "name": name, "site_id": site_id}


def asset(row_id: int, **columns: Any) -> Record:
    return {"id": row_id, "name": "Truck", "serial": None, "code": None, "status": 1, **columns}


ROOT = cluster(1, "Acme", None)
SOUTH = cluster(2, "South", 1, "South")
CIVIL = cluster(3, "10 - Department 10", 2, "10")
YARD = site(20, "Yard", 2, "YARD")
FIELD_ROLE = {"id": 3, "name": "Field", "account_default": 1}
FITTER = title(7, "Fitter")


def company(**tables: Iterable[Record]) -> World:
    """A small company SafetyAmp knows: department 10 in region South with its yard, one title, one role."""
    known: World = {
        "site_clusters": [ROOT, SOUTH, CIVIL],
        "sites": [YARD],
        "user_titles": [FITTER],
        "roles": [FIELD_ROLE],
        "viewpoint/departments": [department("10")],
    }
    return known | {table.replace("__", "/"): list(records) for table, records in tables.items()}
