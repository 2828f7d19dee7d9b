"""A person's values taken out of snapshots and plans: rows, keys and counts stay. Pure; the files: `forgetting.py`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.tables import Id, at_path
from safetyamp_pipelines.sync.rules.config import SyncConfig

KEPT: Mapping[str, tuple[str, ...]] = {
    "viewpoint/employees": ("PRCo", "Employee"),
    "viewpoint/recent_jobs": ("PRCo", "Employee", "JCCo", "Job"),
    "entra/users": ("id", "employeeId", "userType"),
    "samsara/drivers": ("id", "externalIds", "driverActivationStatus"),
    "samsara/vehicles": ("id", "vin", "serial", "licensePlate", "make", "model", "year", "tags"),
    "users": ("id", "emp_id", "home_site_id", "roles", "system_access"),
    "assets": ("id", "code", "site_id", "status", "serial", "model", "asset_type_id", "asset_type", "current_user_id"),
}
"""By table what stays of a person's row, and of the row of a vehicle that holds the person's name."""
IDENTITY = ("id", "emp_id", "employeeId")
"""What stays of a person whom another record shows: the driver of a vehicle, somebody's manager.

So every table shows afterwards as well who is who: what is cut short is found again by the next try.
"""


@dataclass(frozen=True)
class Person:
    """Who is forgotten: the source key, and by which ids the other systems know the same person. `vehicles` are the
    source keys of what they drive: the names of vehicles hold the names of their drivers. `external_id` is the name
    under which a Samsara driver has the employee number."""

    source_key: str
    users: frozenset[Id] = frozenset()
    drivers: frozenset[str] = frozenset()
    vehicles: frozenset[str] = frozenset()
    assets: frozenset[Id] = frozenset()
    others: frozenset[str] = field(default=frozenset())
    """Keys such as `2/100482` that are other people with the same number in another company."""
    external_id: str = "employeeId"

    @property
    def number(self) -> str:
        """The employee number alone."""
        return self.source_key.rpartition("/")[2]

    def has_number(self, value: Any) -> bool:
        """Whether a value of any system is this number, leading zeros or not."""
        return value is not None and clean.number(str(value), "") == self.number

    def is_in_company(self, company: Any) -> bool:
        """Whether the row of that company with this number is this person's."""
        own, _, number = self.source_key.rpartition("/")
        return str(company) == own if own else f"{company}/{number}" not in self.others


def known_as(person: Person, tables: Iterable[tuple[str, Iterable[Record]]], config: SyncConfig) -> Person:
    """The person with the ids that snapshots hold: drivers before the vehicles they drive, users before assets."""
    for name, records in tables:
        match name.removeprefix("safetyamp_observed/").removeprefix("safetyamp/"):
            case "users":
                found = {row["id"] for row in records if person.has_number(row.get("emp_id"))}
                person = replace(person, users=person.users | found)
            case "samsara/drivers":
                drivers = {str(row["id"]) for row in records if _is_driver(row, person, config)}
                person = replace(person, drivers=person.drivers | drivers)
            case "samsara/vehicles":
                driven = {
                    str(row["id"]) for row in records if str(at_path(row, "staticAssignedDriver.id")) in person.drivers
                }
                person = replace(person, vehicles=person.vehicles | driven)
            case "assets":
                used = {row["id"] for row in records if row.get("current_user_id") in person.users}
                person = replace(person, assets=person.assets | used)
    return person


def _is_driver(row: Record, person: Person, config: SyncConfig) -> bool:
    number = (row.get("externalIds") or {}).get(config.vehicles.driver_external_id)
    noted = re.search(config.vehicles.driver_notes_pattern, row.get("notes") or "")
    return person.has_number(number or (noted.group(1) if noted else None))


def erased_records(name: str, records: Iterable[Record], person: Person) -> list[Record]:
    """The records of one table without the person's values, in their order; what has none is the same object."""
    table = name.removeprefix("safetyamp_observed/").removeprefix("safetyamp/")
    is_own = OWN.get(table)
    return [
        _emptied(record, table, person) if is_own is not None and is_own(record, person) else _without(record, person)
        for record in records
    ]


OWN: Mapping[str, Callable[[Record, Person], bool]] = {
    "viewpoint/employees": lambda row, person: person.has_number(row["Employee"]) and person.is_in_company(row["PRCo"]),
    "viewpoint/recent_jobs": lambda row, person: (
        person.has_number(row["Employee"]) and person.is_in_company(row["PRCo"])
    ),
    "entra/users": lambda row, person: person.has_number(row.get("employeeId")),
    "samsara/drivers": lambda row, person: str(row["id"]) in person.drivers,
    "samsara/vehicles": lambda row, person: str(row["id"]) in person.vehicles,
    "users": lambda row, person: row["id"] in person.users,
    "assets": lambda row, person: row["id"] in person.assets,
}
"""By table: whether a row is the person's, or that of a vehicle which holds the name."""


def _emptied(record: Record, table: str, person: Person) -> Record:
    """The row with every other value taken out. A job worked is emptied, not taken out: its readers expect a text."""
    emptied = {name: value if name in KEPT[table] else _identity(value, person) for name, value in record.items()}
    if "LastWorked" in record:
        emptied["Job"] = ""
    if table == "samsara/drivers":  # the notes, which may be all that held the number, are gone
        external = {name: value for name, value in (record.get("externalIds") or {}).items() if value}
        emptied["externalIds"] = {person.external_id: person.number, **external}
    return record if emptied == record else emptied


def _identity(value: Any, person: Person) -> Any:
    """What stays of a value: which record the person is, where it shows the person, and else nothing."""
    return _seen(value, person) if isinstance(value, dict) and _is_person(value, person) else None


def _without(record: Record, person: Person) -> Record:
    """The record of somebody or something else, in which the person may be shown."""
    shown = {name: _seen(value, person) for name, value in record.items() if isinstance(value, dict)}
    changed = {name: value for name, value in shown.items() if value != record[name]}
    return {**record, **changed} if changed else record


def _seen(value: dict[str, Any], person: Person) -> dict[str, Any]:
    return {name: value[name] for name in IDENTITY if name in value} if _is_person(value, person) else value


def _is_person(value: dict[str, Any], person: Person) -> bool:
    ids = {*person.users, *person.drivers}
    return value.get("id") in ids or any(person.has_number(value.get(name)) for name in ("emp_id", "employeeId"))


def erased_plan(plan: Plan, keys: Collection[str]) -> Plan:
    """The plan without the values of these source keys. Actions, verdicts and keys stay, so its counts do."""
    return replace(
        plan,
        changes=tuple(
            replace(change, fields={}, payload_hash="") if change.source_key in keys else change
            for change in plan.changes
        ),
        verdicts=tuple(
            replace(verdict, reasons=(), notes=()) if verdict.source_key in keys else verdict
            for verdict in plan.verdicts
        ),
        findings=tuple(replace(found, text="") if found.key in keys else found for found in plan.findings),
        agreed=tuple(replace(agreed, values={}) if agreed.source_key in keys else agreed for agreed in plan.agreed),
    )
