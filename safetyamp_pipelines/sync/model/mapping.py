"""From the columns of a source to desired values: the declared sources in order, cleaned, with every reason kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from safetyamp_pipelines.sync.model.clean import Cleaned, clean
from safetyamp_pipelines.sync.model.spec import Desired, Field

CONSTANT = "sync.yaml."
"""What the names of sources begin with that are not columns: constants of sync.yaml."""
SYSTEM_NAMES = {"viewpoint": "Viewpoint", "entra": "Entra", "samsara": "Samsara"}


def source_label(source: str) -> str:
    """`viewpoint/employees.Email` in an operator's words: `Viewpoint Email`."""
    table, _, column = source.partition(".")
    system = SYSTEM_NAMES.get(table.partition("/")[0])
    return f"{system} {column}" if system else source


@lru_cache(maxsize=1_000)
def _shared(names: frozenset[str]) -> frozenset[str]:
    """The first of equal sets: thousands of records have the same, and each takes 700 bytes."""
    return names


@dataclass(frozen=True, slots=True)
class MappedRow:
    """One record: values by field, why it cannot be synced, what was left out and why, the fields for which another
    value stands in, and those of which the sources are known to say nothing. `doubts` say why a value is unknown;
    `lacks` are reasons against a new record, which cannot do without it."""

    values: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stand_ins: set[str] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)
    lacks: list[str] = field(default_factory=list)

    def desired(self, source_key: str, natural_key: str, **others: Any) -> Desired:
        """The record that should be, with what no mapping knows, such as what it is matched by."""
        found: dict[str, Any] = {
            "values": self.values,
            "reasons": tuple(dict.fromkeys(self.reasons)),
            "notes": tuple(self.notes),
            "stand_ins": _shared(frozenset(self.stand_ins)),
            "doubts": tuple(self.doubts),
            "empty": _shared(frozenset(self.empty)),
            "lacks": tuple(self.lacks),
        }
        return Desired(source_key, natural_key, **{**found, **others})


def map_fields(
    columns: Mapping[str, Sequence[Any]],
    fields: Sequence[Field],
    phone_region: str = "US",
    unknown: Mapping[str, str] | None = None,
) -> list[MappedRow]:
    """Evaluate every field on every row. The first source with a usable value wins; an unusable one leaves a note.
    Fields that are `unknown` have no value and lack none: each says why.

    A column `<source>.why` says by row why that source has no value; `<source>.unknown` says why what it has is unknown
    there: then sources after it only stand in, and without them the field is unknown, not empty.
    """
    size = len(next(iter(columns.values())))
    rows = [MappedRow() for _ in range(size)]
    seen: dict[tuple[str, str], Cleaned] = {}
    for declared in fields:
        if unknown and declared.name in unknown:
            for row in rows:
                row.values[declared.name] = None
                row.notes.append(f"{declared.label} stays as it is: {unknown[declared.name]}")
            continue
        sources = [source for source in declared.sources if source in columns]
        for source in sources:
            if (source, declared.clean) not in seen:
                seen[source, declared.clean] = clean(columns[source], declared.clean, phone_region)
        cleaned = [(source, seen[source, declared.clean], columns.get(f"{source}.unknown")) for source in sources]
        why = columns.get(f"{declared.sources[0]}.why")
        for index, row in enumerate(rows):
            _map_one(declared, index, row, cleaned, None if why is None else str(why[index]))
    return rows


def _map_one(
    declared: Field,
    index: int,
    row: MappedRow,
    sources: Sequence[tuple[str, Cleaned, Sequence[Any] | None]],
    why: str | None,
) -> None:
    """One field of one row."""
    value, origin, doubt, troubles = None, "", "", list[str]()
    for source, column, doubts in sources:
        if doubts is not None and doubts[index]:
            doubt = str(doubts[index])
            continue
        if (reason := column.reasons[index]) is not None:
            troubles.append(f"{source_label(source)} {reason}")
        if (value := column.values[index]) is not None:
            origin = source
            break
    row.values[declared.name] = value
    if doubt and doubt not in row.doubts:
        row.doubts.append(doubt)
    if value is not None and (doubt or (origin.startswith(CONSTANT) and not declared.sources[0].startswith(CONSTANT))):
        row.stand_ins.add(declared.name)
    if value is None and not troubles and not doubt:
        row.empty.add(declared.name)
    if value is None and declared.required:
        reason = why if why is not None else _missing(declared, troubles)
        (row.lacks if doubt else row.reasons).append(reason)
    else:
        row.notes.extend(f"{declared.label}: {text}" for text in troubles)


def _missing(field: Field, troubles: list[str]) -> str:
    """Why a required field has no value, naming where to correct it."""
    places = " or ".join(source_label(source) for source in field.sources if not source.startswith("rule."))
    if troubles:
        return f"{field.label}: {'; '.join(troubles)}"
    return f"{field.label} is missing: fill {places}" if places else f"{field.label} is missing"
