"""The synced entities, in the order in which they are pushed: a sixth is a module beside these and a line here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set

from safetyamp_pipelines.sync.entities import departments, employees, jobs, titles, vehicles
from safetyamp_pipelines.sync.model.clean import CLEANERS
from safetyamp_pipelines.sync.model.columns import OBSERVED, SOURCES, Schema
from safetyamp_pipelines.sync.model.errors import Refusal, SyncError
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field
from safetyamp_pipelines.sync.model.tables import Id, References, Table

ENTITIES: list[EntitySpec] = []
BY_NAME: dict[str, EntitySpec] = {}
TABLES: dict[str, Table] = {}
"""SafetyAmp's tables by name: those that entities write and those that they look things up in."""
SCHEMAS: dict[str, Schema] = dict(SOURCES)
"""What every snapshot must look like, by its name."""
PERSONAL: set[str] = set()
"""The names under which values of people stand, in small letters and digits alone: what is never logged."""
_READERS: list[str] = []
"""Who has made something of all entities: nobody may be added any more."""


class DeclarationError(SyncError):
    """An entity is not declared whole, or clashes with another; the text names every part."""


def register(spec: EntitySpec) -> None:
    """Add an entity. The definitions, the commands and sync.yaml are made from what is registered when they load, so
    one from outside is registered before them. Raises DeclarationError."""
    if _READERS:
        raise DeclarationError(f"the entity {spec.name} comes too late: register it before {_READERS[0]} is made")
    if problems := tuple(_problems(spec)):
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise DeclarationError(f"the entity {spec.name} is not declared whole:{listed}")
    ENTITIES.append(spec)
    BY_NAME[spec.name] = spec
    for table in (*spec.reads, spec.target):
        TABLES[table.name] = table
        SCHEMAS[f"{OBSERVED}/{table.name}"] = table.schema
    PERSONAL.update(map(spelling_of, _personal_names(spec)))


def entity_named(name: str) -> EntitySpec:
    """The entity of that name, in the singular or plural. Raises Refusal when there is none."""
    for spec in ENTITIES:
        if name.strip().casefold() in (spec.name, spec.noun):
            return spec
    raise Refusal(f"no such entity: {name}. There are {', '.join(BY_NAME)}")


def full_name(entity: str | None) -> str | None:
    """The name of the entity, given in the singular or plural; None, which means all, stays. Raises Refusal."""
    return None if entity is None else entity_named(entity).name


def hide_in_logs(names: Iterable[str]) -> None:
    """Names of personal values that sync.yaml adds; like those of declared fields they stay hidden in this process."""
    PERSONAL.update(map(spelling_of, names))


def spelling_of(name: str) -> str:
    """A name as it is compared where spellings differ: `zip_code`, `zipCode` and `ZIP-CODE` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _personal_names(spec: EntitySpec) -> Iterator[str]:
    """Of its personal fields and the columns they come from, and of all columns of a person's row that nothing reads
    which is not personal."""
    open_columns = {
        name for field in spec.fields if not field.personal for name in (*_columns_of(field), str(field.read))
    }
    for field in spec.fields:
        if field.personal:
            yield from (field.name, *_columns_of(field))
    for trace in spec.traces:
        if trace.is_person:
            schema = SCHEMAS.get(trace.table) or TABLES[trace.table].schema
            yield from set(schema.known()) - {*schema.key, *open_columns, *TABLES}


def _columns_of(field: Field) -> list[str]:
    return [column for table, _, column in (source.partition(".") for source in field.sources) if table in SOURCES]


def all_entities(reader: str) -> tuple[EntitySpec, ...]:
    """Every entity, for a reader that makes something of all of them once; none can be registered afterwards."""
    _READERS.append(reader)
    return tuple(ENTITIES)


def writers(table: str) -> tuple[EntitySpec, ...]:
    """The entities that write a table, in their order."""
    return tuple(spec for spec in ENTITIES if spec.table == table)


def asset_name(spec: EntitySpec) -> str:
    """The asset that an entity's push materialises: the table's for its first writer, for others one of their own."""
    is_first = writers(spec.table)[0].name == spec.name
    return f"safetyamp/{spec.table}" if is_first else f"safetyamp/{spec.table}_{spec.name}"


def pushed_as(asset: str) -> EntitySpec | None:
    """The entity whose push materialises that asset."""
    return next((spec for spec in ENTITIES if asset_name(spec) == asset), None)


def references(
    records: Mapping[str, Collection[Record]],
    linked: Mapping[str, Mapping[Id, str]] | None = None,
    known: Mapping[str, Set[Id]] | None = None,
) -> References:
    """SafetyAmp's tables with these rows; a table that is not among them is empty."""
    return References(TABLES.values(), records, linked, known=known)


