"""Plays a story: planners, push, ledger and SafetyAmp's own rules, run after run, without HTTP or Dagster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.journal import LedgerJournal, remembered
from safetyamp_pipelines.operations.plan_step import linked_rows
from safetyamp_pipelines.operations.push_step import without_withdrawn
from safetyamp_pipelines.sandbox.safetyamp_options import TargetOptions
from safetyamp_pipelines.sandbox.safetyamp_schema import TABLES as SCHEMA
from safetyamp_pipelines.sandbox.safetyamp_state import SafetyAmpState
from safetyamp_pipelines.sync.entities.registry import BY_NAME, references, writers
from safetyamp_pipelines.sync.model.errors import PlanRefused, SyncError
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Action, Change, Plan, Verdict
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot, canonical_json
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec
from safetyamp_pipelines.sync.planning.derive import plan_entity
from safetyamp_pipelines.sync.planning.expected import expected_references
from safetyamp_pipelines.sync.planning.only import givers, unique_values, waits_for
from safetyamp_pipelines.sync.pushing.outcomes import PushOptions
from safetyamp_pipelines.sync.pushing.push import Push
from safetyamp_pipelines.sync.rules.config import SyncConfig
from worlds.fate import Clock, Fate, Killed, MortalJournal, Target, Write
from worlds.leave import Leave, needs_two
from worlds.ledgers import Ledgers
from worlds.notebook import Notebooks
from worlds.story import Approve, Drop, Edit, Hide, Human, Insert, Put, Row, Run, SetBack, Step, Story, Swap, Wait

TARGET_TABLES = ("site_clusters", "sites", "user_titles", "roles", "users", "asset_types", "assets")
OBSERVED = "safetyamp_observed/"
NO_LIMIT = {"records": 1000, "share": 1.0}
FEW = {"records": 1, "share": 0.2}
TIGHT = {
    **dict.fromkeys(("deactivations", "cleared", "moves", "updates", "creates", "same_value"), FEW),
    "concentration": {"share": 0.5, "from_people": 2},
}
"""Guards for worlds of few records."""
UNGUARDED = {
    **dict.fromkeys(("deactivations", "cleared", "moves", "updates", "creates", "same_value"), NO_LIMIT),
    "concentration": {"share": 1.0, "from_people": 1000},
    "shrunk_source": 0.999,
    "empty_sources": [],
}


class _Everything(frozenset[str]):
    """Whatever guards hold has been approved."""

    def __contains__(self, _: object) -> bool:
        return True


EVERYTHING = _Everything()


@dataclass
class RunLog:
    """What one run did on a day of the company. `ended` is empty for one that came to its end, else what ended it."""

    day: str
    plans: dict[str, Plan] = field(default_factory=dict)
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    calls: int = 0
    ended: str = ""
    met: Counter[str] = field(default_factory=Counter)
    """What went wrong by the story's will; a person at work meanwhile counts."""
    wrong: list[str] = field(default_factory=list)
    """What was pushed without leave, or held in spite of it."""

    def pushed(self) -> list[tuple[str, Change]]:
        """The changes on which SafetyAmp acted, whether anybody heard of it or not, each as one, with its entity."""
        return [
            (entity, _whole([one for one in plan.changes if one.source_key == change.source_key]))
            for entity, plan in self.plans.items()
            for change in plan.changes
            if self._is_written(plan.table, change)
        ]

    def _is_written(self, table: str, change: Change) -> bool:
        return any(
            write.id == change.target_id
            if change.target_id is not None
            else write.before is None
            and change.natural_key.casefold() in {str(v).casefold() for v in write.body.values()}
            for write in self.writes
            if write.table == table
        )

    @property
    def planned(self) -> int:
        """Changes in all plans."""
        return sum(len(plan.changes) for plan in self.plans.values())


