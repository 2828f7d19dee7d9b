"""What the ledger remembers of earlier pushes: the shapes that planner, push and ledger share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from safetyamp_pipelines.sync.model.plan import Action, Change
from safetyamp_pipelines.sync.model.snapshot import canonical_json
from safetyamp_pipelines.sync.model.tables import Id

FailureState = Literal["open", "dismissed", "retry"]
Choice = Literal["source", "keep", "link", "leave", "refuse", "later"]
"""What people decide: take the source's values, keep SafetyAmp's, link the record, leave it alone; of a change that a
guard holds: not to push it, or not to be asked before a date."""


@dataclass(frozen=True, kw_only=True)
class Intent(Change):
    """A change that was put on the disk at `intended_at`, before its call."""

    id: int
    intended_at: datetime


@dataclass(frozen=True, kw_only=True)
class Link:
    """The remembered pair source record ↔ SafetyAmp id.

    `pushed` holds by field what SafetyAmp had after we last wrote it or agreed with it; `not_taken` maps a field that
    SafetyAmp did not take to the hash of the value it was offered.
    """

    source_key: str
    natural_key: str
    target_id: Id
    pushed: Mapping[str, Any]
    not_taken: Mapping[str, str]
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A change SafetyAmp refused; not tried again while `payload_hash` and everything in `cause` stay the same.

    `fields` maps each offending field to its keyed `hash`, `category` and `suggestion`; `cause` says what beyond its
    own fields the refusal hung on, such as the record that holds the unique value.
    """

    source_key: str
    action: Action
    payload_hash: str
    fields: Mapping[str, Mapping[str, Any]]
    cause: Mapping[str, Any]
    http_status: int | None
    first_seen: datetime
    last_seen: datetime
    attempts: int
    expires_at: datetime
    state: FailureState


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a person decided about one record: `who` asked for it, logged in as `login`. `about` is the hash of the
    question, or of the held change, that it answers: it counts for no other. `ended` says why it counts no more."""

    entity: str
    source_key: str
    choice: Choice
    about: str
    target_id: Id | None
    who: str
    login: str
    reason: str
    at: datetime
    until: datetime | None
    ended_at: datetime | None
    ended: str

    def __str__(self) -> str:
        return f"as {self.who} decided: {self.reason}"


@dataclass(frozen=True)
class Memory:
    """What the ledger remembers of one entity, by source key. Only failures that still stand are listed.

    `source_rows` are the rows each source had when this entity was last pushed. `is_loaded` says whether a whole plan
    was ever pushed to its end: single records tried before that are not a first load, and one cut short goes on.
    `keyed_hash` is how the ledger hashed the values of refused fields. `foreign` are rows of the entity's table that
    are linked to records of another entity which writes it too. `approved` are the hashes of changes that people
    approved and that still stand: guards hold the others. With None a plan is approved as a whole, and holds none.
    `approved_twice` are those that two people approved.
    `decisions` are those that still count, by what they are about. `swings` maps a record's field to the pairs of
    values between which it was written to and fro.
    """

    links: Mapping[str, Link] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    source_rows: Mapping[str, int] = field(default_factory=dict)
    is_loaded: bool = True
    keyed_hash: Callable[[Any], str] = canonical_json
    foreign: frozenset[Id] = frozenset()
    approved: frozenset[str] | None = None
    approved_twice: frozenset[str] = frozenset()
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    swings: Mapping[str, Mapping[str, frozenset[frozenset[str]]]] = field(default_factory=dict)
