"""One entity's plan: match, look for collisions, resolve references, decide, order. Pure and deterministic.

What leads where is in `references.py`, what becomes of each record in `verdicts.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from safetyamp_pipelines.sync.entities.registry import ENTITIES, writers
from safetyamp_pipelines.sync.model.clean import LONGEST
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Action, Change, Finding, Held, Outcome, Plan, Refused, Verdict
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec, Scope
from safetyamp_pipelines.sync.model.text import UNREADABLE
from safetyamp_pipelines.sync.planning.circumstances import Circumstances, mapping_hash
from safetyamp_pipelines.sync.planning.collisions import Collisions, Holding, find_collisions
from safetyamp_pipelines.sync.planning.custom import desired_of
from safetyamp_pipelines.sync.planning.difference import value_hash
from safetyamp_pipelines.sync.planning.guards import (
    Scale,
    held_by,
    held_by_decision,
    needing_two,
    place_groups,
    refusals,
    set_aside,
    undecided_guards,
)
from safetyamp_pipelines.sync.planning.matching import match_records
from safetyamp_pipelines.sync.planning.only import reduced_to
from safetyamp_pipelines.sync.planning.proofs import account_of
from safetyamp_pipelines.sync.planning.references import with_own_references, with_references
from safetyamp_pipelines.sync.planning.verdicts import Decisions, Ground, left_alone
from safetyamp_pipelines.sync.planning.waves import in_waves, rings_of
from safetyamp_pipelines.sync.rules.config import SyncConfig

NO_PART = {"schedule", "target", "checks", "owners"}
"""Sections of sync.yaml that say when and how a plan is pushed and judged, not what is in it: they void no approval."""


def rules_hash(config: SyncConfig) -> str:
    """The rules under which plans are made: one made under others is not pushed."""
    return value_hash(config.model_dump(mode="json", exclude=NO_PART))


def plan_entity(spec: EntitySpec, inputs: Inputs, config: SyncConfig, keys: Collection[str] = ()) -> Plan:
    """The plan of one entity, or of some of its source keys. Raises SnapshotError when a snapshot it needs is missing,
    torn or uncertified, PlanRefused for a key that is not a record."""
    plan = _Planner(spec, inputs, config, keys).plan()
    return reduced_to(spec, plan, keys) if keys else plan


def _with_readable_key(record: Desired) -> Desired:
    """A record that nothing can be recognised by is rejected; its key is short and its own all the same."""
    if UNREADABLE not in record.source_key + record.natural_key:
        return record
    reason = f"its key holds characters that cannot be read, or more than {LONGEST}: correct it at the source"
    return replace(record, reasons=(*record.reasons, reason))


class _Planner:
    """The work of one plan; every step reads what the steps before it found."""

    def __init__(self, spec: EntitySpec, inputs: Inputs, config: SyncConfig, keys: Collection[str]) -> None:
        spec = spec.with_custom(config.of(spec))
        self.spec, self.inputs, self.config, self.keys = spec, inputs, config, keys
        self.fields = spec.with_policies(config.of(spec))
        self.observed = inputs.expected[spec.table]
        named = map(_with_readable_key, desired_of(spec, inputs, config.of(spec)))
        desired = sorted(named, key=lambda one: one.source_key)
        self.foreign = inputs.memory.foreign | inputs.expected.claimed.get(spec.table, frozenset())
        self.matches = match_records(spec, desired, self.observed, inputs.memory.links, self.foreign)
        self.left_alone = left_alone(spec, config, inputs, desired, self.matches)
        self.desired = [record for record in desired if record.source_key not in self.left_alone]
        self.others = [record for record in desired if record.source_key in self.left_alone]
        self.own = [field for field in self.fields if field.references == spec.table]
        self.mapping = mapping_hash(spec, config)
        # Learnt while planning: unique values that stay where they are, and records that are not created after all.
        self.keeps: dict[Holding, str] = {}
        self.absent: set[str] = set()
        self.held: dict[str, Held] = {}
        self.by_two: frozenset[str] = frozenset()
        self.decided: set[str] = set()

    def plan(self) -> Plan:
        made, collisions = self._settled()
        # The guards judge what would be pushed: one record can go while many like it are too much at once.
        judged = [change for change in made.changes if not self.keys or change.source_key in self.keys]
        refused, approved = self.judge(judged), self.inputs.memory.approved
        if approved is not None:
            # Once more with what the guards hold: nothing may count on it.
            self.by_two = needing_two(refused, self.config.guards.second_person_above)
            self.held, refused = held_by(judged, refused, approved, self.inputs.memory.approved_twice, self.by_two)
            decisions = self.inputs.memory.decisions
            # What people have refused or put off waits also when it is no longer one of too many.
            answered = {one.source_key: held_by_decision(one) for one in judged if one.hash in decisions}
            self.held = {**answered, **self.held}
            self.decided = {key for key, held in self.held.items() if held.change.hash in decisions}
            creates = (held.change for held in self.held.values() if held.change.action is Action.CREATE)
            self.absent |= {create.natural_key for create in creates}
            made, collisions = self._settled() if self.held else (made, collisions)
        changes = [change for change in made.changes if change.source_key not in self.held]
        findings = [*made.findings, *self._others()]
        account = account_of(self.spec, self.inputs, made.verdicts)
        return Plan(
            entity=self.spec.name,
            table=self.spec.table,
            as_of=self.inputs.as_of(f"{OBSERVED}/{self.spec.table}"),
            inputs=self.inputs.hashes(),
            oldest=self.inputs.oldest(),
            config_hash=rules_hash(self.config),
            changes=tuple(in_waves(self.spec, changes, collisions.holders())),
            verdicts=tuple(self._guarded(verdict) for verdict in made.verdicts),
            findings=tuple(sorted(findings, key=lambda finding: (finding.kind, finding.key))),
            agreed=tuple(made.agreed),
            refused=undecided_guards(refused, self.decided),
            held=tuple(held for key, held in sorted(self.held.items()) if key not in self.decided),
            set_aside=tuple(held for key, held in sorted(self.held.items()) if key in self.decided),
            questions=tuple(made.questions),
            approved=self._approved(judged, changes),
            by_two=tuple(sorted(self.by_two)),
            source_rows=self._healthy_row_counts(refused),
            mapping_hash=self.mapping,
            revived=self._revived(collisions),
            records=account.records,
            unaccounted=account.unaccounted,
        )

    def _approved(self, judged: Sequence[Change], changes: Sequence[Change]) -> dict[str, str]:
        """Source key → hash of the change that people have approved, and that goes: less a value, where it would have
        counted on a change that is held."""
        go, approved = {change.source_key for change in changes}, self.inputs.memory.approved or ()
        return {one.source_key: one.hash for one in judged if one.source_key in go and one.hash in approved}

    def _settled(self) -> tuple[Decisions, Collisions]:
        """Decide until nothing is learnt that would change a decision."""
        made, collisions = self._decide_all()
        while self._found_unplanned(made, collisions):
            made, collisions = self._decide_all()
        return made, collisions

    def _guarded(self, verdict: Verdict) -> Verdict:
        """The verdict, which is `held` where a guard holds the change: its rule is the guard."""
        held = self.held.get(verdict.source_key)
        if held is None:
            return verdict
        if verdict.source_key in self.decided:
            why = set_aside(held, self.inputs.memory.decisions[held.change.hash])
            return replace(verdict, outcome=Outcome.SKIPPED, rule=why)
        why = f"{held.figures} [{held.setting}]"
        return replace(verdict, outcome=Outcome.HELD, rule=held.guard, reasons=(*verdict.reasons, why))

    def judge(self, changes: Sequence[Change]) -> tuple[Refused, ...]:
        """The guards that hold changes among these."""
        return refusals(self.spec, changes, self._scale(changes), self.config.guards)

    def _source_rows(self) -> dict[str, int]:
        read = [source for source in self.spec.sources if source not in self.inputs.unread]
        return {source: self.inputs.certificate(source).rows for source in read}

    def _healthy_row_counts(self, refused: Sequence[Refused]) -> dict[str, int]:
        """The sizes that the next guards compare with, without sources that a guard finds empty or shrunken now."""
        suspect = {guard.source for guard in refused}
        return {source: rows for source, rows in self._source_rows().items() if source not in suspect}

    def _scale(self, changes: Sequence[Change]) -> Scale:
        """What the guards measure against: the records that are or will be in SafetyAmp, and their groups."""
        groups = {record.source_key: self._groups(record) for record in [*self.desired, *self.others]}
        creates = sum(change.action is Action.CREATE for change in changes)
        return Scale(
            size=len(self.matches.found) + creates,
            is_first_load=not (self.inputs.memory.links and self.inputs.memory.is_loaded),
            groups={key: found for key, found in groups.items() if found},
            rows=self._source_rows(),
            rows_before=self.inputs.memory.source_rows,
        )

    def _groups(self, record: Desired) -> tuple[str, ...]:
        """The groups a guard counts a record in: those of its source, and the place where SafetyAmp shows it. A record
        that is not there, or is switched off, is in none."""
        if (match := self.matches.found.get(record.source_key)) is None:
            return ()
        places = place_groups(self.spec, self.observed.rows[match.target_id], self.inputs.expected)
        return () if places is None else (*record.groups, *places)

    def _decide_all(self) -> tuple[Decisions, Collisions]:
        """A verdict for every record, from the start: nothing of an earlier round stays."""
        records, collisions = self._resolved()
        tables = self.inputs.expected
        now = Circumstances(self.spec, self.mapping, self.observed.rows, lambda table, key: tables[table].id_of(key))
        ground = Ground(
            self.spec,
            self.fields,
            self.inputs,
            self.config,
            self.observed,
            self.matches,
            self.left_alone,
            now,
            collisions.waits_for,
        )
        made = Decisions(ground)
        for record in sorted([*records, *self.others], key=lambda record: record.source_key):
            made.decide(record)
        return made, collisions

    def _found_unplanned(self, made: Decisions, collisions: Collisions) -> bool:
        """Whether some change depends on another that is not planned after all: on a unique value set free by a record
        that is held or rejected, or on a supervisor whose creation SafetyAmp refused. Such findings only accumulate."""
        known = len(self.keeps) + len(self.absent)
        changes = [change for change in made.changes if change.source_key not in self.held]
        written = {(change.source_key, name) for change in changes for name in change.fields}
        for waiting, holdings in collisions.waits_for.items():
            for holder, field in holdings:
                is_taken, is_given = (waiting, field) in written, (holder, field) in written
                is_unused = not is_taken and field in collisions.released.get(holder, ())
                if is_unused or (is_taken and not is_given):
                    self.keeps[holder, field] = ""
        self.keeps |= self._kept_in_rings(collisions)
        there = {change.natural_key for change in changes if change.action is Action.CREATE}
        there |= {record.natural_key for record in self.desired if record.source_key in self.matches.found}
        for name in (declared.name for declared in self.own if not declared.required):
            wanted = {str(change.fields[name][1]) for change in changes if name in change.fields}
            self.absent |= {key for key in wanted - there if self.observed.id_of(key) is None}
        return len(self.keeps) + len(self.absent) > known

    def _kept_in_rings(self, collisions: Collisions) -> dict[Holding, str]:
        """The holdings that make a ring which no order of calls can open, each with what people should know: a value
        that SafetyAmp does without is set free first, one that it requires is not."""
        fixed = {
            waiting: {holding for holding in holdings if not self.spec.field(holding[1]).can_be_cleared}
            for waiting, holdings in collisions.waits_for.items()
        }
        found: dict[Holding, str] = {}
        for ring in rings_of({waiting: {holder for holder, _ in holdings} for waiting, holdings in fixed.items()}):
            holdings = {holding for key in ring for holding in fixed.get(key, ()) if holding[0] in ring}
            for _, name in holdings:
                label, members = self.spec.label(name), ", ".join(sorted(ring))
                text = (
                    f"{label} stays as it is, a ring: {self.spec.name} {members} want each other's, and none can go "
                    f"first. Give one of them another {label.lower()} in SafetyAmp by hand; the next sync does the rest"
                )
                found |= {holding: text for holding in holdings if holding[1] == name}
        return found

    def _resolved(self) -> tuple[list[Desired], Collisions]:
        """The records with every further reason why they cannot be synced, and without what must be left out."""
        table, expected = self.spec.table, self.inputs.expected
        unplanned = {
            spec.table: f"plan/{spec.name} was not made ({why})"
            for spec in ENTITIES
            if (why := self.inputs.unread.get(f"plan/{spec.name}")) is not None
        }
        records = [with_references(record, self.fields, table, expected, unplanned) for record in self.desired]
        standing = [record for record in records if record.scope is Scope.ACTIVE and not record.reasons]
        collisions = find_collisions(self.spec.noun, self.fields, standing, self.observed, self.matches, self.keeps)
        records = [_with_collisions(record, collisions) for record in records]
        return with_own_references(records, self.own, self.observed, self.absent), collisions

    def _revived(self, collisions: Collisions) -> tuple[str, ...]:
        """Refused records whose unique value is now known to be another's. When the other gives it up nothing would
        tell that from the day of the refusal, so they are to be tried again as soon as they are planned again."""
        # One without a hash was revived before, and stands in nobody's way.
        failures = {key: failure for key, failure in self.inputs.memory.failures.items() if failure.payload_hash}
        left_out = {
            key
            for key, fields in collisions.omitted.items()
            if key in failures and fields & failures[key].fields.keys()
        }
        return tuple(sorted((collisions.reasons.keys() & failures.keys()) | left_out))

    def _others(self) -> list[Finding]:
        """What has no source record: links whose source vanished, and SafetyAmp records nobody manages."""
        links, known = self.inputs.memory.links, {record.source_key for record in [*self.desired, *self.others]}
        linked = {link.target_id for link in links.values()}
        ours = linked.union(self.matches.claimed(), self.foreign, *self.matches.rivals.values())
        # Of several entities that write the table the last one knows which rows all of them claim.
        is_last = all(spec.name == self.spec.name for spec in writers(self.spec.table)[-1:])
        unmanaged = self.observed.rows.keys() - ours - self._places() if is_last else ()
        return [
            *(Finding("vanished", key, "the source no longer lists this record") for key in links.keys() - known),
            *(
                Finding("unmanaged", self.observed.key_of(i) or str(i), "in SafetyAmp, but in no source")
                for i in unmanaged
            ),
        ]

    def _places(self) -> set[object]:
        """The records of the own table in which ours stand, such as the root cluster: they are not stray ones."""
        place = [field.name for field in self.own if field.name == self.spec.place]
        keys = {record.values.get(name) for record in self.desired for name in place}
        return {self.observed.id_of(key) for key in keys if key is not None}


def _with_collisions(record: Desired, collisions: Collisions) -> Desired:
    found = (collisions.reasons, collisions.omitted, collisions.released, collisions.rings)
    if not any(record.source_key in one for one in found):
        return record
    reasons = (*record.reasons, *collisions.reasons.get(record.source_key, ()))
    omitted = collisions.omitted.get(record.source_key, {})
    values = {name: None if name in omitted else value for name, value in record.values.items()}
    return replace(
        record,
        values=values,
        reasons=reasons,
        notes=(*record.notes, *omitted.values()),
        released=frozenset(collisions.released.get(record.source_key, ())),
        rings=tuple(collisions.rings.get(record.source_key, ())),
    )
