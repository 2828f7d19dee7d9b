"""Which SafetyAmp record is which source record: link first, then the declared match keys in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec, MatchKey, Scope
from safetyamp_pipelines.sync.model.tables import Id, TargetTable, at_path, fold


@dataclass(frozen=True)
class Match:
    """The observed record of a source record and how it was recognised (`link` or the match key's name)."""

    target_id: Id
    how: str


@dataclass
class Matches:
    """Matches by source key; `troubles` names records that must wait for a person, with the reason, and `rivals` the
    observed records of which each might be the one meant."""

    found: dict[str, Match] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    rivals: dict[str, set[Id]] = field(default_factory=dict)

    def claimed(self) -> set[Id]:
        """Ids of all observed records that belong to a source record."""
        return {match.target_id for match in self.found.values()}


def match_records(
    desired: Sequence[Desired],
    observed: TargetTable,
    links: Mapping[str, Link],
    keys: Sequence[MatchKey],
    foreign: Set[Id] = frozenset(),
) -> Matches:
    """Recognise every source record. No observed record is given to two source records.

    A linked record that SafetyAmp no longer lists is never created anew: absence from one listing is not deletion,
    so it waits for a person. `foreign` rows belong to another entity that writes the table: no key adopts them. Leavers
    are recognised only by keys that prove who they are.
    """
    matches = Matches()
    for record in desired:
        link = links.get(record.source_key)
        if link is None:
            continue
        if link.target_id in observed.rows:
            matches.found[record.source_key] = Match(link.target_id, "link")
        else:
            matches.troubles[record.source_key] = "SafetyAmp no longer lists the record this one was linked to"
    for key in keys:
        owners = [owner for owner in keys if owner.read == key.owner]
        _match_by(key, desired, observed, matches, _Ownership(key, owners, desired, foreign))
    return matches


def key_shown(key: MatchKey, row: Mapping[str, object]) -> str | None:
    """A row's value of that key as it is compared; None when it has none."""
    value = at_path(row, key.read)
    return None if value in (None, "") else _fold(key, value)


def key_written(spec: EntitySpec, key: MatchKey, after: Mapping[str, Any]) -> str | None:
    """The value of that key in a record with these new values, as it is compared; None when it gets none."""
    value = next((after[field.name] for field in spec.fields if field.read == key.read and after.get(field.name)), None)
    return None if value is None else _fold(key, value)


class _Ownership:
    """Whether an observed record may be adopted by a secondary key: only if no other source record owns it."""

    def __init__(self, key: MatchKey, owners: Sequence[MatchKey], desired: Iterable[Desired], foreign: Set[Id]) -> None:
        self._key, self._owners, self._foreign = key, owners, foreign
        self._taken = {_fold(o, value) for record in desired for o in owners for value in record.match.get(o.name, ())}

    def allows(self, row: Record) -> bool:
        if row["id"] in self._foreign:
            return False
        owner = at_path(row, self._key.owner) if self._key.owner else None
        if owner in (None, ""):
            return True
        return self._key.action is None and all(_fold(key, owner) not in self._taken for key in self._owners)


def _fold(key: MatchKey, value: object) -> str:
    return fold(value, case=key.fold_case, numeric=key.numeric)


def _match_by(
    key: MatchKey, desired: Sequence[Desired], observed: TargetTable, matches: Matches, ownership: _Ownership
) -> None:
    claimed = matches.claimed()
    candidates: dict[str, list[Id]] = defaultdict(list)
    for row_id, row in observed.rows.items():
        value = key_shown(key, row)
        if row_id in claimed or value is None or not ownership.allows(row):
            continue
        candidates[value].append(row_id)
    claims: dict[Id, list[str]] = defaultdict(list)
    for record in desired:
        if record.source_key in matches.found or record.source_key in matches.troubles:
            continue
        if record.scope is not Scope.ACTIVE and key.action is not None:
            continue
        ids = {row_id for value in record.match.get(key.name, ()) for row_id in candidates.get(_fold(key, value), ())}
        if len(ids) > 1:
            matches.troubles[record.source_key] = f"{len(ids)} records in SafetyAmp have this {key.name}"
            matches.rivals[record.source_key] = ids
        for row_id in ids if len(ids) == 1 else ():
            claims[row_id].append(record.source_key)
    for row_id, claimants in claims.items():
        if len(claimants) == 1:
            matches.found[claimants[0]] = Match(row_id, key.name)
            continue
        for source_key in claimants:
            matches.troubles[source_key] = f"{len(claimants)} source records claim one SafetyAmp record by {key.name}"
