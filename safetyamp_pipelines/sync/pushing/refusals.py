"""Why SafetyAmp refused a record, field by field, and what to correct where. Holds source keys and ids, no values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from safetyamp_pipelines.sync.model.errors import RecordRefused
from safetyamp_pipelines.sync.model.mapping import SYSTEM_NAMES
from safetyamp_pipelines.sync.model.plan import Action, Change
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.planning.circumstances import Cause, Circumstances, holders_of


class Category(StrEnum):
    """What is wrong with a field."""

    DUPLICATE = "duplicate"
    MISSING = "missing"
    FORMAT = "format"
    REFERENCE = "reference"
    UNKNOWN = "unknown"


WORDS = (
    (Category.DUPLICATE, re.compile(r"taken|already|unique|duplicate|in use", re.IGNORECASE)),
    (Category.MISSING, re.compile(r"required|missing|must be present", re.IGNORECASE)),
    (Category.REFERENCE, re.compile(r"does not exist|not found|validation\.exists", re.IGNORECASE)),
    (Category.FORMAT, re.compile(r"format|valid|must be|must have|not be greater|too long", re.IGNORECASE)),
)
"""SafetyAmp's texts are Laravel's, some untranslated keys such as `validation.phone`."""

OwnerOf = Callable[[Id], str | None]
"""The source key linked to a SafetyAmp id, if any."""


@dataclass(frozen=True)
class Offence:
    """One refused field."""

    label: str
    category: Category
    suggestion: str

    def __str__(self) -> str:
        return f"{self.label}: {self.category}, {self.suggestion}"


@dataclass(frozen=True)
class Explained:
    """A refusal, field by field, and the circumstances it depends on."""

    offences: Mapping[str, Offence]
    cause: Cause


OTHER = "another field"


def with_known_names(refusal: RecordRefused, spec: EntitySpec) -> RecordRefused:
    """The refusal by fields of the entity and its table: any other name may be a person's value."""
    known = {field.name for field in spec.fields} | spec.target.schema.known()
    errors: dict[str, tuple[str, ...]] = {}
    for name, texts in refusal.fields.items():
        kept = name if name in known else OTHER
        errors[kept] = (*errors.get(kept, ()), *texts)
    call = (refusal.system, refusal.method, refusal.endpoint)
    return RecordRefused(*call, status=int(refusal.status or 0), detail=refusal.detail, errors=errors)


def explain_refusal(change: Change, refusal: RecordRefused, now: Circumstances, owner_of: OwnerOf) -> Explained:
    """Explain the refusal of a change as it was sent. One that names no field may depend on any of them."""
    spec, values, own = now.spec, change.after(), change.target_id
    declared = {field.name: field for field in spec.fields}
    categories = {name: _category(declared.get(name), texts) for name, texts in refusal.fields.items()}
    duplicates = {name for name, category in categories.items() if category is Category.DUPLICATE}
    offences = {}
    for name, category in categories.items():
        field = declared.get(name)
        if field is None:
            offences[name] = Offence(name, category, "SafetyAmp names a field that is not synced: correct it there")
            continue
        if name in spec.target.always and name not in values and change.action is not Action.CREATE:
            offences[name] = Offence(field.label, category, _held_back_by_itself(spec, field, change.source_key))
            continue
        is_looked_for = name in duplicates and values.get(name) is not None and field.references is None
        holders = holders_of(field, values[name], now.rows, own) if is_looked_for else []
        named = [_holder(spec, holder, owner_of(holder)) for holder in holders]
        offences[name] = Offence(field.label, category, _suggestion(spec, field, change.source_key, category, named))
    return Explained(offences, now.cause(categories or values, values, own, duplicates))


def _category(field: Field | None, texts: Iterable[str]) -> Category:
    text = " ".join(texts)
    found = next((category for category, words in WORDS if words.search(text)), Category.UNKNOWN)
    is_reference = field is not None and field.references is not None
    return Category.REFERENCE if found is Category.FORMAT and is_reference else found


def _holder(spec: EntitySpec, target_id: Id, owner: str | None) -> str:
    """`user aB3dE, employee 100311`."""
    record = f"{spec.table.removesuffix('s').replace('_', ' ')} {target_id}"
    return f"{record}, {spec.noun} {owner}" if owner is not None else record


def _suggestion(spec: EntitySpec, field: Field, source_key: str, category: Category, holders: list[str]) -> str:
    who, label = f"{spec.noun} {source_key}", field.label.lower()
    match category:
        case Category.DUPLICATE if holders:
            return f"the {label} is also on {' and '.join(holders)}: {mend(field, who)}"
        case Category.DUPLICATE:
            return f"no listed record has the same value, perhaps a deleted one has: free it, or {mend(field, who)}"
        case Category.MISSING:
            return mend(field, who, verb="fill")
        case Category.REFERENCE:
            return f"SafetyAmp does not accept the {label} it refers to: check that there, or {mend(field, who)}"
    return mend(field, who)


def _held_back_by_itself(spec: EntitySpec, field: Field, source_key: str) -> str:
    """The suggestion for a field that did not change, but that every update has to send with its current value."""
    return (
        f"SafetyAmp refuses the {field.label.lower()} that it has itself: correct it there, then "
        f"`safetyamp failures retry {spec.name} {source_key}`"
    )


def mend(field: Field, who: str, *, verb: str = "correct") -> str:
    """Where to correct a field, in words: `correct mail of employee 7 in Entra or Email in Viewpoint`."""
    columns: dict[str, list[str]] = {}
    for source in field.sources:
        table, _, column = source.partition(".")
        if source.startswith("sync.yaml."):
            columns.setdefault("sync.yaml", []).append(source.removeprefix("sync.yaml."))
        elif (system := SYSTEM_NAMES.get(table.partition("/")[0])) is not None:
            columns.setdefault(system, []).append(column)
    if not columns:
        return f"see the rule behind it: `safetyamp explain {who}`"
    first = next(iter(columns))
    places = [
        f"{' or '.join(names)}{f' of {who}' if system == first != 'sync.yaml' else ''} in {system}"
        for system, names in columns.items()
    ]
    return f"{verb} {' or '.join(places)}"
