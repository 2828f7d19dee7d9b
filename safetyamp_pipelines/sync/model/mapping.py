"""From a working frame to desired values: the declared sources in order, cleaned, with every reason kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from safetyamp_pipelines.sync.model.clean import clean
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
class Mapped:
    """Per record, in the frame's order: values by field, why it cannot be synced, what was left out and why, and the
    fields for which a constant of sync.yaml stands in."""

    values: list[dict[str, Any]]
    reasons: list[list[str]]
    notes: list[list[str]]
    stand_ins: list[set[str]]


def map_fields(frame: pd.DataFrame, fields: Sequence[Field], phone_region: str = "US") -> Mapped:
    """Evaluate every field on every row. The first source with a usable value wins; an unusable one leaves a note."""
    values: list[dict[str, Any]] = [{} for _ in range(len(frame))]
    reasons: list[list[str]] = [[] for _ in range(len(frame))]
    notes: list[list[str]] = [[] for _ in range(len(frame))]
    stand_ins: list[set[str]] = [set() for _ in range(len(frame))]
    for field in fields:
        chosen, troubles, origins = _chosen(frame, field, phone_region)
        for row, (value, trouble) in enumerate(zip(chosen, troubles, strict=True)):
            values[row][field.name] = value
            if origins[row].startswith(CONSTANT) and not field.sources[0].startswith(CONSTANT):
                stand_ins[row].add(field.name)
            if value is None and field.required:
                reasons[row].append(_explained(frame, field, row) or _missing(field, trouble))
            elif trouble:
                notes[row].extend(f"{field.label}: {text}" for text in trouble)
    return Mapped(values, reasons, notes, stand_ins)


def _chosen(frame: pd.DataFrame, field: Field, phone_region: str) -> tuple[list[Any], list[list[str]], list[str]]:
    """By row: the value, what was wrong with the sources before it, and the source it is from ("" for none)."""
    chosen: list[Any] = [None] * len(frame)
    origins = [""] * len(frame)
    troubles: list[list[str]] = [[] for _ in range(len(frame))]
    for source in field.sources:
        if source not in frame:
            continue
        cleaned = clean(frame[source], field.clean, phone_region)
        for row, (value, reason) in enumerate(zip(cleaned.values, cleaned.reasons, strict=True)):
            if chosen[row] is not None:
                continue
            if value is not None:
                chosen[row], origins[row] = value, source
            if reason is not None:
                troubles[row].append(f"{source_label(source)} {reason}")
    return chosen, troubles, origins


def _explained(frame: pd.DataFrame, field: Field, row: int) -> str | None:
    """A rule that finds no value may say why in a column `rule.<name>.why` of its own."""
    why = f"{field.sources[0]}.why"
    return str(frame[why].iloc[row]) if why in frame else None


def _missing(field: Field, trouble: list[str]) -> str:
    """Why a required field has no value, naming where a clerk would mend it."""
    places = " or ".join(source_label(source) for source in field.sources if not source.startswith("rule."))
    if trouble:
        return f"{field.label}: {'; '.join(trouble)}"
    return f"{field.label} is missing: fill {places}" if places else f"{field.label} is missing"
