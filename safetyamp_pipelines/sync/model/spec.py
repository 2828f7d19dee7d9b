"""How an entity is declared: fields, sources, policies, match keys, its table and its section of sync.yaml.

Declarations only; no rule is carried out here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.kinds import EntityRules
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.tables import Id, Table, fold

if TYPE_CHECKING:
    from safetyamp_pipelines.sync.model.inputs import Inputs


class Policy(StrEnum):
    """Who decides a field's value when the source and SafetyAmp differ."""

    SOURCE = "source"
    INITIAL = "initial"
    FILL = "fill"
    MERGE = "merge"


class Collision(StrEnum):
    """What happens to a record whose unique value another record holds."""

    REJECT = "reject"
    OMIT = "omit"


class Scope(StrEnum):
    """What a source record is to SafetyAmp: kept in step, switched off, or none of its business."""

    ACTIVE = "active"
    LEAVER = "leaver"
    OUT = "out"


@dataclass(frozen=True)
class Field:
    """One field of a target table.

    `name` is where it is written, `read` the dotted path where it is read (None: SafetyAmp never shows it).
    `sources` are columns of the entity's working frame in order of preference: `table.Column`,
    `sync.yaml.<path>` for a constant, `rule.<name>` for a derived value. The values of a `personal` field are a
    person's: they are what `safetyamp forget` takes out. A `distinctive` field is rarely the same in two records: the
    same new value in many of them is a fault of the source. With `clears` an empty source empties the field; else what
    stands in SafetyAmp stays.
    """

    name: str
    label: str
    sources: tuple[str, ...]
    read: str | None
    clean: str = "text"
    required: bool = False
    unique: Collision | None = None
    references: str | None = None
    policy: Policy = Policy.SOURCE
    personal: bool = False
    distinctive: bool = False
    fold_case: bool = False
    as_list_of_ids: bool = False
    clears: bool = False

    def folded(self, value: Any) -> str:
        """The text by which two values of it are compared where they must be unique."""
        return fold(value, case=self.fold_case, numeric=self.clean == "number")

    @property
    def can_be_cleared(self) -> bool:
        """Whether SafetyAmp does without a value, so that an empty source may clear it."""
        return not self.required and self.policy is not Policy.INITIAL

    @property
    def when_empty(self) -> str:
        """What an empty source does, in a word."""
        return "rejects the record" if self.required else "clears it" if self.clears else "SafetyAmp's stays"


@dataclass(frozen=True)
class MatchKey:
    """One way to recognise a source record in SafetyAmp.

    Its values come from `Desired.match[name]`; `read` is the path in the observed record. A key with an `owner`
    path adopts only a record that no other source record owns; with an `action`, only one that nobody owns, and
    adopting it is that action.
    """

    name: str
    read: str
    fold_case: bool = False
    numeric: bool = False
    owner: str | None = None
    action: str | None = None

    def folded(self, value: object) -> str:
        """The text by which two values of it are compared."""
        return fold(value, case=self.fold_case, numeric=self.numeric)


@dataclass(frozen=True, slots=True)
class Desired:
    """What SafetyAmp should say about one source record.

    `values` holds JSON scalars by field name; references are natural keys; None means the source says nothing.
    `reasons` say why the record cannot be synced, in a payroll clerk's words and without any personal value.
    `groups` are what guards count by besides the place, such as `department 10`. `stand_ins` are the fields whose value
    only stands in: a constant of sync.yaml where the source has none, another source where the first is in doubt. It
    fills what is empty and overwrites nothing. `doubts` say what is unknown of the record: the fields concerned stay as
    they are. `empty` are the fields of which the sources are known to say nothing, `released` those of them whose value
    another record has by its source. `waits` say why the record cannot be created yet: something that it needs was not
    read, or not planned. `lacks` say why it cannot be created, although one that is there goes on with what it has.
    `rings` say which of its unique values it cannot get for a ring of records that want each other's.
    `rows` are its rows in the table of the key: by them sync.yaml says whether it is in scope.
    """

    source_key: str
    natural_key: str
    values: Mapping[str, Any]
    match: Mapping[str, tuple[str, ...]]
    scope: Scope = Scope.ACTIVE
    rule: str = ""
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    stand_ins: frozenset[str] = frozenset()
    waits: tuple[str, ...] = ()
    rows: tuple[Record, ...] = ()
    doubts: tuple[str, ...] = ()
    empty: frozenset[str] = frozenset()
    released: frozenset[str] = frozenset()
    lacks: tuple[str, ...] = ()
    rings: tuple[str, ...] = ()

    def under(self, fields: Iterable[Field]) -> tuple[Field, ...]:
        """The fields with the policies that hold for this record."""
        filled = {field for field in fields if field.name in self.stand_ins and field.policy is not Policy.INITIAL}
        found = (replace(field, policy=Policy.FILL) if field in filled else field for field in fields)
        return tuple(replace(field, clears=True) if field.name in self.released else field for field in found)


