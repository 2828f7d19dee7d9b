"""The verdict of each source record and the change that goes with it, and which records sync.yaml leaves alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import (
    OUTCOME_OF,
    Action,
    Agreed,
    Change,
    Finding,
    Outcome,
    Question,
    Verdict,
    payload_hash,
)
from safetyamp_pipelines.sync.model.remembered import Choice, Decision, Failure, Link
from safetyamp_pipelines.sync.model.snapshot import canonical_json
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec, Field, Scope
from safetyamp_pipelines.sync.model.tables import Id, TargetTable, fold
from safetyamp_pipelines.sync.planning.circumstances import Circumstances
from safetyamp_pipelines.sync.planning.collisions import Holding
from safetyamp_pipelines.sync.planning.conditions import out_of_scope, switched_off
from safetyamp_pipelines.sync.planning.difference import (
    CHANGED_ON_BOTH_SIDES,
    DRIFT,
    NOT_SWITCHED_OFF,
    Difference,
    diff_record,
    observed_value,
    was_not_taken,
)
from safetyamp_pipelines.sync.planning.matching import Match, Matches
from safetyamp_pipelines.sync.rules.config import SyncConfig

LeftAlone = dict[str, tuple[Outcome, str]]
"""Source key → verdict and rule of a record that is left as it is in SafetyAmp, or out of it."""
NEWER = "another run wrote it after this one had read SafetyAmp: left to the next run"
SWINGS = "held: it was written to and fro between these two values; a person must decide"
WHICH: tuple[Choice, ...] = ("link", "leave")
WHOSE: tuple[Choice, ...] = ("source", "keep", "leave")
"""What a person may answer when asked which SafetyAmp record it is, and which side's values count."""


@dataclass(frozen=True)
class Ground:
    """What every decision of one plan is based on; the same in every round of it."""

    spec: EntitySpec
    fields: tuple[Field, ...]
    inputs: Inputs
    config: SyncConfig
    observed: TargetTable
    matches: Matches
    left_alone: LeftAlone
    circumstances: Circumstances
    waits_for: Mapping[str, set[Holding]]


