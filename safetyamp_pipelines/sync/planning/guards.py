"""Guards: changes that are too many at once, or come from a suspect source, wait until a person approves them. Pure;
limits in sync.yaml."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from safetyamp_pipelines.sync.model.plan import Action, Change, Held, Refused
from safetyamp_pipelines.sync.model.remembered import Decision
from safetyamp_pipelines.sync.model.snapshot import Record, canonical_json
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.model.tables import References
from safetyamp_pipelines.sync.planning.difference import observed_value
from safetyamp_pipelines.sync.rules.limits import GuardsConfig, Limit

SECOND = (
    "one person has approved it, and a second one must, logged in as themselves: by `safetyamp approve`, or on the "
    "desk behind its login proxy, since the Dagster UI does not tell who is logged in (guards.second_person_above)"
)


@dataclass(frozen=True)
class Scale:
    """What the changes are measured against. `size` counts the entity's records that are, or will be, in SafetyAmp.

    `groups` maps a source key to its groups (`department 10`, `site 24113.`), for every record that is in SafetyAmp
    and switched on; `rows` and `rows_before` count the rows of each source now and at the last push (none for
    an undo, which reads no source).
    """

    size: int
    is_first_load: bool
    groups: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, int]
    rows_before: Mapping[str, int]


def place_groups(spec: EntitySpec, row: Record, shown: References) -> tuple[str, ...] | None:
    """The place in which SafetyAmp shows the record, as the group that guards count it in; None for one that is
    switched off, which is in no group at all."""
    if spec.access is not None and observed_value(spec.field(spec.access), row, shown, {}) == 0:
        return None
    if spec.place is None:
        return ()
    place = spec.field(spec.place)
    found = observed_value(place, row, shown, {})
    return (f"{place.label.lower()} {found}",) if found is not None else ()


def refusals(spec: EntitySpec, changes: Sequence[Change], scale: Scale, guards: GuardsConfig) -> tuple[Refused, ...]:
    """Why the plan may not be pushed as it is: one entry per guard, with its figures and records."""
    off = [change for change in changes if change.action is Action.DEACTIVATE]
    cleared = [change for change in changes if any(_is_cleared(pair) for pair in change.fields.values())]
    updates = [change for change in changes if change.action is not Action.DEACTIVATE and _overwrites(change)]
    moves = [change for change in changes if spec.place is not None and _is_move(change, spec.place)]
    creates = [change for change in changes if change.action is Action.CREATE]
    return (
        *_too_many("deactivations", off, scale.size, guards.deactivations),
        *_too_many("cleared", cleared, scale.size, guards.cleared),
        *_too_many("moves", moves, scale.size, guards.moves),
        *_too_many("updates", updates, scale.size, guards.updates),
        *(() if scale.is_first_load else _too_many("creates", creates, scale.size - len(creates), guards.creates)),
        *_concentrated("deactivations", off, scale, guards),
        *_concentrated("cleared", cleared, scale, guards),
        *_same_value(spec, changes, scale.size, guards.same_value),
        *_suspect_sources(spec, changes, scale, guards),
    )


def _overwrites(change: Change) -> bool:
    """Whether a value in SafetyAmp is replaced by another; filling an empty field destroys nothing."""
    return any(before is not None and after is not None for before, after in change.fields.values())


def _is_cleared(pair: tuple[object, object]) -> bool:
    before, after = pair
    return before is not None and after is None


def _is_move(change: Change, name: str) -> bool:
    return name in change.fields and change.fields[name][0] is not None


def _keys(changes: Iterable[Change]) -> tuple[str, ...]:
    return tuple(sorted({change.source_key for change in changes}))


def _too_many(guard: str, changes: Sequence[Change], size: int, limit: Limit) -> Iterable[Refused]:
    keys = _keys(changes)
    if not limit.allows(len(keys), size):
        most = limit.at_most(size)
        text = f"{len(keys)} of {size} records, at most {most} are allowed"
        yield Refused(guard, text, keys, f"guards.{guard}", limit=str(most))


def _concentrated(guard: str, changes: Sequence[Change], scale: Scale, guards: GuardsConfig) -> Iterable[Refused]:
    sizes = Counter(group for groups in scale.groups.values() for group in groups)
    hit: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        for group in scale.groups.get(change.source_key, ()):
            hit[group].append(change)
    for group, members in sorted(hit.items()):
        people = sizes[group]
        if people >= guards.concentration.from_people and len(_keys(members)) > guards.concentration.share * people:
            most = f"{guards.concentration.share:.0%}"
            text = f"{len(_keys(members))} of the {people} people of {group}, at most {most}"
            yield Refused(
                f"{guard} in one place", text, _keys(members), "guards.concentration", limit=f"{most} of {group}"
            )


def _same_value(spec: EntitySpec, changes: Sequence[Change], size: int, limit: Limit) -> Iterable[Refused]:
    """One value written over many records' own is a fault of the source. The value itself is not reported."""
    for field in spec.fields:
        if not field.distinctive:
            continue
        holders: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            if (
                change.action is not Action.CREATE
                and (after := change.fields.get(field.name, (None, None))[1]) is not None
            ):
                holders[canonical_json(after)].append(change)
        for members in holders.values():
            if not limit.allows(len(_keys(members)), size):
                most = limit.at_most(size)
                text = f"{len(_keys(members))} records get the same {field.label}, at most {most}"
                yield Refused("same value", text, _keys(members), "guards.same_value", limit=str(most))