def _problems(spec: EntitySpec) -> Iterator[str]:
    """What is missing or contradicts itself, each as a sentence that says what to do."""
    if spec.name in BY_NAME:
        yield "an entity of this name exists already: choose another"
    yield from _problems_of_tables(spec)
    yield from _problems_of_fields(spec)
    names = {field.name for field in spec.fields}
    for part, name in (("access", spec.access), ("place", spec.place)):
        if name is not None and name not in names:
            yield f"{part} names {name}, which is not a field of it"
    for name in spec.target.always:
        if name not in names:
            yield f"every update of {spec.table} must carry {name}: declare that field"
    if not spec.match:
        yield "it has no match key: nothing would be recognised, and every run would create everything again"
    for source in (*spec.sources, spec.key.table):
        if source not in SOURCES:
            yield f"the columns of {source} are not declared in columns.SOURCES, so nothing could check its snapshots"
    if spec.key.table not in spec.sources:
        yield f"its key is read from {spec.key.table}: add that to its sources"
    elif (schema := SOURCES.get(spec.key.table)) is not None:
        columns = (spec.key.column, *([spec.key.company] if spec.key.company else []), *spec.key.others)
        for column in columns:
            if column not in schema.known():
                yield f"its key names {column}, which is not a column of {spec.key.table}"
    for name in spec.after:
        if name not in BY_NAME:
            yield f"it comes after {name}, which is not an entity before it"


def _problems_of_tables(spec: EntitySpec) -> Iterator[str]:
    for table in (*spec.reads, spec.target):
        if TABLES.get(table.name, table) is not table:
            yield f"the table {table.name} is declared twice: use the declaration that is there"
        if table.schema.key != ("id",):
            yield f"the columns of {table.name} must have `id` as their one key"
    if spec.target.update is None:
        yield f"the table {spec.table} has no verb for updates: nothing may write it"
    known = {*TABLES, spec.table, *(table.name for table in spec.reads)}
    for name in spec.observed:
        if name not in known:
            yield f"it is planned against {name}, a table that nobody declares: add it to `reads`"
    needed = {spec.table, *(field.references for field in spec.fields if field.references)}
    for name in sorted(needed - set(spec.observed)):
        yield f"it writes or refers to {name}: add that table to `observed`"
    earlier = [other.name for other in writers(spec.table) if other.name not in spec.after]
    if earlier:
        yield f"{', '.join(earlier)} writes {spec.table} too: add it to `after`, so that neither takes the other's rows"


def _problems_of_fields(spec: EntitySpec) -> Iterator[str]:
    columns = spec.target.schema.known()
    for field in spec.fields:
        if field.read is not None and field.read.partition(".")[0] not in columns:
            yield f"{field.name} is read at {field.read}, which is not a column of {spec.table}"
        if field.clean not in CLEANERS:
            yield f"{field.name} is cleaned as {field.clean}; there are {', '.join(CLEANERS)}"
        if not field.sources:
            yield f"{field.name} has no source"
        for source in field.sources:
            yield from _problems_of_source(spec, field.name, source)
    for key in spec.match:
        if key.read.partition(".")[0] not in columns:
            yield f"the match key {key.name} is read at {key.read}, which is not a column of {spec.table}"


def _problems_of_source(spec: EntitySpec, name: str, source: str) -> Iterator[str]:
    table, _, column = source.partition(".")
    if table == "rule":
        if source not in spec.words:
            yield f"{name} comes from {source}: say in `words` where its values come from"
    elif source.startswith(f"sync.yaml.{spec.name}."):
        if source.rpartition(".")[2] not in spec.rules.model_fields:
            yield f"{name} comes from {source}, which is not a key of its section"
    elif table not in spec.sources:
        yield f"{name} comes from {source}: add {table} to its sources"
    elif table in SOURCES and column not in SOURCES[table].known():
        yield f"{name} comes from {source}, which is not a declared column of that source"


for declared in (departments.SPEC, jobs.SPEC, titles.SPEC, employees.SPEC, vehicles.SPEC):
    register(declared)
