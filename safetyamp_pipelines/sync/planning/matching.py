"""Which SafetyAmp record is which source record: link first, then the declared match keys in order."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec, MatchKey, Scope
from safetyamp_pipelines.sync.model.tables import Id, TargetTable, at_path


@dataclass(frozen=True)
class Match:
    """The observed record of a source record and how it was recognised (`link` or the match key's name)."""

    target_id: Id
    how: str


@dataclass
class Matches:
    """Matches by source key; `troubles` names records that must wait for a person, with the reason and what to do,
    and `rivals` the observed records that may be theirs."""

    found: dict[str, Match] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    rivals: dict[str, set[Id]] = field(default_factory=dict)

    def is_open(self, source_key: str) -> bool:
        """Whether the record is neither matched nor held yet."""
        return source_key not in self.found and source_key not in self.troubles

    def claimed(self) -> set[Id]:
        """Ids of all observed records that belong to a source record."""
        return {match.target_id for match in self.found.values()}


def match_records(
    spec: EntitySpec,
    desired: Sequence[Desired],
    observed: TargetTable,
    links: Mapping[str, Link],
    foreign: Set[Id] = frozenset(),
) -> Matches:
    """Recognise every source record. No observed record is given to two source records.

    A linked record that SafetyAmp no longer lists is never created again: absence from one listing is not deletion,
    so it waits for a person. `foreign` rows belong to another entity that writes the table: no key adopts them. Leavers
    are recognised only by keys that prove who they are; what a weaker one leads to waits for a person.
    """
    keys = spec.match
    matches = Matches()
    for record in desired:
        link = links.get(record.source_key)
        if link is None:
            continue
        if link.target_id in observed.rows:
            matches.found[record.source_key] = Match(link.target_id, "link")
        else:
            matches.troubles[record.source_key] = (
                f"SafetyAmp no longer lists the record {link.target_id} to which this one is linked: restore it there, "
                f"or link another one: {_command(spec, record.source_key)}"
            )
    for key in keys:
        owners = [owner for owner in keys if owner.read == key.owner]
        _match_by(spec, key, desired, observed, matches, _Ownership(key, owners, desired, foreign))
    return matches


def _command(spec: EntitySpec, source_key: str, target_id: object = "ID") -> str:
    """The command with which a person links the record."""
    return f"`safetyamp link {spec.name} {shlex.quote(source_key)} {target_id} --reason …`"


def key_text(key: MatchKey, row: Mapping[str, object]) -> str | None:
    """A row's value of that key as it is compared; None when it has none."""
    value = at_path(row, key.read)
    return None if value in (None, "") else key.folded(value)


def key_written(spec: EntitySpec, key: MatchKey, after: Mapping[str, Any]) -> str | None:
    """The value of that key in a record with these new values, as it is compared; None when it gets none."""
    value = next((after[field.name] for field in spec.fields if field.read == key.read and after.get(field.name)), None)
    return None if value is None else key.folded(value)


class _Ownership:
    """Whether an observed record may be adopted by a secondary key: only if no other source record owns it."""

    def __init__(self, key: MatchKey, owners: Sequence[MatchKey], desired: Iterable[Desired], foreign: Set[Id]) -> None:
        self._key, self._owners, self._foreign = key, owners, foreign
        self._taken = {o.folded(value) for record in desired for o in owners for value in record.match.get(o.name, ())}

    def allows(self, row: Record) -> bool:
        if row["id"] in self._foreign:
            return False
        owner = at_path(row, self._key.owner) if self._key.owner else None
        if owner in (None, ""):
            return True
        return self._key.action is None and all(key.folded(owner) not in self._taken for key in self._owners)


def _match_by(
    spec: EntitySpec,
    key: MatchKey,
    desired: Sequence[Desired],
    observed: TargetTable,
    matches: Matches,
    ownership: _Ownership,
) -> None:
    claimed = matches.claimed()
    candidates: dict[str, list[Id]] = defaultdict(list)
    for row_id, row in observed.rows.items():
        value = key_text(key, row)
        if row_id in claimed or value is None or not ownership.allows(row):
            continue
        candidates[value].append(row_id)
    claims: dict[Id, list[Desired]] = defaultdict(list)
    for record in desired:
        ids = {row_id for value in record.match.get(key.name, ()) for row_id in candidates.get(key.folded(value), ())}
        is_weak = key.action is not None and record.scope is Scope.OUT
        if not ids or is_weak or not matches.is_open(record.source_key):
            continue
        if len(ids) > 1:
            named = " and ".join(sorted(map(str, ids)))
            matches.troubles[record.source_key] = (
                f"{len(ids)} records in SafetyAmp have this {key.name}, {named}: correct one of them there, or say "
                f"which is meant: {_command(spec, record.source_key)}"
            )
            matches.rivals[record.source_key] = ids
        for row_id in ids if len(ids) == 1 else ():
            claims[row_id].append(record)
    disputed = {row_id for ids in matches.rivals.values() for row_id in ids}
    for row_id, records in claims.items():
        # Records that are kept in step take precedence over those who have left.
        claimants = [record for record in records if record.scope is Scope.ACTIVE] or records
        if len(claimants) > 1:
            claimants = _by_other_keys(spec, claimants, observed.rows[row_id])
        if len(claimants) > 1 or row_id in disputed:
            _hold_tie(spec, key, row_id, claimants, matches)
        elif claimants[0].scope is not Scope.ACTIVE and key.action is not None:
            _hold_weak_match(spec, key, row_id, claimants[0], matches)
        else:
            matches.found[claimants[0].source_key] = Match(row_id, key.name)


def _by_other_keys(spec: EntitySpec, claimants: list[Desired], row: Record) -> list[Desired]:
    """Those of several claimants that the other keys, in their order, single out."""
    for key in (*spec.match, *spec.tie_breakers):
        shown = key_text(key, row)
        agree = [r for r in claimants if shown in {key.folded(value) for value in r.match.get(key.name, ())}]
        claimants = agree or claimants
    return claimants


def _hold_tie(spec: EntitySpec, key: MatchKey, row_id: Id, claimants: Sequence[Desired], matches: Matches) -> None:
    """Hold every claimant of a real tie: no key decides whose record it is."""
    others = {source_key for source_key, ids in matches.rivals.items() if row_id in ids}
    names = " and ".join(sorted(others | {record.source_key for record in claimants}))
    for record in claimants:
        matches.rivals[record.source_key] = {row_id}
        matches.troubles[record.source_key] = (
            f"{names} claim one SafetyAmp record, {row_id}, by {key.name}, and no other key tells them apart: correct "
            f"one of them, or say whose it is: {_command(spec, record.source_key, row_id)}"
        )


def _hold_weak_match(spec: EntitySpec, key: MatchKey, row_id: Id, record: Desired, matches: Matches) -> None:
    """Hold a record that only a weak key connects to somebody who has left: it may be another person's."""
    matches.rivals[record.source_key] = {row_id}
    matches.troubles[record.source_key] = (
        f"only the {key.name} of {row_id} in SafetyAmp, which has no {spec.match[0].name}, says that it is the same: "
        f"if it is, {_command(spec, record.source_key, row_id)}"
    )
