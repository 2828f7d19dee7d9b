"""The order of changes inside one entity: parents before children, a unique value set free before it is taken."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from safetyamp_pipelines.sync.plan import Action, Change, payload_hash
from safetyamp_pipelines.sync.spec import EntitySpec

PRIORITY = {Action.DEACTIVATE: 0, Action.CREATE: 1, Action.LINK: 2, Action.REACTIVATE: 2, Action.UPDATE: 3}
Needs = dict[str, set[str]]


def rings_of(waits_for: Mapping[str, set[str]]) -> set[str]:
    """Source keys that wait for each other over a unique value: no order of calls can push them."""
    needs: Needs = {key: set(others) for key, others in waits_for.items()}
    members: set[str] = set()
    while (ring := _ring(needs)) is not None:
        members.update(ring)
        for key in ring:
            needs[key] = needs.get(key, set()) - set(ring)
    return members


def in_waves(spec: EntitySpec, changes: Sequence[Change], waits_for: Mapping[str, set[str]]) -> list[Change]:
    """Number the waves and sort: leavers first, then hires, then the rest, each wave after those it needs.

    Records that refer to each other in a ring (two new people who supervise each other) are written without one of
    the references, which follows as a second change in the last wave. `waits_for` holds no ring.
    """
    by_key = {change.source_key: change for change in changes}
    needs: Needs = {key: {other for other in waits_for.get(key, ()) if other in by_key} for key in by_key}
    references = _references_to_new(spec, changes)
    for child, parent in references:
        needs[child].add(parent)
    later: list[Change] = []
    while (ring := _ring(needs)) is not None:
        parent, child = min(
            (pair for pair in itertools.pairwise(ring) if (pair[1], pair[0]) in references),
            key=lambda pair: pair[1],
        )
        needs[child].discard(parent)
        by_key[child], second = _split(spec, by_key[child], references[child, parent])
        later.append(second)
    rank = _ranks(needs)
    ordered = [replace(change, wave=rank[change.source_key]) for change in by_key.values() if change.fields]
    ordered += [replace(change, wave=max(rank.values()) + 1) for change in later]
    return sorted(ordered, key=lambda change: (change.wave, PRIORITY[change.action], change.source_key))


def _references_to_new(spec: EntitySpec, changes: Sequence[Change]) -> dict[tuple[str, str], str]:
    """(child, parent) → field, for every reference inside the entity to a record that this plan creates."""
    own = [field.name for field in spec.fields if field.references == spec.table]
    created = {change.natural_key: change.source_key for change in changes if change.action is Action.CREATE}
    found: dict[tuple[str, str], str] = {}
    for change in changes:
        for name in own:
            parent = created.get(str(change.fields.get(name, (None, None))[1]))
            if parent is not None and parent != change.source_key:
                found[change.source_key, parent] = name
    return found


def _split(spec: EntitySpec, change: Change, field: str) -> tuple[Change, Change]:
    kept = {name: pair for name, pair in change.fields.items() if name != field}
    moved = {field: change.fields[field]}
    second = replace(
        change,
        action=Action.UPDATE,
        fields=moved,
        cause=f"{spec.field(field).label} is new too, so it follows in a second wave",
        payload_hash=payload_hash(spec.name, Action.UPDATE, {field: moved[field][1]}),
    )
    # The first keeps the hash of the whole: by it the next plan knows what was refused.
    return replace(change, fields=kept), second


def _ranks(needs: Needs) -> dict[str, int]:
    """Longest path to each record over what it needs."""
    rank: dict[str, int] = {}
    for key in TopologicalSorter(needs).static_order():
        rank[key] = 1 + max((rank[other] for other in needs.get(key, ())), default=-1)
    return rank


def _ring(needs: Mapping[str, set[str]]) -> list[str] | None:
    """One ring, each member needing the one before it, the first repeated at the end; None when there is none.

    Sorted, because which ring is found first depends on the order, and that of a set differs from process to process.
    """
    try:
        TopologicalSorter({key: sorted(needs[key]) for key in sorted(needs)}).prepare()
    except CycleError as ring:
        return list(ring.args[1])
    return None
