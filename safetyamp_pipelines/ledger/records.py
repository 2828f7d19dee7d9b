"""What the ledger gives and takes: frozen records of plain values, no database objects. Times are UTC, aware.

Changes, links and failures have the shapes of `sync/model/`, which planner and push use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from safetyamp_pipelines.sync.model.remembered import Intent
from safetyamp_pipelines.sync.model.tables import Id

SessionStatus = Literal["running", "done", "paused", "stopped", "failed", "abandoned"]
"""`paused`: a pause or a freeze ended it. `abandoned`: its process died; another push found it and declared it over."""
ChangeStatus = Literal["done", "failed", "blocked", "stale", "not_attempted"]


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
class LoggedChange(Intent):
    """An intent and what became of it. `status` is None as long as no answer is known."""

    entity: str
    session_id: int
    run_id: str
    answered_at: datetime | None
    status: ChangeStatus | None
    http_status: int | None
    error: Any
    rule: str | None


@dataclass(frozen=True, kw_only=True)
class Unlinked:
    """A wrong pair that a person had forgotten: who, why and when."""

    entity: str
    source_key: str
    target_id: Id
    natural_key: str
    who: str
    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to push until `expires_at`. `token` grows with every acquisition of `name`.

    `dead_holder` never gave the lease back: its process died, or stood still for too long.
    """

    name: str
    holder: str
    token: int
    since: datetime
    expires_at: datetime
    ttl_seconds: float
    dead_holder: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Who paused syncing, why and when, and who ended it. `resumed_at` is None while it lasts."""

    who: str
    reason: str
    at: datetime
    resumed_by: str | None
    resumed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class _Permission:
    """A person's permission to push something of the entity until `expires_at`: `who` asked for it, logged in as
    `login`. `used_at` is when it was pushed."""

    entity: str
    who: str
    login: str
    reason: str
    at: datetime
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Approval(_Permission):
    """Of one plan that a guard refused."""

    plan_hash: str


@dataclass(frozen=True, kw_only=True)
class ChangeApproval(_Permission):
    """Of one change that a guard holds."""

    source_key: str
    change_hash: str
    guard: str


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