@dataclass
class Decisions:
    """One round of decisions."""

    ground: Ground
    changes: list[Change] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    agreed: list[Agreed] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def decide(self, record: Desired) -> None:
        """Give the record its one verdict."""
        matches = self.ground.matches
        match = matches.found.get(record.source_key)
        if (left := self.ground.left_alone.get(record.source_key)) is not None:
            self._decided(replace(record, reasons=(), notes=()), *left)
            self.findings += worth_a_look(self.ground.spec, record, left[1], matches, self.ground.observed)
        elif record.scope is Scope.OUT:
            self._decided(record, Outcome.OUT_OF_SCOPE, record.rule)
            if match is not None and record.rule:
                self.findings.append(Finding("out_of_scope_in_safetyamp", record.source_key, record.rule))
        elif record.scope is Scope.LEAVER:
            self._decide_leaver(record, match)
        elif record.reasons:
            self._decided(record, Outcome.REJECTED, "the source record cannot be synced")
        elif self._is_newer(record):
            self._decided(record, Outcome.SKIPPED, NEWER)
        elif record.source_key in matches.troubles:
            self._decide_target(record, matches.troubles[record.source_key])
        elif match is None:
            self._decide_new(self._with_unknowns(record))
        else:
            self._decide_matched(self._with_unknowns(record), match)

    def _with_unknowns(self, record: Desired) -> Desired:
        """The record with a note for each of its values that is unknown, reported once."""
        if record.doubts:
            self.findings.append(Finding("unknown", record.source_key, "; ".join(record.doubts)))
        return replace(record, notes=(*record.notes, *record.doubts))

    def _decide_new(self, record: Desired) -> None:
        unknown = self.ground.spec.unknown(self.ground.inputs.unread)
        needed = [unknown[field.name] for field in self.ground.fields if field.required and field.name in unknown]
        if waits := (*record.waits, *needed):
            self._decided(record, Outcome.BLOCKED, waits[0])
            return
        if record.lacks:
            record = replace(record, reasons=record.lacks)
            self._decided(record, Outcome.REJECTED, "the source record cannot be synced")
            return
        refused = self._refused_fields(record, None)
        left_out = [f"{self.ground.spec.field(name).label}: {note}" for name, note in refused.items()]
        after = {name: value for name, value in record.values.items() if value is not None and name not in refused}
        record = replace(record, notes=(*record.notes, *left_out))
        self._change(record, Action.CREATE, None, {name: (None, value) for name, value in after.items()}, "is new")

    def _decide_leaver(self, record: Desired, match: Match | None) -> None:
        access = self.ground.spec.access
        rivals = self.ground.matches.rivals.get(record.source_key, ())
        if access is not None and any(self._access_of(row_id, access) != 0 for row_id in rivals):
            trouble = self.ground.matches.troubles[record.source_key]
            self._decide_target(record, f"{record.rule}, and access is on: {trouble}, or take it off by hand")
            return
        if match is None or access is None:
            self._decided(record, Outcome.OUT_OF_SCOPE, record.rule)
            return
        declared, link = self.ground.spec.field(access), self._link(record)
        before = self._access_of(match.target_id, access)
        if before == 0:
            self._decided(record, Outcome.OUT_OF_SCOPE, f"{record.rule}; access is off")
            self._agree(record, match, {access: 0})
            return
        if link is not None and link.pushed.get(access) == 0:
            record = self._with_drift(record, {access: f"{DRIFT}; the source wins (policy {declared.policy})"})
        if was_not_taken(link, access, before, 0):
            self._decided(record, Outcome.FAILED, f"{record.rule}; {NOT_SWITCHED_OFF}")
        else:
            self._change(record, Action.DEACTIVATE, match, {access: (before, 0)}, record.rule)

    def _access_of(self, row_id: Id, access: str) -> Any:
        """The access of the row: whether the account is switched on in SafetyAmp."""
        ground = self.ground
        return observed_value(ground.spec.field(access), ground.observed.rows[row_id], ground.inputs.expected, {})

    def _decide_matched(self, record: Desired, match: Match) -> None:
        ground, link = self.ground, self._link(record)
        row, refused = ground.observed.rows[match.target_id], self._refused_fields(record, match)
        fields = record.under(ground.fields)
        difference = diff_record(fields, record.values, row, ground.inputs.expected, link, refused, record.empty)
        self._hold_swings(record, difference)
        why = self._why_held(link) if ground.spec.access in difference.changed else None
        decision = self._decide_values(record, difference, why)
        why = why if decision is None else None
        drift = difference.drift if why is None else dict.fromkeys(difference.drift, f"{DRIFT}; the record is held")
        record = self._with_drift(record, drift)
        notes = (*record.notes, *difference.notes, *difference.kept)
        record = replace(record, notes=tuple(dict.fromkeys(notes)))
        self._agree(record, match, difference.agreed)
        for note in difference.notes:
            self.findings.append(Finding("field_left", record.source_key, note))
        if decision is not None and decision.choice == "leave":
            self._decided(record, Outcome.SKIPPED, f"left as it is, {decision}")
        elif why is not None:
            self._decided(record, Outcome.HELD, why)
        elif difference.changed:
            action, cause = self._action(match, difference)
            self._change(record, action, match, difference.changed, cause)
        elif difference.held:
            self._decided(record, Outcome.HELD, self._why_contested(difference))
        elif record.rings:
            self._decide_target(record, "; ".join(record.rings), ("leave",))
        else:
            self._decided(record, Outcome.UNCHANGED, f"recognised by {match.how}")

    def _is_newer(self, record: Desired) -> bool:
        """Whether another run linked the record, as by creating it, after this one had read SafetyAmp."""
        link, inputs = self._link(record), self.ground.inputs
        if link is None or link.target_id in self.ground.observed.rows:
            return False
        return link.updated_at >= datetime.fromisoformat(inputs.as_of(f"{OBSERVED}/{self.ground.spec.table}"))

    def _decide_target(self, record: Desired, trouble: str, choices: tuple[Choice, ...] = WHICH) -> None:
        """Hold the record until a person links it to a SafetyAmp record, or decides to leave it alone."""
        rivals = self.ground.matches.rivals.get(record.source_key, ())
        decision = self._ask(Question(record.source_key, trouble, {}, tuple(sorted(rivals, key=str)), choices))
        if decision is None:
            self._decided(record, Outcome.HELD, trouble)
        else:
            self._decided(record, Outcome.SKIPPED, f"left as it is, {decision}")

    def _decide_values(self, record: Desired, difference: Difference, why: str | None) -> Decision | None:
        """Where only a person can decide which side's values count, apply the decision to the difference."""
        access = str(self.ground.spec.access)
        contested = {**({} if why is None else {access: difference.changed[access]}), **difference.held}
        if not contested:
            return None
        text = why or self._why_contested(difference)
        decision = self._ask(Question(record.source_key, text, contested, (), WHOSE))
        if decision is None or decision.choice == "leave":
            return decision
        for name, pair in contested.items():
            label = self.ground.spec.field(name).label
            asked = {f"{label}: {CHANGED_ON_BOTH_SIDES}", f"{label}: {SWINGS}"}
            difference.notes = [note for note in difference.notes if note not in asked]
            stands = "the source's value" if decision.choice == "source" else "SafetyAmp's value"
            if name in difference.drift:
                difference.drift[name] = f"{DRIFT}; {stands} stands, {decision}"
            if decision.choice == "source":
                difference.changed[name] = pair
            else:
                difference.changed.pop(name, None)
                difference.notes.append(f"{label}: {stands} stands, {decision}")
        difference.held.clear()
        return decision

    def _ask(self, question: Question) -> Decision | None:
        """What a person has decided about exactly this question; None while nobody has."""
        decision = self.ground.inputs.memory.decisions.get(question.hash)
        self.questions.append(question if decision is None else replace(question, answer=decision.choice))
        return decision

    def _hold_swings(self, record: Desired, difference: Difference) -> None:
        """A field that was written back and forth between the same two values is held: the source, a person or
        SafetyAmp itself would set it back again."""
        swings = self.ground.inputs.memory.swings.get(record.source_key, {})
        for name, pair in list(difference.changed.items()):
            if frozenset(map(canonical_json, pair)) in swings.get(name, ()):
                difference.held[name] = difference.changed.pop(name)
                difference.notes.append(f"{self.ground.spec.field(name).label}: {SWINGS}")

    def _why_contested(self, difference: Difference) -> str:
        labels = {name: self.ground.spec.field(name).label for name in difference.held}
        swing = [label for label in labels.values() if f"{label}: {SWINGS}" in difference.notes]
        both = [label for label in labels.values() if label not in swing]
        texts = [f"changed in the source and in SafetyAmp, a person must decide: {', '.join(both)}"] if both else []
        texts += [f"swings to and fro between two values, a person must decide: {', '.join(swing)}"] if swing else []
        return "; ".join(texts)

    def _with_drift(self, record: Desired, drift: dict[str, str]) -> Desired:
        """The record with a note for each field that somebody changed in SafetyAmp; one finding for all of them."""
        if not drift:
            return record
        texts = [f"{self.ground.spec.field(name).label}: {text}" for name, text in drift.items()]
        self.findings.append(Finding("drift", record.source_key, "; ".join(texts)))
        return replace(record, notes=(*record.notes, *texts))

    def _why_held(self, link: Link | None) -> str | None:
        """Why an account that is switched off stays off until a person decides."""
        spec = self.ground.spec
        if not spec.holds_switched_off:
            return None
        pushed = link.pushed.get(str(spec.access)) if link is not None else None
        if pushed == 1:
            return "somebody switched this account off in SafetyAmp while the person is active in Viewpoint"
        if pushed is None and not spec.reactivates(self.ground.config.of(spec)):
            return "the account is off and sync.yaml says not to switch on accounts without history"
        return None

    def _adopting_action(self, match: Match) -> str | None:
        """The action that adopts a record which had no owner; None for one that is linked already."""
        return {key.name: key.action for key in self.ground.spec.match}.get(match.how)

    def _action(self, match: Match, difference: Difference) -> tuple[Action, str]:
        how = self._adopting_action(match)
        if self.ground.spec.access in difference.changed:
            return Action.REACTIVATE, "is active again"
        labels = [field.label for field in self.ground.fields if field.name in difference.changed]
        return Action(how) if how else Action.UPDATE, f"differs: {', '.join(labels)}"

    def _change(
        self, record: Desired, action: Action, match: Match | None, fields: dict[str, tuple[Any, Any]], cause: str
    ) -> None:
        """Plan a change, unless sync.yaml switches its kind off, or SafetyAmp refused exactly this before and nothing
        it depended on has changed since."""
        spec, rules = self.ground.spec, self.ground.config.of(self.ground.spec)
        if (why := switched_off(spec, rules, action)) is not None:
            self._decided(record, Outcome.SKIPPED, f"{why}: {cause}")
            if action is Action.DEACTIVATE:
                self.findings.append(Finding("leaver_left_on", record.source_key, f"{cause}; {why}"))
            return
        if action is Action.REACTIVATE and not rules.update:
            fields = {name: pair for name, pair in fields.items() if name == spec.access}
        after = {name: after for name, (_, after) in fields.items()}
        fingerprint = payload_hash(self.ground.spec.name, action, after)
        failure = self._standing_refusal(record, match)
        if failure is not None and failure.payload_hash == fingerprint:
            self._refuse_again(record, failure)
            return
        target_id = match.target_id if match is not None else None
        self.changes.append(
            Change(action, record.source_key, record.natural_key, target_id, fields, cause, fingerprint)
        )
        self._decided(record, OUTCOME_OF[action], cause)

    def _standing_refusal(self, record: Desired, match: Match | None) -> Failure | None:
        """The refusal of the record, unless something it depended on has changed, or this plan changes it first, or a
        person wants it tried again."""
        failure = self.ground.inputs.memory.failures.get(record.source_key)
        own = match.target_id if match is not None else None
        if failure is None or failure.state == "retry":
            return None
        if not self.ground.circumstances.is_unchanged(failure.cause, record.values, own):
            return None
        if failure.fields.keys() & {name for _, name in self.ground.waits_for.get(record.source_key, ())}:
            return None
        return failure

    def _refused_fields(self, record: Desired, match: Match | None) -> dict[str, str]:
        """Fields that alone a standing refusal was about, and that still have the refused value: left out, with a note
        each, so that they keep nothing else from being sent. A new record cannot do without those required. Access is
        never left out in silence."""
        failure = self._standing_refusal(record, match)
        can_keep = match is not None and self._adopting_action(match) is None
        optional = {declared.name for declared in self.ground.fields if can_keep or not declared.required}
        optional.discard(str(self.ground.spec.access))
        if failure is None or not failure.fields or not failure.fields.keys() <= optional:
            return {}
        keyed_hash = self.ground.inputs.memory.keyed_hash
        return {
            name: f"left out, since SafetyAmp refused it: {_refusal_of(facts)}"
            for name, facts in failure.fields.items()
            if (record.values.get(name) is not None or name in record.empty)
            and facts.get("hash") == keyed_hash(record.values.get(name))
        }

    def _refuse_again(self, record: Desired, failure: Failure) -> None:
        labels = {declared.name: declared.label for declared in self.ground.fields}
        refusals = [f"{labels.get(name, name)}: {_refusal_of(facts)}" for name, facts in failure.fields.items()]
        record = replace(record, reasons=(*record.reasons, *refusals))
        if failure.state == "dismissed":
            self._decided(record, Outcome.SKIPPED, "SafetyAmp refused exactly this before, and a person dismissed it")
        else:
            self._decided(record, Outcome.FAILED, "SafetyAmp refused exactly this before; nothing has changed since")

    def _link(self, record: Desired) -> Link | None:
        return self.ground.inputs.memory.links.get(record.source_key)

    def _agree(self, record: Desired, match: Match, values: dict[str, Any]) -> None:
        """Remember what both sides share, which also settles a refusal of these fields. A record whose key is yet to be
        written is not remembered as ours: the call that writes it may never arrive."""
        link, failure = self._link(record), self.ground.inputs.memory.failures.get(record.source_key)
        if self._adopting_action(match) is not None:
            return
        is_settled = failure is not None and bool(failure.fields) and failure.fields.keys() <= values.keys()
        if (
            link is None
            or is_settled
            or any(link.pushed.get(name) != value or name in link.not_taken for name, value in values.items())
        ):
            self.agreed.append(Agreed(record.source_key, record.natural_key, match.target_id, values))

    def _decided(self, record: Desired, outcome: Outcome, rule: str) -> None:
        self.verdicts.append(Verdict(record.source_key, outcome, rule, record.reasons, record.notes))


