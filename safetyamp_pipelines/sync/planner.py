"""One entity's plan: match, look for collisions, resolve references, diff, order. Pure and deterministic."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from safetyamp_pipelines.sync.collisions import Collisions, Holding, find_collisions
from safetyamp_pipelines.sync.config import SyncConfig
from safetyamp_pipelines.sync.differ import Difference, diff_record, observed_value, value_hash, was_not_taken
from safetyamp_pipelines.sync.guards import Scale, refusals
from safetyamp_pipelines.sync.inputs import Inputs
from safetyamp_pipelines.sync.match import Match, match_records
from safetyamp_pipelines.sync.only import only
from safetyamp_pipelines.sync.plan import (
    OUTCOME_OF,
    Action,
    Agreed,
    Change,
    Finding,
    Outcome,
    Plan,
    Refused,
    Verdict,
    payload_hash,
)
from safetyamp_pipelines.sync.spec import Desired, EntitySpec, Field, Scope
from safetyamp_pipelines.sync.waves import in_waves, rings_of


def plan_entity(spec: EntitySpec, inputs: Inputs, config: SyncConfig, keys: Collection[str] = ()) -> Plan:
    """The plan of one entity, or of some of its source keys. Raises SnapshotError when a snapshot it needs is missing,
    torn or uncertified, PlanRefused for a key that is no record."""
    planner = _Planner(spec, inputs, config)
    plan = planner.plan()
    return only(spec, plan, keys, planner.judge) if keys else plan


class _Planner:
    """The work of one plan; every step reads what the steps before it found."""

    def __init__(self, spec: EntitySpec, inputs: Inputs, config: SyncConfig) -> None:
        self.spec, self.inputs, self.config = spec, inputs, config
        self.fields = spec.with_policies(config)
        self.observed = inputs.expected[spec.table]
        self.desired = sorted(spec.desire(inputs, config), key=lambda record: record.source_key)
        self.matches = match_records(self.desired, self.observed, inputs.memory.links, spec.match)
        self.own = [field for field in self.fields if field.references == spec.table]
        # Learnt while planning: unique values that stay where they are, and records that are not created after all.
        self.keeps: set[Holding] = set()
        self.absent: set[str] = set()

    def plan(self) -> Plan:
        collisions = self._decide_all()
        while self._learn(collisions):
            collisions = self._decide_all()
        self._report_others()
        observed_table = f"safetyamp_observed/{self.spec.table}"
        return Plan(
            entity=self.spec.name,
            table=self.spec.table,
            as_of=self.inputs.as_of(observed_table),
            inputs=self.inputs.hashes(),
            config_hash=value_hash(self.config.model_dump(mode="json")),
            changes=tuple(in_waves(self.spec, self.changes, collisions.holders())),
            verdicts=tuple(self.verdicts),
            findings=tuple(sorted(self.findings, key=lambda finding: (finding.kind, finding.key))),
            agreed=tuple(self.agreed),
            refused=self.judge(self.changes),
            source_rows={source: self.inputs.certificate(source).rows for source in self.spec.sources},
        )

    def judge(self, changes: Sequence[Change]) -> tuple[Refused, ...]:
        """The guards that stand against these changes of the plan."""
        return refusals(self.spec, changes, self._scale(), self.config.guards)

    def _scale(self) -> Scale:
        """What the guards measure against: the records that are or will be in SafetyAmp, and where they stand."""
        groups = {record.source_key: self._groups(record) for record in self.desired}
        creates = sum(change.action is Action.CREATE for change in self.changes)
        return Scale(
            size=len(self.matches.found) + creates,
            is_first_load=not (self.inputs.memory.links and self.inputs.memory.is_loaded),
            groups={key: found for key, found in groups.items() if found},
            rows={source: self.inputs.certificate(source).rows for source in self.spec.sources},
            rows_before=self.inputs.memory.source_rows,
        )

    def _groups(self, record: Desired) -> tuple[str, ...]:
        """The groups a guard counts a record in: those of its source, and the place where SafetyAmp shows it. A record
        that is not there, or is switched off, is in none."""
        match = self.matches.found.get(record.source_key)
        if match is None:
            return ()
        row = self.observed.rows[match.target_id]
        shown = [
            observed_value(self.spec.field(name), row, self.inputs.expected, {}) if name is not None else None
            for name in (self.spec.access, self.spec.place)
        ]
        if shown[0] == 0:
            return ()
        return (
            *record.groups,
            *([f"{self.spec.field(str(self.spec.place)).label.lower()} {shown[1]}"] if shown[1] is not None else []),
        )

    def _decide_all(self) -> Collisions:
        """A verdict for every record, from the start: nothing of an earlier round stays."""
        self.changes: list[Change] = []
        self.verdicts: list[Verdict] = []
        self.findings: list[Finding] = []
        self.agreed: list[Agreed] = []
        records, collisions = self._resolved()
        for record in records:
            self._decide(record)
        return collisions

    def _learn(self, collisions: Collisions) -> bool:
        """Whether some change counts on another that is not planned after all: on a unique value set free by a record
        that is held or rejected, or on a supervisor whose creation SafetyAmp refused. What is learnt only grows."""
        known = len(self.keeps) + len(self.absent)
        written = {(change.source_key, name) for change in self.changes for name in change.fields}
        rings = rings_of(collisions.holders())
        for waiting, holdings in collisions.waits_for.items():
            for holder, field in holdings:
                is_stuck = (waiting, field) in written and (holder, field) not in written
                if is_stuck or (waiting in rings and holder in rings):
                    self.keeps.add((holder, field))
        there = {change.natural_key for change in self.changes if change.action is Action.CREATE}
        there |= {record.natural_key for record in self.desired if record.source_key in self.matches.found}
        for name in (declared.name for declared in self.own if not declared.required):
            wanted = {str(change.fields[name][1]) for change in self.changes if name in change.fields}
            self.absent |= {key for key in wanted - there if self.observed.id_of(key) is None}
        return len(self.keeps) + len(self.absent) > known

    def _resolved(self) -> tuple[list[Desired], Collisions]:
        """The records with every further reason why they cannot be synced, and without what must be left out."""
        records = [self._with_references(record) for record in self.desired]
        standing = [record for record in records if record.scope is Scope.ACTIVE and not record.reasons]
        collisions = find_collisions(self.spec.noun, self.fields, standing, self.observed, self.matches, self.keeps)
        records = [_with_collisions(record, collisions) for record in records]
        return self._with_own_references(records), collisions

    def _with_references(self, record: Desired) -> Desired:
        """References to other tables must exist there or be planned; an optional one that does not is left out."""
        values, reasons, notes = dict(record.values), list(record.reasons), list(record.notes)
        for field in self.fields:
            wanted = values.get(field.name)
            if field.references in (None, self.spec.table) or wanted is None or record.scope is not Scope.ACTIVE:
                continue
            if self.inputs.expected[str(field.references)].id_of(wanted) is None:
                values[field.name] = None
                (reasons if field.required else notes).append(_nowhere(field, wanted))
        return replace(record, values=values, reasons=tuple(reasons), notes=tuple(notes))

    def _with_own_references(self, records: list[Desired]) -> list[Desired]:
        """References inside the entity: the other record must be there, or be created by this very plan."""
        while self.own:
            planned = {r.natural_key for r in records if r.scope is Scope.ACTIVE and not r.reasons} - self.absent
            settled = [self._with_own(record, planned) for record in records]
            if settled == records:
                break
            records = settled
        return records

    def _with_own(self, record: Desired, planned: set[str]) -> Desired:
        values, reasons, notes = dict(record.values), list(record.reasons), list(record.notes)
        for field in self.own:
            wanted = values.get(field.name)
            if wanted is None or record.scope is not Scope.ACTIVE:
                continue
            known = wanted in planned or self.observed.id_of(wanted) is not None
            if known and wanted != record.natural_key:
                continue
            values[field.name] = None
            (reasons if field.required else notes).append(_nowhere(field, wanted))
        return replace(record, values=values, reasons=tuple(reasons), notes=tuple(notes))

    def _decide(self, record: Desired) -> None:
        match = self.matches.found.get(record.source_key)
        if record.scope is Scope.OUT:
            self._say(record, Outcome.OUT_OF_SCOPE, record.rule)
            if match is not None and record.rule:
                self.findings.append(Finding("out_of_scope_in_safetyamp", record.source_key, record.rule))
        elif record.scope is Scope.LEAVER:
            self._decide_leaver(record, match)
        elif record.reasons:
            self._say(record, Outcome.REJECTED, "the source record cannot be synced")
        elif record.source_key in self.matches.troubles:
            self._say(record, Outcome.HELD, self.matches.troubles[record.source_key])
        elif match is None:
            after = {name: value for name, value in record.values.items() if value is not None}
            self._change(record, Action.CREATE, None, {name: (None, value) for name, value in after.items()}, "is new")
        else:
            self._decide_matched(record, match)

    def _decide_leaver(self, record: Desired, match: Match | None) -> None:
        access = self.spec.access
        if match is None or access is None:
            self._say(record, Outcome.OUT_OF_SCOPE, record.rule)
            return
        row = self.observed.rows[match.target_id]
        before = observed_value(self.spec.field(access), row, self.inputs.expected, {})
        if before == 0:
            self._say(record, Outcome.OUT_OF_SCOPE, f"{record.rule}; access is off")
            self._agree(record, match, {access: 0})
        elif was_not_taken(self.inputs.memory.links.get(record.source_key), access, before, 0):
            self._say(record, Outcome.FAILED, f"{record.rule}; SafetyAmp did not take access off when it was told to")
        else:
            self._change(record, Action.DEACTIVATE, match, {access: (before, 0)}, record.rule)

    def _decide_matched(self, record: Desired, match: Match) -> None:
        link = self.inputs.memory.links.get(record.source_key)
        row = self.observed.rows[match.target_id]
        difference = diff_record(self.fields, record.values, row, self.inputs.expected, link)
        record = replace(record, notes=(*record.notes, *difference.notes))
        self._agree(record, match, difference.agreed)
        for note in difference.notes:
            self.findings.append(Finding("field_left", record.source_key, note))
        access = self.spec.access
        if access in difference.changed and (why := self._why_held(link)):
            self._say(record, Outcome.HELD, why)
        elif difference.changed:
            action, cause = self._action(match, difference)
            self._change(record, action, match, difference.changed, cause)
        elif difference.held:
            labels = ", ".join(difference.held)
            self._say(record, Outcome.HELD, f"changed in the source and in SafetyAmp, a person must decide: {labels}")
        else:
            self._say(record, Outcome.UNCHANGED, f"recognised by {match.how}")

    def _why_held(self, link: Any) -> str | None:
        """Why an account found switched off stays off until a person decides."""
        if not self.spec.holds_switched_off:
            return None
        pushed = link.pushed.get(self.spec.access) if link is not None else None
        if pushed == 1:
            return "somebody switched this account off in SafetyAmp while the person is active in Viewpoint"
        if pushed is None and not self.spec.reactivates(self.config):
            return "the account is off and sync.yaml says not to switch on accounts without history"
        return None

    def _action(self, match: Match, difference: Difference) -> tuple[Action, str]:
        how = {key.name: key.action for key in self.spec.match}.get(match.how)
        if self.spec.access in difference.changed:
            return Action.REACTIVATE, "is active again"
        labels = [field.label for field in self.fields if field.name in difference.changed]
        return Action(how) if how else Action.UPDATE, f"differs: {', '.join(labels)}"

    def _change(
        self, record: Desired, action: Action, match: Match | None, fields: dict[str, tuple[Any, Any]], cause: str
    ) -> None:
        """Plan a change, unless SafetyAmp refused exactly this before and nothing has changed since."""
        fingerprint = payload_hash(self.spec.name, action, {name: after for name, (_, after) in fields.items()})
        failure = self.inputs.memory.failures.get(record.source_key)
        if failure is not None and failure.payload_hash == fingerprint:
            self._say(record, Outcome.FAILED, "SafetyAmp refused exactly this before; nothing has changed since")
            return
        target_id = match.target_id if match is not None else None
        self.changes.append(
            Change(action, record.source_key, record.natural_key, target_id, fields, cause, fingerprint)
        )
        self._say(record, OUTCOME_OF[action], cause)

    def _agree(self, record: Desired, match: Match, values: dict[str, Any]) -> None:
        link = self.inputs.memory.links.get(record.source_key)
        if link is None or any(
            link.pushed.get(name) != value or name in link.not_taken for name, value in values.items()
        ):
            self.agreed.append(Agreed(record.source_key, record.natural_key, match.target_id, values))

    def _say(self, record: Desired, outcome: Outcome, rule: str) -> None:
        self.verdicts.append(Verdict(record.source_key, outcome, rule, record.reasons, record.notes))

    def _report_others(self) -> None:
        """What has no source record: links whose source vanished, and SafetyAmp records nobody manages."""
        known = {record.source_key for record in self.desired}
        for source_key in self.inputs.memory.links.keys() - known:
            self.findings.append(Finding("vanished", source_key, "the source no longer lists this record"))
        linked = {link.target_id for link in self.inputs.memory.links.values()}
        for row_id in self.observed.rows.keys() - self.matches.claimed() - linked:
            key = self.observed.key_of(row_id) or str(row_id)
            self.findings.append(Finding("unmanaged", key, "in SafetyAmp, but in no source"))


def _with_collisions(record: Desired, collisions: Collisions) -> Desired:
    reasons = (*record.reasons, *collisions.reasons.get(record.source_key, ()))
    omitted = collisions.omitted.get(record.source_key, {})
    values = {name: None if name in omitted else value for name, value in record.values.items()}
    return replace(record, values=values, reasons=reasons, notes=(*record.notes, *omitted.values()))


def _nowhere(field: Field, wanted: str) -> str:
    return f"{field.label} {wanted!r} is not in SafetyAmp, and no plan creates it"
