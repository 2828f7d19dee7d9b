"""From the columns of a source to desired values: the declared sources in order, cleaned, with every reason kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safetyamp_pipelines.sync.model.clean import Cleaned, clean
from safetyamp_pipelines.sync.model.spec import Field

CONSTANT = "sync.yaml."
"""What the names of sources begin with that are no column: constants of sync.yaml."""
SYSTEM_NAMES = {"viewpoint": "Viewpoint", "entra": "Entra", "samsara": "Samsara"}


def source_label(source: str) -> str:
    """`viewpoint/employees.Email` in an operator's words: `Viewpoint Email`."""
    table, _, column = source.partition(".")
    system = SYSTEM_NAMES.get(table.partition("/")[0])
    return f"{system} {column}" if system else source


@dataclass(frozen=True)
class MappedRow:
    """One record: values by field, why it cannot be synced, what was left out and why, and the fields for which a
    constant of sync.yaml stands in."""

    values: dict[str, Any]
    reasons: list[str]
    notes: list[str]
    stand_ins: set[str]


def map_fields(
    columns: Mapping[str, Sequence[Any]],
    fields: Sequence[Field],
    phone_region: str = "US",
    unknown: Mapping[str, str] | None = None,
) -> list[MappedRow]:
    """Evaluate every field on every row. The first source with a usable value wins; an unusable one leaves a note.
    Fields that are `unknown` have no value and lack none: each says why."""
    size = len(next(iter(columns.values())))
    rows = [MappedRow({}, [], [], set()) for _ in range(size)]
    seen: dict[tuple[str, str], Cleaned] = {}
    for field in fields:
        if unknown and field.name in unknown:
            for row in rows:
                row.values[field.name] = None
                row.notes.append(f"{field.label} stays as it is: {unknown[field.name]}")
            continue
        sources = [source for source in field.sources if source in columns]
        cleaned = []
        for source in sources:
            if (source, field.clean) not in seen:
                seen[source, field.clean] = clean(columns[source], field.clean, phone_region)
            cleaned.append(seen[source, field.clean])
        why = columns.get(f"{field.sources[0]}.why")
        for index, row in enumerate(rows):
            value, origin, troubles = None, "", []
            for source, column in zip(sources, cleaned, strict=True):
                if (reason := column.reasons[index]) is not None:
                    troubles.append(f"{source_label(source)} {reason}")
                if (value := column.values[index]) is not None:
                    origin = source
                    break
            row.values[field.name] = value
            if origin.startswith(CONSTANT) and not field.sources[0].startswith(CONSTANT):
                row.stand_ins.add(field.name)
            if value is None and field.required:
                row.reasons.append(str(why[index]) if why is not None else _missing(field, troubles))
            elif troubles:
                row.notes.extend(f"{field.label}: {text}" for text in troubles)
    return rows


def _missing(field: Field, troubles: list[str]) -> str:
    """Why a required field has no value, naming where a clerk would mend it."""
    places = " or ".join(source_label(source) for source in field.sources if not source.startswith("rule."))
    if troubles:
        return f"{field.label}: {'; '.join(troubles)}"
    return f"{field.label} is missing: fill {places}" if places else f"{field.label} is missing"