class Somebody(Protocol):
    """The person whom `safetyamp forget` is about, as far as a declaration asks."""

    @property
    def number(self) -> str: ...
    def has_number(self, value: Any) -> bool:
        """Whether a value of any system is the person's employee number, leading zeros or not."""
        ...

    def is_in_company(self, company: Any) -> bool:
        """Whether the row of that company with this number is the person's."""
        ...

    def rows(self, table: str) -> Set[Id]:
        """The ids of the person's rows in a table whose traces were followed before."""
        ...


@dataclass(frozen=True)
class Trace:
    """How a row of one table is known to be a person's. `stays` is what must be left in it, besides its keys and what
    is not personal, so that it is known again: the next try of a `forget` that was cut short finds what is left. With
    `is_person` a row is a person, whom rows of other tables may show by its id. `number` is the column with the
    employee number by which rows of other tables may show the person, `full_name` those that make up the name by which
    systems beyond these tables do."""

    table: str
    is_theirs: Callable[[Record, Somebody, Any], bool]
    stays: Callable[[Record, Somebody, Any], Mapping[str, Any]] = field(default=lambda _row, _who, _rules: {})
    is_person: bool = False
    number: str | None = None
    full_name: tuple[str, ...] = ()


Rows = dict[str, Record]
"""Snapshot → the row of it that a source record is read from."""


@dataclass(frozen=True)
class SourceKey:
    """How a source record is found by its key: the table, the column and how it is cleaned.

    Where several companies may use one key, `company` is the column that tells them apart: the owner's record has the
    key alone, the others' `company/key`. `others` are columns whose values people take for the key, `department` is the
    one that names the record's department.
    """

    table: str
    column: str
    clean: str = "text"
    company: str | None = None
    others: tuple[str, ...] = ()
    department: str | None = None

    def of(self, row: Record) -> str:
        """The key of a row, as it stands in natural keys."""
        value = row.get(self.column)
        return "" if value is None else str(clean.CLEANERS[self.clean](value, "") or "")

    def by_key(self, rows: Iterable[Record]) -> dict[str, Record]:
        """The first row of each key, by the key alone and, where companies may share it, by `company/key`."""
        found: dict[str, Record] = {}
        for row in rows:
            found.setdefault(self.of(row), row)
            if self.company is not None:
                found[f"{row[self.company]}/{self.of(row)}"] = row
        return found

    def records(self, inputs: Inputs) -> Iterable[tuple[object, str]]:
        """(company, key) of every row."""
        rows = inputs.snapshot(self.table).records
        return [(row[self.company] if self.company else None, self.of(row)) for row in rows]


