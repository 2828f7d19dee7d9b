"""The plan: the changes that turn observed into desired, a verdict for every source record, and its bytes and hash."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import Any

from safetyamp_pipelines.sync.model.snapshot import canonical_json
from safetyamp_pipelines.sync.model.tables import Id


def _fields_of(part: object) -> dict[str, Any]:
    """A part of a plan as its fields, without the hash that it may have cached."""
    return {name: value for name, value in vars(part).items() if name != "hash"}


# As `canonical_json`, which knows plain values only: the parts of a plan are written as their fields.
_TEXT = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_fields_of)
GZIP = 31
"""What zlib calls a stream with the header of gzip; without a time stamp."""
AT_ONCE = 1_000
"""Parts of a plan whose text is in memory at a time: that of 20,000 people, whole, took 100 MB."""


def _texts(value: Any) -> Iterator[str]:
    """The canonical text of a value, of a long list some items at a time."""
    if not isinstance(value, tuple):
        yield _TEXT.encode(value)
        return
    yield "["
    for start in range(0, len(value), AT_ONCE):
        yield ("," if start else "") + _TEXT.encode(value[start : start + AT_ONCE])[1:-1]
    yield "]"


class Action(StrEnum):
    """What a change does to the SafetyAmp record."""

    CREATE = "create"
    UPDATE = "update"
    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"
    LINK = "link"


class Outcome(StrEnum):
    """The verdicts: what became of one source record in one run (docs/architecture.md)."""

    CREATED = "created"
    UPDATED = "updated"
    DEACTIVATED = "deactivated"
    REACTIVATED = "reactivated"
    LINKED = "linked"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    HELD = "held"
    BLOCKED = "blocked"
    FAILED = "failed"
    STALE = "stale"
    NOT_ATTEMPTED = "not_attempted"
    NOT_PUSHED = "not_pushed"
    SKIPPED = "skipped"
    OUT_OF_SCOPE = "out_of_scope"


OUTCOME_OF = {
    Action.CREATE: Outcome.CREATED,
    Action.UPDATE: Outcome.UPDATED,
    Action.DEACTIVATE: Outcome.DEACTIVATED,
    Action.REACTIVATE: Outcome.REACTIVATED,
    Action.LINK: Outcome.LINKED,
}


NOT_DONE = (Outcome.FAILED, Outcome.BLOCKED, Outcome.STALE, Outcome.NOT_ATTEMPTED)
"""Verdicts of changes that did not end as planned."""


def payload_hash(entity: str, action: Action, after: Mapping[str, Any]) -> str:
    """SHA-256 of what a change would say, in natural keys: equal hashes would get an equal answer."""
    kind = "create" if action is Action.CREATE else "update"
    return hashlib.sha256(canonical_json([entity, kind, dict(after)]).encode()).hexdigest()


@dataclass(frozen=True)
class Change:
    """One record's change: one call. `fields` maps a field to [before, after]; references are natural keys.

    `wave` orders calls inside an entity: a wave may use what the waves before it created or set free, and is never
    more urgent than they are (`waves.py`).
    `payload_hash` is what a remembered refusal is compared with.
    """

    action: Action
    source_key: str
    natural_key: str
    target_id: Id | None
    fields: Mapping[str, tuple[Any, Any]]
    cause: str
    payload_hash: str
    wave: int = 0

    def before(self) -> dict[str, Any]:
        """The values by field that the plan found in SafetyAmp."""
        return {name: before for name, (before, _) in self.fields.items()}

    def after(self) -> dict[str, Any]:
        """The new values by field."""
        return {name: after for name, (_, after) in self.fields.items()}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of what an approval is for: entity, record, action, and each field's value before and after. Nothing
        else of the plan goes in, so an edit elsewhere leaves it as it is."""
        facts = [self.payload_hash, self.action, self.source_key, self.target_id, self.fields]
        return hashlib.sha256(_TEXT.encode(facts).encode()).hexdigest()


