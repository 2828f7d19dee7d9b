"""The promises of docs/architecture.md, checked on a whole story: what must hold in every run, and what in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from reliability.small import duplicates, end_state

from safetyamp_pipelines.sandbox.safetyamp_state import SafetyAmpState
from safetyamp_pipelines.sync.entities.registry import BY_NAME, writers
from safetyamp_pipelines.sync.model.clean import number
from worlds.fate import Write
from worlds.play import RunLog, Stage, World
from worlds.right import wrong_values
from worlds.story import Approve, Edit, Hide, Human, Insert, Run, Step, Story

HEALING_RUNS = 2
"""So many runs after the faults have stopped bring everything in step; the next one finds nothing to do."""
APPROVED_RUNS = 5
"""After so many runs, of which people approve all that is held, guards hold nothing more."""
UNTRUE = ("failed", "blocked", "stale", "not_attempted")
DONE = ("created", "updated", "linked", "deactivated", "reactivated")
IN_PART = tuple(f"{name}, but " for name in DONE)
"""How the rule of a record begins of which one of two changes was made."""
SOURCE_OF = {"departments": "viewpoint/departments", "jobs": "viewpoint/jobs", "employees": "viewpoint/employees"}
STAMPS = {f"{what}_{how}" for what in ("created", "updated", "deleted") for how in ("at", "by")}


def broken_promises(story: Story, stage: Stage, seen: Callable[[World], object] = id) -> list[str]:
    """What went wrong in that world, in words; empty for a world in which all promises were kept. `seen` is shown the
    world at its end."""
    world = World(story, stage)
    world.play(story.steps)
    past_midnight(world)
    for _ in range(APPROVED_RUNS if story.is_guarded else 0):
        healed(world)
        world.play([Approve(login="ann"), Approve(login="ben")])
    healing = [healed(world) for _ in range(HEALING_RUNS + 1)]
    seen(world)
    return [
        *(wrong for number, log in enumerate(world.runs, 1) for wrong in broken_in(world, log, f"run {number}")),
        *never_twice(world),
        *in_step(world, healing),
        *(as_without_faults(world, stage) if can_be_compared(world) else ()),
    ]


def past_midnight(world: World) -> None:
    """No day ends while a world comes to rest: on the next one somebody may leave, which is a change of its own."""
    if world.clock.today(hours=4) != world.clock.today():
        world.clock.pass_seconds(4 * 3600)


def healed(world: World) -> RunLog:
    """A run in which nothing goes wrong, a quarter of an hour after the one before."""
    world.clock.pass_seconds(900)
    return world.run()


def broken_in(world: World, log: RunLog, when: str) -> Iterator[str]:
    """What must hold in every run, whatever goes wrong in it."""
    yield from (f"{when}: {wrong}" for wrong in log.wrong)
    for plan in log.plans.values():
        held = {one.change.target_id for one in plan.held if one.change.target_id is not None}
        if any(write.table == plan.table and write.id in held for write in log.writes):
            yield f"{when}: what guards hold was written"
        new = {one.change.natural_key.casefold() for one in plan.held if one.change.target_id is None}
        made = [write.body for write in log.writes if write.table == plan.table and write.before is None]
        known_by = [key.read for key in BY_NAME[plan.entity].match]
        if any(new & {str(body.get(name)).casefold() for name in known_by} for body in made):
            yield f"{when}: what guards hold was created"
    accounts = _accounts_of_people(world)
    if any(write.table == "users" and write.id not in accounts for write in log.writes):
        yield f"{when}: wrote to an account of nobody"
    for entity, verdicts in log.verdicts.items():
        keys = [verdict.source_key for verdict in verdicts]
        if len(set(keys)) < len(keys) or keys != [verdict.source_key for verdict in log.plans[entity].verdicts]:
            yield f"{when}: {entity} has two verdicts for a record, or none"
    if not log.ended and not (log.met["call late"] and _is_too_late(world)):
        yield from (f"{when}: {wrong}" for wrong in untold(log))
    if not log.met:
        yield from (f"{when}: {wrong}" for wrong in wasted(world, log))


def _accounts_of_people(world: World) -> set[Any]:
    """Accounts that bore an employee number at some time: they stay an employee's when a person takes it away."""
    written = [write for log in world.runs for write in log.writes if write.table == "users"]
    return {row["id"] for row in world.story.safetyamp.get("users", ()) if row["emp_id"]} | {
        write.id for write in written if (write.before or {}).get("emp_id") or write.after["emp_id"]
    }


