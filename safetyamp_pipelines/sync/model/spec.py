"""How an entity is declared: fields, sources, policies, match keys. Declarations only; no rule is carried out here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safetyamp_pipelines.sync.model.inputs import Inputs
    from safetyamp_pipelines.sync.model.snapshot import Record
    from safetyamp_pipelines.sync.rules.config import SyncConfig


class Policy(StrEnum):
    """Who decides a field's value when the source and SafetyAmp differ (docs/architecture.md)."""

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
    `sync.yaml.<path>` for a constant, `rule.<name>` for a derived value. A `telling` field tells records apart: the
    same new value in many of them is a fault of the source.
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
    telling: bool = False
    fold_case: bool = False
    as_list_of_ids: bool = False


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


@dataclass(frozen=True)
class Desired:
    """What SafetyAmp should say about one source record.

    `values` holds JSON scalars by field name; references are natural keys; None means the source says nothing.
    `reasons` say why the record cannot be synced, in a payroll clerk's words and without any personal value.
    `groups` are what guards count by besides the place, such as `department 10`. `stand_ins` are the fields whose value
    is a constant of sync.yaml because the source has none: it fills what is empty and overwrites nothing.
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

    def under(self, fields: Iterable[Field]) -> tuple[Field, ...]:
        """The fields with the policies that hold for this record."""
        filled = {field for field in fields if field.name in self.stand_ins and field.policy is not Policy.INITIAL}
        return tuple(replace(field, policy=Policy.FILL) if field in filled else field for field in fields)


@dataclass(frozen=True)
class EntitySpec:
    """One synced entity: where its records come from, which table they become, and by which rules.

    `desire` reads snapshots and expected state and says what each source record should become.
    `always` are the fields SafetyAmp insists on in every update.
    `access` names the field that switches a record off for leavers. With `holds_switched_off`, a record that somebody
    switched off by hand waits for a person; `reactivates` says whether one that we never pushed is switched on.
    `place` is the reference that says where a record stands: changing it is a move, and guards count by place.
    `records` names, as (company, key), every source record that must end in a verdict; it is asked beside `desire` to
    check it. `protected_by` says why an observed record is never touched, None when it may be.
    """

    name: str
    table: str
    title: str
    description: str
    sources: tuple[str, ...]
    observed: tuple[str, ...]
    after: tuple[str, ...]
    fields: tuple[Field, ...]
    match: tuple[MatchKey, ...]
    desire: Callable[[Inputs, SyncConfig], list[Desired]]
    records: Callable[[Inputs], Iterable[tuple[object, str]]]
    always: tuple[str, ...] = ()
    access: str | None = None
    holds_switched_off: bool = False
    place: str | None = None
    policies: Callable[[SyncConfig], Mapping[str, str]] = field(default=lambda _config: {})
    reactivates: Callable[[SyncConfig], bool] = field(default=lambda _config: True)
    protected_by: Callable[[Record, SyncConfig], str | None] = field(default=lambda _row, _config: None)

    @property
    def noun(self) -> str:
        """One record of the entity, in words: `employee`."""
        return self.name.removesuffix("s")

    def field(self, name: str) -> Field:
        """The field of that write name; KeyError when the entity has none."""
        return {declared.name: declared for declared in self.fields}[name]

    def label_read_at(self, path: str) -> str:
        """What people call the value at that path of an observed record."""
        return next((declared.label for declared in self.fields if declared.read == path), path)

    def with_policies(self, config: SyncConfig) -> tuple[Field, ...]:
        """The fields with the policies that sync.yaml changes."""
        changed = self.policies(config)
        return tuple(replace(f, policy=Policy(changed[f.name])) if f.name in changed else f for f in self.fields)