@dataclass(frozen=True)
class Verdict:
    """What becomes of one source record, the rule that decided, and the reasons (never a person's value)."""

    source_key: str
    outcome: Outcome
    rule: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def counts_of(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Source records by verdict, sorted by verdict."""
    return dict(sorted(Counter(str(verdict.outcome) for verdict in verdicts).items()))


@dataclass(frozen=True)
class Finding:
    """Something people should know that is not a source record: unmanaged, vanished, drift, closed."""

    kind: str
    key: str
    text: str


@dataclass(frozen=True)
class Refused:
    """Why a guard objects: its figures against its limit, the source keys, the key in sync.yaml, the source that it
    holds to be sick, and the limit alone (`10`, `50%`)."""

    guard: str
    figures: str
    keys: tuple[str, ...]
    setting: str
    source: str = ""
    limit: str = ""

    def __str__(self) -> str:
        shown = ", ".join(self.keys[:10]) + (f" and {len(self.keys) - 10} more" if len(self.keys) > 10 else "")
        return f"{self.guard}: {self.figures}" + (f" ({shown})" if shown else "") + f" [{self.setting}]"


@dataclass(frozen=True)
class Held:
    """A change that a guard keeps from being pushed until a person approves it, with the guard's figures and limit."""

    change: Change
    guard: str
    figures: str
    setting: str


@dataclass(frozen=True)
class Question:
    """What only a person can decide about a record. `fields` maps a field to what SafetyAmp and the source say;
    `candidates` are the records of SafetyAmp that it may be. It takes one of `choices`; `answer` is the one given."""

    source_key: str
    text: str
    fields: Mapping[str, tuple[Any, Any]]
    candidates: tuple[Id, ...]
    choices: tuple[str, ...]
    answer: str = ""

    @cached_property
    def hash(self) -> str:
        """SHA-256 of what an answer is for: the record, and the values on both sides. Other values need a new one."""
        facts = [self.source_key, self.text, self.fields, self.candidates]
        return hashlib.sha256(_TEXT.encode(facts).encode()).hexdigest()


@dataclass(frozen=True)
class Agreed:
    """A source record recognised in SafetyAmp, with the values on which both sides agree: what the link remembers."""

    source_key: str
    natural_key: str
    target_id: Id
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """All of one entity: the same snapshots, memory and configuration give the same bytes.

    `inputs` maps each snapshot read to its content hash, `source_rows` each source to its number of records; `as_of` is
    when SafetyAmp's table was read (ISO 8601 UTC), `oldest` when the first of all snapshots was. `refused` says which
    guards stand against it, and why. `only` are the source keys that the plan was reduced to; a whole plan has none.
    `mapping_hash` is the part of the configuration that an earlier refusal may hang on, `revived` are records whose
    refusal no longer hangs on what it did, `records` counts the source records that must end in a verdict,
    `unaccounted` are those that do not. `held` are changes that guards keep from being pushed: they are not among
    `changes`. `approved` maps a source key to the hash that people have approved, of a change that was held before;
    `by_two` are the source keys, of those and of held ones, that two people must approve.
    `set_aside` are those that a guard holds and a person has refused or put off: nobody is asked about them.
    `questions` are what only people can decide, answered or not.
    """

    entity: str
    table: str
    as_of: str
    inputs: Mapping[str, str]
    config_hash: str
    changes: tuple[Change, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    findings: tuple[Finding, ...] = ()
    agreed: tuple[Agreed, ...] = field(default=())
    refused: tuple[Refused, ...] = ()
    source_rows: Mapping[str, int] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    mapping_hash: str = ""
    revived: tuple[str, ...] = ()
    records: int = 0
    unaccounted: tuple[str, ...] = ()
    oldest: str = ""
    held: tuple[Held, ...] = ()
    approved: Mapping[str, str] = field(default_factory=dict)
    by_two: tuple[str, ...] = ()
    set_aside: tuple[Held, ...] = ()
    questions: tuple[Question, ...] = ()

    def counts(self) -> dict[str, int]:
        """Source records by verdict, sorted by verdict."""
        return counts_of(self.verdicts)

    def refusal(self) -> str | None:
        """What the guards hold, or why they refuse an undo, and how a person overrules them; None when they do not."""
        if not self.refused:
            return None
        reasons = "; ".join(map(str, self.refused))
        if self.held:
            hashes = [self.held_hash(guard)[:12] for guard in self.held_by()]
            commands = ", ".join(f"`safetyamp approve {found} --reason …`" for found in hashes)
            return (
                f"guards hold {len(self.held)} changes of {self.entity}: {reasons}. Look at them with `safetyamp plan "
                f"{self.entity}`; if they are right: {commands}; if not, `refuse` or `later` instead of `approve`. "
                "Everything else is pushed"
            )
        return (
            f"the plan for {self.entity} is refused by its guards: {reasons}. Look at it with `safetyamp plan "
            f"{self.entity}`; if it is right: `safetyamp approve {self.hash[:12]} --reason …`"
        )

    def held_hash(self, guard: str) -> str:
        """SHA-256 over the changes that one guard holds, in any order: what an approval of all of them names."""
        hashes = sorted(held.change.hash for held in self.held if held.guard == guard)
        return hashlib.sha256(canonical_json(hashes).encode()).hexdigest()

    def held_by(self) -> dict[str, int]:
        """Guard → how many changes it holds, sorted."""
        return dict(sorted(Counter(held.guard for held in self.held).items()))

    def _texts(self) -> Iterator[str]:
        """The plan's one canonical JSON text."""
        for place, name in enumerate(sorted(one.name for one in fields(self))):
            yield f'{"," if place else "{"}"{name}":'
            yield from _texts(getattr(self, name))
        yield "}"

    @cached_property
    def hash(self) -> str:
        """SHA-256 of what would be done and under which rules: what is reviewed, approved and pushed.

        It leaves out when the snapshots were read, so a plan made again from the same facts is the same plan.
        """
        digest = hashlib.sha256(f"[{_TEXT.encode(self.entity)},{_TEXT.encode(self.config_hash)},".encode())
        for text in _texts(self.changes):
            digest.update(text.encode())
        digest.update(b"]")
        return digest.hexdigest()

    def known_as(self, found: str) -> Plan:
        """This plan, whose hash the caller knows from its manifest."""
        vars(self)["hash"] = found
        return self

    def to_bytes(self) -> bytes:
        """The canonical text, compressed without a time stamp so that equal plans are equal bytes."""
        packed = zlib.compressobj(6, wbits=GZIP)
        return b"".join([*(packed.compress(text.encode()) for text in self._texts()), packed.flush()])

    def manifest(self) -> dict[str, Any]:
        """What may be known of the plan without opening it: no keys, no values."""
        return {
            "entity": self.entity,
            "plan_hash": self.hash,
            "as_of": self.as_of,
            "verdicts": self.counts(),
            "held": self.held_by(),
        }

    @classmethod
    def from_bytes(cls, payload: bytes) -> Plan:
        """The plan that `to_bytes` wrote."""
        raw = json.loads(gzip.decompress(payload))
        return cls(
            **{name: raw[name] for name in ("entity", "table", "as_of", "inputs", "config_hash", "source_rows")},
            changes=tuple(_change(item) for item in raw["changes"]),
            verdicts=tuple(_verdict(item) for item in raw["verdicts"]),
            findings=tuple(Finding(**item) for item in raw["findings"]),
            agreed=tuple(Agreed(**item) for item in raw["agreed"]),
            refused=tuple(Refused(**{**item, "keys": tuple(item["keys"])}) for item in raw["refused"]),
            # Plans that were stored before these were known are still read, by `safetyamp explain`.
            only=tuple(raw.get("only", ())),
            mapping_hash=raw.get("mapping_hash", ""),
            revived=tuple(raw.get("revived", ())),
            records=raw.get("records", 0),
            unaccounted=tuple(raw.get("unaccounted", ())),
            oldest=raw.get("oldest", ""),
            held=tuple(_held(item) for item in raw.get("held", ())),
            approved=found if isinstance(found := raw.get("approved"), dict) else {},
            by_two=tuple(raw.get("by_two", ())),
            set_aside=tuple(_held(item) for item in raw.get("set_aside", ())),
            questions=tuple(_question(item) for item in raw.get("questions", ())),
        )


def _change(raw: dict[str, Any]) -> Change:
    return Change(**{**raw, "action": Action(raw["action"]), "fields": _pairs(raw)})


def _pairs(raw: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (before, after) for name, (before, after) in raw["fields"].items()}


def _held(raw: dict[str, Any]) -> Held:
    return Held(**{**raw, "change": _change(raw["change"])})


def _question(raw: dict[str, Any]) -> Question:
    lists = {name: tuple(raw[name]) for name in ("candidates", "choices")}
    return Question(**{**raw, **lists, "fields": _pairs(raw)})


def _verdict(raw: dict[str, Any]) -> Verdict:
    lists = {name: tuple(raw[name]) for name in ("reasons", "notes")}
    return Verdict(**{**raw, **lists, "outcome": Outcome(raw["outcome"])})
