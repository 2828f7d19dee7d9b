"""Erasing a person's values from snapshots and plans: rows, keys and counts stay. Pure; the files: `forgetting.py`.

Which rows are a person's, and which values stay in them, follows from the declarations of the entities.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from safetyamp_pipelines.sync.entities.employees import SPEC as EMPLOYEES
from safetyamp_pipelines.sync.entities.registry import ENTITIES, SCHEMAS, TABLES, asset_name, writers
from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.plan import Change, Plan
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec, Somebody, Trace
from safetyamp_pipelines.sync.model.tables import Id, at_path
from safetyamp_pipelines.sync.rules.config import SyncConfig


@dataclass(frozen=True)
class Person:
    """Who is forgotten: the source key, and by which rows the tables know the same person. `keys` are the source keys
    of what is theirs in other entities, such as the vehicles they drive, whose names hold their drivers'."""

    source_key: str
    ids: Mapping[str, frozenset[Id]] = field(default_factory=dict)
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    others: frozenset[str] = frozenset()
    """Keys such as `2/100482` that are other people with the same number in another company."""

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

    def rows(self, table: str) -> Set[Id]:
        """The ids of the person's rows in a table."""
        return self.ids.get(table, frozenset())

    def with_rows(self, table: str, ids: Iterable[Id]) -> Person:
        """The person, known by further rows."""
        return replace(self, ids={**self.ids, table: frozenset({*self.rows(table), *ids})})

    def with_keys(self, entity: str, keys: Iterable[str]) -> Person:
        """The person, known to have further records of an entity."""
        return replace(self, keys={**self.keys, entity: self.keys.get(entity, frozenset()).union(keys)})


def personal() -> list[EntitySpec]:
    """The entities that hold values of people."""
    return [spec for spec in ENTITIES if spec.is_personal]


@cache
def traces() -> tuple[tuple[EntitySpec, Trace], ...]:
    """How the rows of people are known, in the order in which one trace needs another."""
    found = []
    for spec in personal():
        found += [(spec, trace) for trace in spec.traces]
        if all(trace.table != spec.table for trace in spec.traces):
            found.append((spec, Trace(spec.table, _by_reference(spec))))
    return tuple(found)


def references_to_people(spec: EntitySpec) -> list[str]:
    """The fields of an entity that refer to a person's account, by where they are read."""
    return [field.read for field in spec.fields if field.references == EMPLOYEES.table and field.read]


def is_keyed_by_person(spec: EntitySpec) -> bool:
    """Whether the entity's records have the keys of employees."""
    return (spec.key.table, spec.key.column) == (EMPLOYEES.key.table, EMPLOYEES.key.column)


def _by_reference(spec: EntitySpec) -> Any:
    paths = references_to_people(spec)

    def is_theirs(row: Record, who: Somebody, _rules: Any) -> bool:
        if is_keyed_by_person(spec) and who.has_number(TABLES[spec.table].natural_key(row, {})):
            return True
        return any(at_path(row, path) in who.rows(EMPLOYEES.table) for path in paths)

    return is_theirs


def files_of(table: str) -> list[str]:
    """The names under which a table is stored: as it was read, and as pushes left it."""
    return [table] if table not in TABLES else [f"{OBSERVED}/{table}", *map(asset_name, writers(table))]


def table_of(file: str) -> str:
    """The table that is stored under a name."""
    return next((table for table in TABLES if file in files_of(table)), file)


def known_as(person: Person, tables: Iterable[tuple[str, Iterable[Record]]], config: SyncConfig) -> Person:
    """The person with the rows that snapshots show to be theirs. The tables come in the order of `traces`."""
    for file, records in tables:
        rows, table = list(records), table_of(file)
        for spec, trace in traces():
            if trace.table != table:
                continue
            theirs = [row for row in rows if trace.is_theirs(row, person, config.of(spec))]
            person = person.with_rows(table, (row["id"] for row in theirs if "id" in row))
            if table == spec.key.table and spec is not EMPLOYEES:
                person = person.with_keys(spec.name, map(spec.key.of, theirs))
    return person


def names_in(file: str, records: Iterable[Record], person: Person, config: SyncConfig) -> tuple[set[str], set[str]]:
    """The names and addresses by which the rows of people in a table show the person, and those of everybody else."""
    own = [(spec, trace) for spec, trace in traces() if trace.table == table_of(file) and trace.full_name]
    theirs: set[str] = set()
    others: set[str] = set()
    for row in records if own else ():
        names = theirs if _own(row, own, person, config) is not None else others
        for _, trace in own:
            if all(map(row.get, trace.full_name)):
                names.add(" ".join(str(row[part]).strip() for part in trace.full_name))
        names |= {value.strip() for value in row.values() if isinstance(value, str) and "@" in value}
    return theirs, others