def _suspect_sources(
    spec: EntitySpec, changes: Sequence[Change], scale: Scale, guards: GuardsConfig
) -> Iterable[Refused]:
    """A source that is empty or has shrunk makes doubtful what comes from it: every change of the records that it
    lists, and of those it adds values to the changes of these. So does one of which nobody knows how large it was, save
    on the first load."""
    for source, rows in scale.rows.items():
        keys = _keys(change for change in changes if _comes_from(spec, change, source))
        before = scale.rows_before.get(source)
        if rows == 0 and source in guards.empty_sources:
            yield Refused("empty source", f"{source} has no rows", keys, "guards.empty_sources", source)
        elif before and rows < (1 - guards.shrunk_source) * before:
            text = f"{source} has {rows} rows, and had {before}; at most {guards.shrunk_source:.0%} may go at once"
            yield Refused("shrunk source", text, keys, "guards.shrunk_source", source)
        elif before is None and keys and not scale.is_first_load:
            text = f"{source} has {rows} rows, and its earlier size is unknown, so it may have shrunk"
            yield Refused("no history", text, keys, "guards.shrunk_source", source)


def _comes_from(spec: EntitySpec, change: Change, source: str) -> bool:
    return source == spec.key.table or any(source in spec.tables_of(spec.field(name)) for name in change.fields)


def needing_two(refused: Iterable[Refused], second_above: int | None) -> frozenset[str]:
    """The source keys that two people must approve: those of guards that are about more than `second_above` changes."""
    many = [guard.keys for guard in refused if second_above is not None and len(guard.keys) > second_above]
    return frozenset().union(*many)


def held_by(
    changes: Iterable[Change],
    refused: Iterable[Refused],
    approved: Set[str],
    twice: Set[str] = frozenset(),
    by_two: Set[str] = frozenset(),
) -> tuple[dict[str, Held], tuple[Refused, ...]]:
    """The changes that the guards hold, by source key, and the guards with the records that they still hold: each holds
    the changes it is about, save those that people have approved; two of them, where the key is among `by_two`."""
    by_key = {change.source_key: change for change in changes}
    held: dict[str, Held] = {}
    standing = []
    for guard in refused:
        keys = tuple(key for key in guard.keys if by_key[key].hash not in (twice if key in by_two else approved))
        if keys or not guard.keys:
            standing.append(replace(guard, keys=keys))
        for key in keys:
            once = f"; {SECOND}" if by_key[key].hash in approved else ""
            held.setdefault(key, Held(by_key[key], guard.guard, guard.figures + once, guard.setting))
    return held, tuple(standing)


def held_by_decision(change: Change) -> Held:
    """A change that no guard holds any more, and that people have refused or put off."""
    return Held(change, "decision", "no guard holds it any more", "safetyamp decisions")


def undecided_guards(refused: Iterable[Refused], decided: Set[str]) -> tuple[Refused, ...]:
    """The guards that a person has to review: those that hold more than was decided, without these records."""
    asked = [(guard, tuple(key for key in guard.keys if key not in decided)) for guard in refused]
    return tuple(replace(guard, keys=keys) for guard, keys in asked if keys or not guard.keys)


def set_aside(held: Held, decision: Decision) -> str:
    """Why nobody is asked about a held change again, or not before a date."""
    how = "refused" if decision.until is None else f"put off until {decision.until:%Y-%m-%d %H:%M} UTC"
    return f"{held.guard}: {how}, {decision}"
