"""The order of changes inside one entity: leavers, hires, moves, cosmetics; what a change needs goes before it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from graphlib import CycleError, TopologicalSorter

from safetyamp_pipelines.sync.model.plan import Action, Change, payload_hash
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.planning.only import unique_values


class Urgency(IntEnum):
    """What goes first when a push is cut short: access taken off, access given, the right place, the rest."""

    LEAVER = 0
    HIRE = 1
    MOVE = 2
    COSMETIC = 3


Needs = dict[str, set[str]]
"""By source key: the source keys whose changes must go first."""


def urgency(spec: EntitySpec, change: Change) -> Urgency:
    """How urgent a change is by itself, whatever waits for it."""
    match change.action:
        case Action.DEACTIVATE:
            return Urgency.LEAVER
        case Action.CREATE | Action.REACTIVATE | Action.LINK:
            return Urgency.HIRE
    return Urgency.MOVE if spec.place in change.fields else Urgency.COSMETIC


def rings_of(waits_for: Mapping[str, set[str]]) -> list[set[str]]:
    """Rings of source keys that wait for each other over a unique value: no order of calls can push them."""
    needs: Needs = {key: set(others) for key, others in waits_for.items()}
    rings: list[set[str]] = []
    while (ring := _ring(needs)) is not None:
        rings.append(set(ring))
        for key in ring:
            needs[key] = needs.get(key, set()) - set(ring)
    return rings


def in_waves(spec: EntitySpec, changes: Sequence[Change], waits_for: Mapping[str, set[str]]) -> list[Change]:
    """Number the waves and sort: by urgency across the whole plan, and every change behind those it needs, which are as
    urgent as it is.

    Records that refer to each other in a ring (two new people who supervise each other) are written without one of
    the references, which follows as a second change in the last wave. Of those that exchange unique values in a ring
    (two trucks and their gateways) one sets its value free by a change of its own that goes before the others;
    `waits_for` holds no ring of values that SafetyAmp requires.
    """
    steps = {change.source_key: change for change in changes}
    needs: Needs = {key: {other for other in waits_for.get(key, ()) if other in steps} for key in steps}
    references = _references_to_new(spec, changes)
    for child, parent in references:
        needs[child].add(parent)
    later: list[Change] = []
    while (ring := _ring(needs)) is not None:
        pairs = list(itertools.pairwise(ring))
        if referring := [pair for pair in pairs if (pair[1], pair[0]) in references]:
            parent, child = min(referring, key=lambda pair: pair[1])
            steps[child], second = _split(spec, steps[child], references[child, parent])
            later.append(second)
        else:
            parent, child = min(pair for pair in pairs if can_release(spec, steps, *pair))
            first = f"{parent}{_SETS_FREE}"
            names = _taken(spec, steps[parent], steps[child])
            steps[parent], steps[first] = _release(spec, steps[parent], names, steps.get(first))
            needs[first] = set()
            needs[child].add(first)
        needs[child].discard(parent)
    wave = _waves(needs, {step: urgency(spec, change) for step, change in steps.items()})
    ordered = [replace(change, wave=wave[step]) for step, change in steps.items() if change.fields]
    ordered += [replace(change, wave=max(wave.values()) + 1) for change in later]
    return sorted(ordered, key=lambda change: (change.wave, urgency(spec, change), change.source_key))


_SETS_FREE = "\0"
"""Ends the name of a step that sets a value free before the change of the same record."""


def _taken(spec: EntitySpec, giver: Change, taker: Change) -> list[str]:
    """The unique fields in which one takes what the other one has."""
    both = unique_values(spec, giver.before()) & unique_values(spec, taker.after())
    return sorted(name for name, _ in both)


def can_release(spec: EntitySpec, steps: Mapping[str, Change], parent: str, child: str) -> bool:
    """Whether one change can first set free all unique values that the other one takes."""
    if child not in steps or parent not in steps:
        return False
    names = _taken(spec, steps[parent], steps[child])
    return bool(names) and all(spec.field(name).can_be_cleared for name in names)


def _release(spec: EntitySpec, change: Change, names: Sequence[str], known: Change | None) -> tuple[Change, Change]:
    """The change, to be made when those fields are empty, and the one that empties them first."""
    freed = {name: (change.fields[name][0], None) for name in names}
    rest = {name: (None if name in freed else pair[0], pair[1]) for name, pair in change.fields.items()}
    labels = ", ".join(spec.field(name).label for name in names)
    cause = f"sets its {labels} free first, for a ring of records exchange theirs"
    fields = {**(known.fields if known is not None else {}), **freed}
    # The hash of the whole, as below.
    return replace(change, fields=rest), replace(change, action=Action.UPDATE, fields=fields, cause=cause)


def _references_to_new(spec: EntitySpec, changes: Sequence[Change]) -> dict[tuple[str, str], str]:
    """(child, parent) → field, for every reference inside the entity to a record that this plan creates."""
    own = [field.name for field in spec.fields if field.references == spec.table]
    new = (Action.CREATE, Action.LINK)
    created = {change.natural_key: change.source_key for change in changes if change.action in new}
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


def _waves(needs: Needs, own: Mapping[str, Urgency]) -> dict[str, int]:
    """The wave of each change: the urgent before the less urgent, and among equals what is needed before what needs it.

    A change is as urgent as the most urgent one that waits for it: a new person's e-mail address is set free first.
    """
    order = list(TopologicalSorter(needs).static_order())
    urgent = dict(own)
    for key in reversed(order):
        for other in needs[key]:
            urgent[other] = min(urgent[other], urgent[key])
    place: dict[str, tuple[Urgency, int]] = {}
    for key in order:
        before = [place[other][1] for other in needs[key] if urgent[other] == urgent[key]]
        place[key] = urgent[key], 1 + max(before, default=-1)
    number = {step: wave for wave, step in enumerate(sorted(set(place.values())))}
    return {key: number[step] for key, step in place.items()}


def _ring(needs: Mapping[str, set[str]]) -> list[str] | None:
    """One ring, each member needing the one before it, the first repeated at the end; None when there is none.

    Sorted, because which ring is found first depends on the order, and that of a set differs from process to process.
    """
    try:
        TopologicalSorter({key: sorted(needs[key]) for key in sorted(needs)}).prepare()
    except CycleError as ring:
        return list(ring.args[1])
    return None