def _whole(parts: list[Change]) -> Change:
    """A change that is made by several calls, as one."""
    fields: dict[str, tuple[Any, Any]] = {}
    for part in parts:
        fields |= {name: (fields.get(name, pair)[0], pair[1]) for name, pair in part.fields.items()}
    (action,) = {part.action for part in parts if part.action is not Action.UPDATE} or {Action.UPDATE}
    return replace(parts[0], fields=fields, action=action)


class Desires:
    """What sources and expected tables ask for, worked out once for equal inputs: nine tenths of a plan's time."""

    def __init__(self, size: int = 4000) -> None:
        self._known: dict[str, list[Desired]] = {}
        self._size = size

    def remembering(self, spec: EntitySpec) -> EntitySpec:
        """The entity, with a memory."""

        def desire(inputs: Inputs, config: SyncConfig) -> list[Desired]:
            tables = {table: list(inputs.expected[table].rows.values()) for table in spec.observed}
            sources = [
                [name in inputs.unread or inputs.certificate(name).content_hash for name in spec.sources],
                str(inputs.today(spec.sources[0])),
            ]
            links = sorted((key, str(link.pushed.get("email"))) for key, link in inputs.memory.links.items())
            key = canonical_json([spec.name, sources, tables, links, config.model_dump(mode="json")])
            if key not in self._known:
                if len(self._known) >= self._size:
                    self._known.clear()
                self._known[key] = spec.desire(inputs, config)
            return self._known[key]

        return replace(spec, desire=desire)


@dataclass
class Stage:
    """What worlds are played on, one after the other: their ledgers, and what planners found out before."""

    ledgers: Ledgers | Notebooks = field(default_factory=Notebooks)
    specs: Mapping[str, EntitySpec] = field(default_factory=lambda: BY_NAME)
    desires: Desires = field(default_factory=Desires)


class World:
    """A story under way. `safetyamp` is the sandbox's; what people did there is in `human_rows`, by table and id."""

    def __init__(self, story: Story, stage: Stage) -> None:
        self.story, self._stage, self.clock = story, stage, Clock()
        options = TargetOptions(**dict(story.options))
        self.safetyamp = SafetyAmpState(dict(story.safetyamp), options, clock=self.clock)
        self.sources = {table: dict(rows) for table, rows in story.sources.items()}
        self._dropped: dict[tuple[str, Any], Row] = {}  # what comes back is as it was
        rules = {
            **story.rules,
            "guards": {**(TIGHT if story.is_guarded else UNGUARDED), **story.rules.get("guards", {})},
        }
        self.config = SyncConfig.model_validate(rules)
        self.specs = {name: stage.desires.remembering(stage.specs[name]) for name in story.entities}
        self.runs: list[RunLog] = []
        self.leave = Leave()
        stage.ledgers.fresh(self.clock)

    def play(self, steps: Iterable[Step]) -> None:
        """Let these steps happen."""
        for step in steps:
            match step:
                case Put():
                    rows = self.sources.setdefault(step.table, {})
                    before = rows.get(step.key) or self._dropped.get((step.table, step.key), {})
                    rows[step.key] = {**before, **step.columns}
                case Drop():
                    self._dropped[step.table, step.key] = self.sources.get(step.table, {}).pop(step.key, None) or {}
                case Swap():
                    self._swap(step)
                case Approve():
                    self.leave.ask(
                        self.ledger(), self.runs[-1].plans if self.runs else {}, step, self.clock(), len(self.runs)
                    )
                case SetBack():
                    self.clock.set_back(step.hours)
                case Wait():
                    self.clock.pass_seconds(3600 * step.hours)
                case Run():
                    self.run(step)
                    self.clock.pass_seconds(step.pause)
                case _:
                    self.human(step)

    def _swap(self, step: Swap) -> None:
        rows = self.sources.get(step.table, {})
        keys = [key for key in step.keys if key in rows]
        values = [rows[key].get(step.column) for key in keys]
        for key, value in zip(keys, [*values[1:], *(step.instead or values[:1])], strict=False):
            rows[key] = {**rows[key], step.column: value}

    def ledger(self) -> Ledger:
        """The ledger as a new process opens it."""
        return cast(Ledger, self._stage.ledgers.again(self.clock))

    def human(self, act: Human) -> None:
        """A person at SafetyAmp's screens; what SafetyAmp does not let them do, they give up."""
        try:
            match act:
                case Edit():
                    if rows := self.safetyamp.listing(act.table):
                        row = rows[act.nth % len(rows)]
                        self.safetyamp.edit(act.table, row["id"], **self._fields(act.table, {act.field: act.value}))
                case Insert():
                    self.safetyamp.insert(act.table, **self._fields(act.table, act.fields))
                case Hide():
                    if rows := self.safetyamp.listing("users"):
                        self.safetyamp.hide("users", rows[act.nth % len(rows)]["id"])
        except ValueError:
            return

    def _fields(self, table: str, fields: Row) -> dict[str, Any]:
        """Positions turned into ids; a value that is unique and taken is one SafetyAmp's screens would not take."""
        given = dict(fields)
        for name, value in fields.items():
            declared = SCHEMA[table].fields[name]
            if declared.kind == "reference" and value is not None:
                rows = self.safetyamp.listing(declared.to)
                given[name] = rows[value % len(rows)]["id"] if rows else None
            elif isinstance(value, str) and self.safetyamp.is_taken(table, name, value, None):
                raise ValueError(f"{name} is taken")
        return given

    def _is_intended(self, table: str) -> bool:
        return bool(self.ledger().open_intents(writers(table)[0].name))

    def run(self, step: Run = Run()) -> RunLog:  # noqa: B008 - frozen
        """One sync of everything, as a process of its own."""
        fate = Fate(step)
        log = RunLog(self.clock.today(), met=fate.met)
        target = Target(self.safetyamp, self.clock, fate, self.human, self._is_intended, log.writes)
        self.runs.append(log)
        try:
            _Process(self, target, fate, log, len(self.runs), step.unread).run()
        except Killed:
            log.ended = "killed"
        except SyncError as error:
            log.ended = type(error).__name__
        log.calls = target.calls
        return log