@dataclass(frozen=True, kw_only=True, eq=False)
class EntitySpec:
    """One synced entity: where its records come from, which table they become, and by which rules.

    `target` is the table it writes; two entities may write one. `reads` declares further tables of SafetyAmp that it
    looks things up in, `observed` names all that it is planned against. `rules` is its section of sync.yaml.
    `desire` reads snapshots and expected state and gives what each source record should become. `key` finds a record's
    row, `beside` gives the rows of other sources that belong to it. `records` names, as (company, key), every source
    record that must end in a verdict, where these are not just the rows of the key's table; it is asked beside `desire`
    to check it. `is_read_row_by_row` says that what a row becomes hangs on no row with another key.
    Where several source records claim one record of SafetyAmp by a key, the other keys decide in their order, and after
    them the `tie_breakers`, which recognise nothing by themselves.
    `words` says for each `rule.<name>` among the fields' sources where its values come from, `rests_on` which snapshots
    besides the key's table its values are made of.
    `access` names the field that switches a record off for leavers. With `holds_switched_off`, a record that somebody
    switched off by hand waits for a person; `reactivates` says whether one that we never pushed is switched on.
    `place` is the reference that says where a record stands: changing it is a move, and guards count by place.
    `protected_by` says why an observed record is never touched, None when it may be. `why_absent` adds reasons why a
    key that somebody asks for is not a source record.
    `traces` lead to a person's rows, in an order in which one may ask for those before it. Without one of its own table
    an entity with personal fields is traced by its reference to users, or by the employee number it is keyed by.
    """

    name: str
    target: Table
    title: str
    description: str
    sources: tuple[str, ...]
    observed: tuple[str, ...]
    after: tuple[str, ...]
    fields: tuple[Field, ...]
    match: tuple[MatchKey, ...]
    key: SourceKey
    rules: type[EntityRules]
    desire: Callable[[Inputs, Any], list[Desired]]
    tie_breakers: tuple[MatchKey, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    rests_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reads: tuple[Table, ...] = ()
    records: Callable[[Inputs], Iterable[tuple[object, str]]] | None = None
    beside: Callable[[Inputs], Callable[[Desired], Rows]] = field(default=lambda _inputs: lambda _record: {})
    why_absent: Callable[[Inputs, str], Iterable[str]] = field(default=lambda _inputs, _key: ())
    traces: tuple[Trace, ...] = ()
    is_read_row_by_row: bool = False
    access: str | None = None
    holds_switched_off: bool = False
    place: str | None = None
    reactivates: Callable[[Any], bool] = field(default=lambda _rules: True)
    protected_by: Callable[[Record, Any], str | None] = field(default=lambda _row, _rules: None)

    @property
    def table(self) -> str:
        """The name of the table it writes."""
        return self.target.name

    @property
    def snapshots(self) -> list[str]:
        """All that it is planned from: its sources, and SafetyAmp's tables as observed."""
        return [*self.sources, *(f"{OBSERVED}/{table}" for table in self.observed)]

    @property
    def noun(self) -> str:
        """One record of the entity, in words: `employee`."""
        return self.name.removesuffix("s")

    @property
    def is_personal(self) -> bool:
        """Whether any of its values are a person's."""
        return any(declared.personal for declared in self.fields)

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {declared.name: declared for declared in self.fields}

    def field(self, name: str) -> Field:
        """The field of that write name; one that only sync.yaml has, or had, is read as it is written."""
        return self._by_name.get(name) or Field(name, name, (), name, personal=True)

    def with_custom(self, rules: EntityRules) -> EntitySpec:
        """The entity with the fields that sync.yaml adds."""
        if not rules.custom_fields:
            return self
        custom = (
            Field(
                one.field,
                one.label or one.field,
                (".".join(self.column_named(one.column)),),
                one.field,
                clean=one.cleaner,
                policy=Policy(one.policy),
                personal=one.personal,
            )
            for one in rules.custom_fields
        )
        return replace(self, fields=(*self.fields, *custom))

    def column_named(self, named: str) -> tuple[str, str]:
        """(table, column) of a column that sync.yaml names; without a table it is one of the key's table."""
        table, _, column = named.rpartition(".")
        return table or self.key.table, column

    def tables_of(self, declared: Field) -> set[str]:
        """The snapshots that a field's value rests on, beside those of the table that the entity writes."""
        tables = {source.partition(".")[0] for source in declared.sources if "/" in source}
        tables |= {table for source in declared.sources for table in self.rests_on.get(source, ())}
        if declared.references not in (None, self.table):
            tables.add(f"{OBSERVED}/{declared.references}")
        return tables

    def unknown(self, unread: Mapping[str, str]) -> dict[str, str]:
        """Field → why its value is unknown: a snapshot that it rests on was not read. Unknown is not empty."""
        found = {}
        for declared in self.fields:
            if missing := sorted(self.tables_of(declared) & unread.keys()):
                found[declared.name] = f"{missing[0]} was not read ({unread[missing[0]]})"
        return found

    def label(self, name: str) -> str:
        """What people call the field of that write name; the name itself when the entity has none."""
        return self._by_name[name].label if name in self._by_name else name

    def label_read_at(self, path: str) -> str:
        """What people call the value at that path of an observed record."""
        return next((declared.label for declared in self.fields if declared.read == path), path)

    def with_policies(self, rules: EntityRules) -> tuple[Field, ...]:
        """The fields with the policies that sync.yaml changes, and what an empty source does to them."""
        changed, cleared = rules.policies, {found.name for name in rules.clears if (found := self.named(name))}
        fields = (replace(f, policy=Policy(changed[f.name])) if f.name in changed else f for f in self.fields)
        return tuple(replace(f, clears=(f.clears or f.name in cleared) and f.can_be_cleared) for f in fields)

    def named(self, name: str) -> Field | None:
        """The field that people mean by its name or its label: `current_title_id`, `title`; `mobile` for what alone
        begins so. None when there is none, or several."""
        called = {f.name: {f.name, f.label.casefold().replace(" ", "_")} for f in self.fields}
        exact = [f for f in self.fields if name.casefold() in called[f.name]]
        begun = [f for f in self.fields if any(one.startswith(f"{name.casefold()}_") for one in called[f.name])]
        found = exact or begun
        return found[0] if len(found) == 1 else None

    def why_not_cleared(self, name: str) -> str | None:
        """Why sync.yaml cannot let an empty source empty that field; None when it can."""
        fixed = {self.access, *self.target.always}
        free = [f for f in self.fields if f.can_be_cleared and f.name not in fixed]
        if (found := self.named(name)) in free:
            return None
        why = "is not a field of it" if found is None else f"({found.label}) is not emptied: SafetyAmp requires it"
        return f"{name} {why}; there are {', '.join(f.name for f in free)}"

    def all_records(self, inputs: Inputs) -> Iterable[tuple[object, str]]:
        """(company, key) of every source record that must end in a verdict."""
        return (self.records or self.key.records)(inputs)