def _is_too_late(world: World) -> bool:
    """Whether the story has calls that act later than sync.yaml allows for: then a run may say "not done" too soon."""
    allowed = world.config.target.late_arrival_seconds
    runs = [step for step in world.story.steps if isinstance(step, Run)]
    return any(fault.kind == "late" and fault.seconds > allowed for run in runs for fault in run.faults)


def wasted(world: World, log: RunLog) -> Iterator[str]:
    """Writes that were not needed: SafetyAmp was to change, each record once, and by the fields that differ."""
    counts = Counter((write.table, write.id) for write in log.writes)
    planned = Counter((plan.table, change.source_key) for plan in log.plans.values() for change in plan.changes)
    in_two_waves = sum(times - 1 for times in planned.values())
    if sum(counts.values()) - len(counts) > in_two_waves:
        yield "a record was written twice"
    ignored = world.safetyamp.options.ignored_fields
    for write in log.writes:
        always = writers(write.table)[0].target.always
        idle = [
            name
            for name in write.body
            if name not in always and name not in ignored.get(write.table, ()) and not _has_changed(write, name)
        ]
        if idle:
            yield f"{write.table} {write.id}: {', '.join(idle)} was sent and was so before"


def untold(log: RunLog) -> Iterator[str]:
    """A run that came to its end says of every record truly whether SafetyAmp acted."""
    for entity, verdicts in log.verdicts.items():
        table = BY_NAME[entity].table
        writes = [write for write in log.writes if write.table == table]
        acted = {write.id for write in writes}
        # Where SafetyAmp ignored all that was sent and the answer was lost, nothing can tell that it was there.
        visible = {write.id for write in writes if any(_has_changed(write, name) for name in write.body)}
        said = [v for v in verdicts if str(v.outcome) in DONE or v.rule.startswith(IN_PART)]
        if not len(visible) <= len(said) <= len(acted):
            yield f"{entity}: {len(said)} records are said to be written, and {len(acted)} were"


def _has_changed(write: Write, name: str) -> bool:
    return write.before is None or write.before[name] != write.after[name]


def never_twice(world: World) -> Iterator[str]:
    """At most one create a source record in a whole life, unless people take the key from records that have it; and
    nothing stands twice that people did not make twice."""
    acts = [one for step in world.story.steps for one in _acts(step)]
    rekeyed = {act.table for act in acts if isinstance(act, Edit) and act.field == _key_field(act.table)}
    created = Counter(
        (write.table, _key(write.table, write.body))
        for log in world.runs
        for write in log.writes
        if write.before is None
    )
    # Serial numbers wander from vehicle to vehicle, so one of them may rightly be created again.
    yield from (
        f"{table} {key} was created {n} times"
        for (table, key), n in created.items()
        if n > 1 and table not in {"assets", *rekeyed}
    )
    if not acts:
        twice = set(_twice(world.safetyamp)) - set(_twice(SafetyAmpState(dict(world.story.safetyamp))))
        yield from (f"{what} stands twice" for what in sorted(twice))


def _twice(state: SafetyAmpState) -> list[str]:
    """Natural keys that two records bear, and employee numbers that differ by leading zeros alone."""
    numbers = Counter(number(row["emp_id"], "") for row in state.tables()["users"] if row["emp_id"])
    return [*duplicates(_box(state)), *(f"users {key}" for key, times in numbers.items() if times > 1)]