def erased_records(file: str, records: Iterable[Record], person: Person, config: SyncConfig) -> list[Record]:
    """The records of one table without the person's values, in their order; what has none is the same object."""
    table = table_of(file)
    own = [(spec, trace) for spec, trace in traces() if trace.table == table]
    kept = _kept(table, [spec for spec, _ in own])
    return [
        _emptied(record, kept, found, person, config)
        if (found := _own(record, own, person, config)) is not None
        else _without(record, person)
        for record in records
    ]


def _own(
    record: Record, own: Iterable[tuple[EntitySpec, Trace]], person: Person, config: SyncConfig
) -> tuple[EntitySpec, Trace] | None:
    """The trace by which the row is the person's; None for a row of somebody or something else."""
    for spec, trace in own:
        if record.get("id") in person.rows(trace.table) or trace.is_theirs(record, person, config.of(spec)):
            return spec, trace
    return None


def _emptied(
    record: Record, kept: Set[str], found: tuple[EntitySpec, Trace], person: Person, config: SyncConfig
) -> Record:
    """The row with every value taken out that is the person's."""
    spec, trace = found
    emptied = {name: value if name in kept else _identity(value, person) for name, value in record.items()}
    emptied |= trace.stays(record, person, config.of(spec))
    return record if emptied == record else emptied


def _kept(table: str, owners: Iterable[EntitySpec]) -> set[str]:
    """The columns that stay in a person's row: keys, and what is read or written by a field that is not personal of the
    entities whose people stand there."""
    kept = {*SCHEMAS[table if table not in TABLES else f"{OBSERVED}/{table}"].key}
    for spec in owners:
        for declared in spec.fields:
            if declared.personal:
                continue
            kept |= {source.partition(".")[2] for source in declared.sources if source.partition(".")[0] == table}
            if spec.table == table and declared.read is not None:
                kept.add(declared.read.partition(".")[0])
    return kept


def _identity(value: Any, person: Person) -> Any:
    """What stays of a value: which record the person is, where it shows the person, and else nothing."""
    return _seen(value, person) if isinstance(value, dict) and _is_person(value, person) else None


def _without(record: Record, person: Person) -> Record:
    """The record of somebody or something else, in which the person may be shown."""
    shown = {name: _seen(value, person) for name, value in record.items() if isinstance(value, dict)}
    changed = {name: value for name, value in shown.items() if value != record[name]}
    return {**record, **changed} if changed else record


@cache
def _numbers() -> frozenset[str]:
    """The columns with an employee number by which records of others show a person: a vehicle's driver, a manager."""
    return frozenset(trace.number for _, trace in traces() if trace.number)


def _seen(value: dict[str, Any], person: Person) -> dict[str, Any]:
    """What a record of somebody else shows of the person: only who it is, so that every table shows it afterwards as
    well, and what is cut short is found again by the next try."""
    return {name: value[name] for name in value if name in _numbers() | {"id"}} if _is_person(value, person) else value


def _is_person(value: dict[str, Any], person: Person) -> bool:
    is_known = any(value.get("id") in person.rows(trace.table) for _, trace in traces() if trace.is_person)
    return is_known or any(person.has_number(value.get(name)) for name in _numbers())


def erased_plan(plan: Plan, keys: Collection[str]) -> Plan:
    """The plan without the values of these source keys. Actions, verdicts and keys stay, so its counts do."""

    def emptied(change: Change) -> Change:
        return replace(change, fields={}, payload_hash="") if change.source_key in keys else change

    return replace(
        plan,
        changes=tuple(map(emptied, plan.changes)),
        held=tuple(replace(held, change=emptied(held.change)) for held in plan.held),
        set_aside=tuple(replace(held, change=emptied(held.change)) for held in plan.set_aside),
        questions=tuple(replace(one, fields={}) if one.source_key in keys else one for one in plan.questions),
        verdicts=tuple(
            replace(verdict, reasons=(), notes=()) if verdict.source_key in keys else verdict
            for verdict in plan.verdicts
        ),
        findings=tuple(replace(found, text="") if found.key in keys else found for found in plan.findings),
        agreed=tuple(replace(agreed, values={}) if agreed.source_key in keys else agreed for agreed in plan.agreed),
        # A hash of values has no key: they can be found by hashing guesses.
        approved={key: found for key, found in plan.approved.items() if key not in keys},
    )
