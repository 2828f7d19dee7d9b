"""What the ledger gives and takes: frozen records of plain values, no database objects. Times are UTC, aware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Action = Literal["create", "update", "deactivate", "reactivate", "link"]
SessionStatus = Literal["running", "done", "stopped", "failed", "abandoned"]
"""`abandoned`: its process died; another push found it and declared it over."""
ChangeStatus = Literal["done", "failed", "blocked", "stale", "not_attempted"]
Unsent = Literal["blocked", "stale", "not_attempted"]
"""The outcomes of a change for which no call was made."""
FailureState = Literal["open", "dismissed", "retry"]
TargetId = str | int
"""A SafetyAmp id in its own type: numbers for most tables, text for users, where "12345" is a user and 12345 is not."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One push of one entity in one run. `planned` and `counts` map actions or statuses to numbers of records.

    `is_whole` says whether it carried out a whole plan, not some of its keys; `undoes` is the session it took back.
    """

    id: int
    run_id: str
    entity: str
    plan_hash: str
    planned: Mapping[str, int]
    status: SessionStatus
    started_at: datetime
    ended_at: datetime | None
    counts: Mapping[str, int] | None
    calls: int | None
    is_whole: bool = True
    undoes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One write about to be sent: what, for which record, and what the plan believed SafetyAmp says before it.

    `natural_key` is how the record is found again in SafetyAmp when the answer is lost. `expected` holds the
    observed values of the fields the payload touches. `target_id` is None for a create.
    """

    entity: str
    source_key: str
    natural_key: str
    action: Action
    payload_hash: str
    payload: Mapping[str, Any]
    expected: Mapping[str, Any]
    target_id: TargetId | None = None
    wave: int = 0


@dataclass(frozen=True, kw_only=True)
class Change(Intent):
    """An intent and what became of it. `status` is None as long as no answer is known."""

    id: int
    session_id: int
    run_id: str
    intended_at: datetime
    answered_at: datetime | None
    status: ChangeStatus | None
    http_status: int | None
    error: Any
    rule: str | None
    answer: Any


@dataclass(frozen=True, kw_only=True)
class Link:
    """The remembered pair source record and SafetyAmp id.

    `pushed` holds the last value pushed of each field, in the names and shapes the caller gave; `not_taken` maps a
    field SafetyAmp did not take to the hash of the value it was offered.
    """

    source_key: str
    target_id: TargetId
    natural_key: str
    pushed: Mapping[str, Any]
    not_taken: Mapping[str, str]
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Unlinked:
    """A wrong pair that a person had forgotten: who, why and when."""

    entity: str
    source_key: str
    target_id: TargetId
    natural_key: str
    who: str
    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A record SafetyAmp refused. `fields` maps a field to its `hash` (keyed), `category` and `suggestion`.

    `cause` says what beyond its own fields the refusal hung on, such as the record that holds the unique value.
    """

    source_key: str
    action: Action
    payload_hash: str
    fields: Mapping[str, Mapping[str, Any]]
    http_status: int | None
    first_seen: datetime
    last_seen: datetime
    attempts: int
    expires_at: datetime
    state: FailureState
    cause: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to push until `expires_at`. `token` grows with every acquisition of `name`."""

    name: str
    holder: str
    token: int
    since: datetime
    expires_at: datetime
    ttl_seconds: float


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Who paused syncing, why and when, and who ended it. `resumed_at` is None while it lasts."""

    who: str
    reason: str
    at: datetime
    resumed_by: str | None
    resumed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A person's leave to push one plan although a guard refused it, until `expires_at`."""

    plan_hash: str
    entity: str
    who: str
    reason: str
    at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """A run that gave verdicts to an entity's source records. `counts` maps outcomes to numbers of records."""

    run_id: str
    at: datetime
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class LoggedVerdict:
    """What became of a source record in one run, and since which run's time that stands.

    `outcome` is None when the record was there in an earlier run and was not in this one.
    """

    run_id: str
    at: datetime
    outcome: str | None
    rule: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """How many rows of each kind were emptied of a record's values. The rows, their statuses and times stay."""

    changes: int
    links: int
    failures: int
    verdicts: int
