"""Unique values that two records want, found before they cost a call. The holder in SafetyAmp keeps the value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from safetyamp_pipelines.sync.model.spec import Collision, Desired, Field, Policy
from safetyamp_pipelines.sync.model.tables import Id, TargetTable, at_path
from safetyamp_pipelines.sync.planning.matching import Matches

Holding = tuple[str, str]
"""(source key, field): a record that holds a unique value of that field in SafetyAmp."""


@dataclass
class Collisions:
    """By source key: why it is rejected, which fields are omitted and why, which holdings must end first, and which
    fields it gives up because its source no longer has the value and another record's source does."""

    reasons: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    omitted: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    waits_for: dict[str, set[Holding]] = field(default_factory=lambda: defaultdict(set))
    released: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    rings: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def holders(self) -> dict[str, set[str]]:
        """By source key: the source keys of the records it waits for."""
        return {key: {holder for holder, _ in holdings} for key, holdings in self.waits_for.items()}


def find_collisions(
    noun: str,
    fields: Iterable[Field],
    desired: Iterable[Desired],
    observed: TargetTable,
    matches: Matches,
    keeps: Mapping[Holding, str] | None = None,
) -> Collisions:
    """Check every unique field of the records to be kept in step. Fields that reject are checked first, so that
    a record rejected for one value does not take another from somebody else. `keeps` are holdings known to last,
    with the ring that makes them so if it is one; `noun` is what one record is called in the reasons."""
    collisions = Collisions()
    records = list(desired)
    for declared in sorted((f for f in fields if f.unique), key=lambda f: f.unique is not Collision.REJECT):
        standing = [record for record in records if record.source_key not in collisions.reasons]
        _collide(noun, declared, standing, observed, matches, keeps or {}, collisions)
    return collisions


def _collide(
    noun: str,
    declared: Field,
    desired: list[Desired],
    observed: TargetTable,
    matches: Matches,
    keeps: Mapping[Holding, str],
    found: Collisions,
) -> None:
    claimants: dict[str, list[Desired]] = defaultdict(list)
    for record in desired:
        if (value := record.values.get(declared.name)) is not None:
            claimants[declared.folded(value)].append(record)
    holders = _holders(declared, observed)
    owner_of = {match.target_id: source_key for source_key, match in matches.found.items()}
    standing = {record.source_key: record for record in desired}
    for value, records in claimants.items():
        held_by = holders.get(value, [])
        keepers = [r for r in records if (m := matches.found.get(r.source_key)) and m.target_id in held_by]
        for record in records:
            if record in keepers:
                continue
            rivals = sorted(other.source_key for other in (keepers or records) if other is not record)
            owners = [who for row_id in held_by if (who := owner_of.get(row_id)) is not None]
            ending = {(who, declared.name) for who in owners if _gives_up(standing.get(who), declared, value)}
            kept = [keeps[holding] for holding in sorted(ending) if holding in keeps]
            is_new = record.source_key not in matches.found
            if rivals:
                _note(declared, record, is_new, f"{noun} {', '.join(rivals)} has the same, correct one of them", found)
            elif len(ending) < len(held_by):
                _note(declared, record, is_new, f"{observed.key_of(held_by[0])} in SafetyAmp has the same", found)
            elif kept and kept[0] and not is_new:
                found.omitted[record.source_key][declared.name] = kept[0]
                found.rings[record.source_key][kept[0]] = None
            elif kept:
                why = f"{observed.key_of(held_by[0])} in SafetyAmp does not give it up yet"
                _note(declared, record, is_new, why, found)
            elif ending:
                found.waits_for[record.source_key] |= ending
                for who in (who for who, _ in ending if standing[who].values.get(declared.name) is None):
                    found.released[who].add(declared.name)


def _gives_up(holder: Desired | None, declared: Field, value: str) -> bool:
    """The holder is about to get another value, or its source no longer has this one and SafetyAmp needs none."""
    if holder is None:
        return False
    wish = holder.values.get(declared.name)
    is_released = declared.name in holder.empty and declared.can_be_cleared and declared.policy is Policy.SOURCE
    return is_released if wish is None else declared.folded(wish) != value


def _note(declared: Field, record: Desired, is_new: bool, why: str, found: Collisions) -> None:
    """A record in SafetyAmp keeps its value, and its other fields are synced; a new one may need the value."""
    if declared.unique is Collision.REJECT and is_new:
        found.reasons[record.source_key].append(f"{declared.label} is taken: {why}")
    elif declared.unique is Collision.REJECT:
        found.omitted[record.source_key][declared.name] = (
            f"{declared.label} stays as it is, because the value is taken: {why}"
        )
    else:
        found.omitted[record.source_key][declared.name] = f"{declared.label} left out: {why}"


def _holders(declared: Field, observed: TargetTable) -> Mapping[str, list[Id]]:
    holders: dict[str, list[Id]] = defaultdict(list)
    for row_id, row in observed.rows.items():
        if declared.read is not None and (value := at_path(row, declared.read)) not in (None, ""):
            holders[declared.folded(value)].append(row_id)
    return holders
