"""The difference of one matched record, field by field and policy by policy (docs/architecture.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from safetyamp_pipelines.sync.model.clean import restores
from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.snapshot import Record, canonical_json
from safetyamp_pipelines.sync.model.spec import Field, Policy
from safetyamp_pipelines.sync.model.tables import References, at_path, has_path


def value_hash(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


DRIFT = "somebody changed it in SafetyAmp"
NOT_SWITCHED_OFF = "SafetyAmp did not take access off when it was told to"
CHANGED_ON_BOTH_SIDES = "held: it changed in the source and in SafetyAmp; a person must decide"


@dataclass
class Difference:
    """`changed` maps a field to (before, after); `agreed` holds values both sides share; `notes` say what was left,
    `kept` where an empty source was ignored, `held` maps what a person must decide to both values; `drift` says by
    field who wins where somebody changed what we had pushed."""

    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    agreed: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    held: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    drift: dict[str, str] = field(default_factory=dict)


def is_shown(declared: Field, row: Record) -> bool:
    """Whether the row has the field at all; null counts as a value."""
    return declared.read is not None and has_path(row, declared.read)


def observed_value(declared: Field, row: Record, references: References, pushed: Mapping[str, Any]) -> Any:
    """SafetyAmp's value of a field, in the plan's terms: references as natural keys, booleans as 0 and 1.

    A field SafetyAmp never shows (its `read` path is None or absent from the row) is what we last pushed.
    """
    if declared.read is None or not is_shown(declared, row):
        return pushed.get(declared.name)
    raw = at_path(row, declared.read)
    if raw is None or raw == "":
        return None
    if declared.references is not None:
        return references[declared.references].key_of(raw) or f"[{raw}]"
    if isinstance(raw, bool):
        return int(raw)
    return raw[:10] if declared.clean == "date" and isinstance(raw, str) else raw


def is_same(declared: Field, before: Any, after: Any, references: References) -> bool:
    """Whether both are the same value: references by identity, text trimmed and where declared case-insensitively."""
    if before is None or after is None:
        return before is after
    if declared.references is not None:
        table = references[declared.references]
        return before == after or (table.id_of(before) is not None and table.id_of(before) == table.id_of(after))
    left, right = str(before).strip(), str(after).strip()
    return left.casefold() == right.casefold() if declared.fold_case else left == right


def diff_record(
    fields: tuple[Field, ...],
    values: Mapping[str, Any],
    row: Record,
    references: References,
    link: Link | None,
    refused: Mapping[str, str] | None = None,
    empty: Set[str] = frozenset(),
) -> Difference:
    """Compare one desired record with its observed row. `refused` are fields whose values SafetyAmp is known to refuse,
    with a note for each: they are left out. `empty` are those of which the sources are known to say nothing: what they
    say blanks a value where the field clears, and nowhere else."""
    pushed: Mapping[str, Any] = link.pushed if link is not None else {}
    difference = Difference()
    for declared in fields:
        after = values.get(declared.name)
        if after is None and declared.name not in empty:
            continue
        before = observed_value(declared, row, references, pushed)
        if after is None and not declared.clears:
            if before is not None:
                difference.kept.append(f"{declared.label}: the source is empty, and what SafetyAmp has stays")
            continue
        if is_same(declared, before, after, references):
            difference.agreed[declared.name] = after
            continue
        if after is not None and restores(before, after):
            difference.notes.append(f"{declared.label}: stays as it is in SafetyAmp, where it has its letters")
            continue
        is_not_taken = was_not_taken(link, declared.name, before, after)
        if not is_not_taken and has_drifted(declared, before, pushed, references):
            difference.drift[declared.name] = _who_wins(declared, before, after, pushed)
        if refused and declared.name in refused:
            difference.notes.append(f"{declared.label}: {refused[declared.name]}")
        elif is_not_taken:
            difference.notes.append(f"{declared.label}: SafetyAmp did not take this value when it was sent")
        elif (stays := _why_it_stays(declared, before, after, pushed)) is None:
            difference.changed[declared.name] = (before, after)
        elif stays:
            difference.notes.append(f"{declared.label}: {stays}")
            difference.held[declared.name] = (before, after)
    return difference


def offered(after: Any, before: Any = ...) -> str:
    """How the ledger remembers a value SafetyAmp did not take: alone when its answer showed so, together with the
    value that was there before when its answer did not contain the field and only the next listing can show it."""
    return value_hash([after] if before is ... else [after, before])


def was_not_taken(link: Link | None, name: str, before: Any, after: Any) -> bool:
    """Whether the same value was sent before, and SafetyAmp still has the value it had then."""
    remembered = link.not_taken.get(name) if link is not None else None
    return remembered is not None and remembered in (offered(after), offered(after, before))


def has_drifted(declared: Field, before: Any, pushed: Mapping[str, Any], references: References) -> bool:
    """Whether somebody changed in SafetyAmp what we had pushed. A reference that no longer leads anywhere tells
    nothing: the record it led to may have been renamed."""
    if pushed.get(declared.name) is None:
        return False
    ours = pushed[declared.name]
    is_known = declared.references is None or references[declared.references].id_of(ours) is not None
    return is_known and not is_same(declared, before, ours, references)


def _who_wins(declared: Field, before: Any, after: Any, pushed: Mapping[str, Any]) -> str:
    stays = _why_it_stays(declared, before, after, pushed)
    if stays:
        return stays
    winner = "the source wins" if stays is None else "that edit stands"
    return f"{DRIFT}; {winner} (policy {declared.policy})"


def _why_it_stays(declared: Field, before: Any, after: Any, pushed: Mapping[str, Any]) -> str | None:
    """None when the source's value is to be pushed; else why not ("" when nobody has to decide)."""
    match declared.policy:
        case Policy.INITIAL:
            return ""
        case Policy.FILL:
            return None if before is None else ""
        case Policy.MERGE if declared.name in pushed and pushed[declared.name] != before:
            return "" if pushed[declared.name] == after else CHANGED_ON_BOTH_SIDES
    return None