class _Process:
    """One run from reading to the last push."""

    def __init__(
        self, world: World, target: Target, fate: Fate, log: RunLog, number: int, unread: Iterable[str]
    ) -> None:
        self._unread = dict.fromkeys(unread, "it failed")
        self._world, self._target, self._fate, self._log = world, target, fate, log
        self._run_id, self._ledger = f"run-{number}", world.ledger()

    def run(self) -> None:
        observed = {table: self._snapshot(OBSERVED + table, self._target.read(table)) for table in TARGET_TABLES}
        for name in self._world.specs:
            self._log.plans[name] = self._plan(name, observed)
        for name, plan in self._log.plans.items():
            self._push(name, plan, observed)

    def _snapshot(self, name: str, rows: Iterable[Record]) -> Snapshot:
        return Snapshot.certified(name, rows, key=canonical_json, pages=1, read_at=self._world.clock.text())

    def _plan(self, name: str, observed: Mapping[str, Snapshot]) -> Plan:
        spec = self._world.specs[name]
        rows = self._world.sources
        snapshots = {source: self._snapshot(source, rows.get(source, {}).values()) for source in spec.sources}
        snapshots = {source: found for source, found in snapshots.items() if source not in self._unread}
        snapshots |= {OBSERVED + table: observed[table] for table in spec.observed}
        earlier = [(self._world.specs[other], self._log.plans[other]) for other in spec.after]
        tables = {table: observed[table].records for table in spec.observed}
        expected = expected_references(tables, earlier, linked_rows(spec, self._ledger))
        memory, config = replace(remembered(self._ledger, name), approved=EVERYTHING), self._world.config
        if not self._world.story.is_guarded:
            return plan_entity(spec, Inputs(snapshots, expected, memory, config, self._unread), config)
        approved, twice = self._ledger.approved(name), self._ledger.approved(name, logins=2)
        memory = replace(memory, approved=approved, approved_twice=twice)
        plan = plan_entity(spec, Inputs(snapshots, expected, memory, config, self._unread), config)
        nothing = replace(memory, approved=frozenset(), approved_twice=frozenset())
        self._judge(plan, plan_entity(spec, Inputs(snapshots, expected, nothing, config, self._unread), config))
        return plan

    def _judge(self, plan: Plan, unapproved: Plan) -> None:
        """An approval lets pass what it is for, whatever else has changed, and nothing else."""
        leave, above = self._world.leave, self._world.config.guards.second_person_above
        leave.pass_to(self._world.clock())
        for number, log in enumerate(self._world.runs, 1):
            leave.use(log.pushed(), number)
        passed = {change.source_key for change in plan.changes}
        needs = self._needs(plan.entity, [held.change for held in unapproved.held])
        for held in unapproved.held:
            key = held.change.source_key
            has_to_wait = bool(needs[key] - passed)
            is_meant = len(leave.standing(plan.entity, held.change)) >= 1 + needs_two(unapproved, key, above)
            if key in passed and not is_meant:
                self._log.wrong.append(f"{plan.entity} {key}: nobody has approved what {held.guard} holds")
            if key not in passed and is_meant and not has_to_wait:
                self._log.wrong.append(f"{plan.entity} {key}: {held.guard} holds what was approved")
            is_held = any(one.change.source_key == key for one in plan.held)
            if key not in passed and not is_held and not has_to_wait:
                self._log.wrong.append(f"{plan.entity} {key}: what {held.guard} held is gone, and was not pushed")

    def _needs(self, entity: str, changes: Sequence[Change]) -> Mapping[str, set[str]]:
        """What each of these changes waits for. Where an empty source clears nothing, a value is set free only for
        somebody else to take it."""
        spec = self._world.specs[entity]
        needs, given_up = waits_for(spec, changes), givers(spec, changes)
        stays = {field.name for field in spec.with_policies(self._world.config.of(spec)) if not field.clears}
        after = {change.source_key: change.after() for change in changes}
        for change in changes:
            for name, value in unique_values(spec, change.after()):
                giver = given_up.get((name, value))
                if giver is not None and name in stays and after[giver].get(name) is None:
                    needs[giver].add(change.source_key)
        return needs

    def _push(self, name: str, plan: Plan, observed: Mapping[str, Snapshot]) -> None:
        spec, ledger, limits = self._world.specs[name], self._ledger, self._world.config.target
        while (dead := ledger.open_session(name)) is not None:
            ledger.end_session(dead.id, "abandoned", {}, 0)
        planned = Counter(str(change.action) for change in plan.changes)
        session = ledger.start_session(self._run_id, name, plan.hash, planned)
        plan = without_withdrawn(spec, plan, ledger)
        journal = LedgerJournal(
            ledger, session, spec, limits.failure_expires_days, heartbeat=_nothing, approved=plan.approved
        )
        push = Push(
            spec,
            plan,
            self._target,
            MortalJournal(journal, self._fate),
            references({table: observed[table].records for table in spec.observed}),
            # Calls wait for no budget here: what was intended is sent at once.
            PushOptions(in_flight=1, late_arrival=limits.late_arrival_seconds, longest_queue=0),
            now=self._world.clock,
            sleep=self._world.clock.pass_seconds,
        )
        result = push.run()
        ledger.end_session(session, "stopped" if result.stopped else "done", result.counts(), result.attempts)
        self._log.verdicts[name] = result.verdicts
        for source, rows in plan.source_rows.items():
            ledger.record_observation(source, rows, self._world.clock())
        if result.stopped is not None:
            self._log.ended = f"stopped: {result.stopped}"
            raise PlanRefused(result.stopped)


def _nothing() -> None:
    """Nobody competes for the lease here."""