def _key_field(table: str) -> str:
    keys = {"users": "emp_id", "sites": "ext_id", "site_clusters": "external_code", "assets": "serial"}
    return keys.get(table, "name")


def _key(table: str, body: Any) -> str:
    value = str(body.get(_key_field(table))).strip().casefold()
    return number(value, "") or value


def _acts(step: Step) -> Iterator[Human]:
    """What people do in SafetyAmp in this step."""
    match step:
        case Run():
            yield from (one.human for one in step.meanwhile)
        case Edit() | Insert() | Hide():
            yield step


def _is_human(step: Step) -> bool:
    return any(_acts(step))


def in_step(world: World, healing: list[RunLog]) -> Iterator[str]:
    """After the faults: two runs at most, then nothing is planned, nothing written, and everything is right."""
    last = healing[-1]
    yield from (f"a run without faults ended: {log.ended}" for log in healing if log.ended)
    if last.planned or last.writes:
        yield f"run {HEALING_RUNS + 1} after the faults plans {last.planned} changes and writes {len(last.writes)}"
    if any(log.planned and not log.writes for log in healing[1:]):
        yield "a run after the faults planned changes and made none"
    if not any(_is_human(step) for step in world.story.steps):
        outcomes = Counter(str(v.outcome) for verdicts in last.verdicts.values() for v in verdicts)
        yield from (f"in the end {outcomes[name]} {name}" for name in UNTRUE if outcomes[name])
    for entity, source in SOURCE_OF.items():
        told = [v for v in last.verdicts.get(entity, ()) if not v.source_key.startswith("region ")]
        if not last.ended and len(told) != len(world.sources.get(source, {})):
            yield f"{entity}: {len(told)} verdicts for {len(world.sources.get(source, {}))} records"
    yield from wrong_values(world)


def can_be_compared(world: World) -> bool:
    """Whether faults must not matter in the end: nothing changes once the first has struck, and no day ends."""
    steps = list(world.story.steps)
    struck = next((n for n, step in enumerate(steps) if isinstance(step, Run) and step.faults), len(steps))
    still = all(isinstance(step, Run) and not step.meanwhile and not step.unread for step in steps[struck:])
    days = {log.day for log in world.runs[sum(isinstance(step, Run) for step in steps[:struck]) :]}
    return struck < len(steps) and still and len(days) == 1 and not world.story.is_guarded


def as_without_faults(world: World, stage: Stage) -> Iterator[str]:
    """The same story in a world where nothing fails ends with the same SafetyAmp, ids aside."""
    spared = [replace(step, faults=()) if isinstance(step, Run) else step for step in world.story.steps]
    other = World(replace(world.story, steps=tuple(spared)), stage)
    other.play(spared)
    for _ in range(HEALING_RUNS + 1):
        healed(other)
    here, there = end_state(_box(world.safetyamp)), end_state(_box(other.safetyamp))
    yield from (f"{table} is not as without faults" for table in here if here[table] != there[table])


def _box(state: SafetyAmpState) -> Any:
    """As much of a sandbox as is asked for its end state."""
    return SimpleNamespace(safetyamp=state)


def same_again(story: Story, stage: Stage) -> Iterator[str]:
    """The same story gives the same ledger and the same SafetyAmp, to the last id and second."""
    ends = [(told.pop("ledger"), told) for told in (_end(story, stage) for _ in range(2))]
    if ends[0][0] != ends[1][0]:
        yield "the same story gave two ledgers"
    if ends[0][1] != ends[1][1]:
        yield "the same story gave two SafetyAmps"


def _end(story: Story, stage: Stage) -> dict[str, Any]:
    world = World(story, stage)
    world.play(story.steps)
    healed(world)
    return {"ledger": stage.ledgers.rows(), "safetyamp": world.safetyamp.dump(), "calls": [r.calls for r in world.runs]}