def _refusal_of(facts: Any) -> str:
    """The category of an offending field and what to correct, as far as they are known."""
    return ", ".join(filter(None, (facts.get("category", "unknown"), facts.get("suggestion", ""))))


def left_alone(
    spec: EntitySpec, config: SyncConfig, inputs: Inputs, desired: Collection[Desired], matches: Matches
) -> LeftAlone:
    """The records that sync.yaml leaves alone. A protected key that SafetyAmp does not know is not created either: its
    account may be there under another number. A leaver out of scope whose account this project knows is not left
    alone: access that we keep in step does not stay on because the scope became narrower."""
    section = config.of(spec)
    # People copy a title as they see it, without its extra blanks.
    suppressed, protected = ({fold(key, case=True) for key in keys} for keys in (section.suppressed, section.protected))
    outside, rows = out_of_scope(spec, inputs, section, desired), inputs.expected[spec.table].rows
    found: LeftAlone = {}
    for record in desired:
        key, match = record.source_key, matches.found.get(record.source_key)
        if (folded := fold(key, case=True)) in suppressed:
            found[key] = Outcome.SKIPPED, f"suppressed: named in {spec.name}.suppressed of sync.yaml"
        elif folded in protected:
            found[key] = Outcome.SKIPPED, f"protected: named in {spec.name}.protected of sync.yaml"
        elif match is not None and (why := spec.protected_by(rows[match.target_id], section)) is not None:
            found[key] = Outcome.SKIPPED, f"protected: {why}"
        elif key in outside and not (record.scope is Scope.LEAVER and key in inputs.memory.links):
            found[key] = Outcome.OUT_OF_SCOPE, outside[key]
    return found


def worth_a_look(
    spec: EntitySpec, record: Desired, why: str, matches: Matches, observed: TargetTable
) -> Iterable[Finding]:
    """What people should know about a record that is left alone: it is in SafetyAmp although it is to stay out, or the
    person has left and keeps access."""
    match = matches.found.get(record.source_key)
    if match is None:
        return
    if why.startswith("suppressed"):
        yield Finding("suppressed_in_safetyamp", record.source_key, f"{why}, and it is in SafetyAmp")
    elif record.scope is Scope.LEAVER and observed.rows[match.target_id].get(spec.access or "") in (True, 1):
        kind = "protected_leaver" if why.startswith("protected") else "leaver_left_on"
        yield Finding(kind, record.source_key, f"{record.rule}; {why}: take the access off by hand")
