"""A ledger of plain dictionaries with the manners of the real one, a hundred times as fast. A test plays the same
stories with both and compares.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from safetyamp_pipelines.ledger import ChangeApproval, IntentOpen, LoggedChange, Session
from safetyamp_pipelines.ledger.database import Clock
from safetyamp_pipelines.sync.model.plan import Agreed, Change
from safetyamp_pipelines.sync.model.remembered import Failure, Link
from safetyamp_pipelines.sync.model.snapshot import canonical_json
from safetyamp_pipelines.sync.pushing.refusals import Explained

Key = tuple[str, str]


@dataclass
class Notebook:
    """What pushes and planners ask of a ledger. Entries are whole when a process dies: each method is one of them."""

    clock: Clock
    all_changes: list[LoggedChange] = field(default_factory=list)
    all_links: dict[Key, Link] = field(default_factory=dict)
    all_failures: dict[Key, Failure] = field(default_factory=dict)
    all_sessions: list[Session] = field(default_factory=list)
    observations: dict[str, int] = field(default_factory=dict)
    not_taken_until: dict[tuple[str, str, str], datetime | None] = field(default_factory=dict)
    all_approvals: list[ChangeApproval] = field(default_factory=list)
    latest: datetime | None = None

    def rows(self) -> dict[str, Any]:
        """Everything it holds."""
        return {
            "changes": self.all_changes,
            "links": self.all_links,
            "failures": self.all_failures,
            "sessions": self.all_sessions,
            "observations": self.observations,
            "approvals": self.all_approvals,
        }

    # sessions

    def start_session(self, run_id: str, entity: str, plan_hash: str, planned: Mapping[str, int]) -> int:
        session = Session(
            id=len(self.all_sessions) + 1,
            run_id=run_id,
            entity=entity,
            plan_hash=plan_hash,
            planned=dict(planned),
            status="running",
            started_at=self.clock(),
            ended_at=None,
            counts=None,
            calls=None,
        )
        self.all_sessions.append(session)
        return session.id

    def end_session(self, session_id: int, status: Any, counts: Mapping[str, int], calls: int) -> None:
        session = self.all_sessions[session_id - 1]
        assert session.status == "running", "ended twice"
        ended = replace(session, status=status, counts=dict(counts), calls=calls, ended_at=self.clock())
        self.all_sessions[session_id - 1] = ended

    def open_session(self, entity: str) -> Session | None:
        return next((s for s in reversed(self.all_sessions) if s.entity == entity and s.status == "running"), None)

    def was_pushed_whole(self, entity: str) -> bool:
        return any(s.entity == entity and s.is_whole and s.status == "done" for s in self.all_sessions)

    # changes

    def intend(self, session_id: int, change: Change, approval: str | None = None) -> int:
        entity = self.all_sessions[session_id - 1].entity
        if change.action == "create" and any(
            other.action == "create" and other.source_key == change.source_key for other in self.open_intents(entity)
        ):
            raise IntentOpen(entity, change.source_key)
        for place, one in enumerate(self.all_approvals):
            if (one.entity, one.source_key, one.change_hash, one.used_at) == (
                entity,
                change.source_key,
                approval,
                None,
            ):
                self.all_approvals[place] = replace(one, used_at=self.clock())
        return self._add(session_id, change, None, None)

    def note_unsent(self, session_id: int, changes: Iterable[Change], status: str, rule: str) -> None:
        for change in changes:
            self._add(session_id, change, str(status), rule)

    def _add(self, session_id: int, change: Change, status: Any, rule: str | None) -> int:
        now, number = self.clock(), len(self.all_changes) + 1
        session = self.all_sessions[session_id - 1]
        fields = {name: tuple(pair) for name, pair in _stored(dict(change.fields)).items()}
        self.all_changes.append(
            LoggedChange(
                **{**vars(change), "fields": fields},
                id=number,
                entity=session.entity,
                session_id=session_id,
                run_id=session.run_id,
                intended_at=now,
                answered_at=now if status else None,
                status=status,
                http_status=None,
                error=None,
                rule=rule,
            )
        )
        return number

    def answer(
        self,
        change_id: int,
        status: Any,
        *,
        target_id: Any = None,
        pushed: Mapping[str, Any] | None = None,
        not_taken: Mapping[str, str | None] | None = None,
        not_taken_for: timedelta | None = None,
        declared: Set[str] = frozenset(),
        **told: Any,
    ) -> None:
        before = self.all_changes[change_id - 1]
        assert before.status is None, "answered twice"
        target_id = before.target_id if target_id is None else target_id
        change = replace(before, status=status, answered_at=self.clock(), target_id=target_id, **told)
        self.all_changes[change_id - 1] = change
        for place, one in enumerate(self.all_approvals):
            used_for = (one.entity, one.source_key, one.used_at)
            if status == "failed" and used_for == (change.entity, change.source_key, change.intended_at):
                self.all_approvals[place] = replace(one, used_at=None)
        if pushed is not None:
            assert target_id is not None
            until = None if not_taken_for is None else self.clock() + not_taken_for
            pair = (change.entity, change.source_key, change.natural_key, target_id)
            self._link(*pair, pushed, not_taken or {}, until)
            failed = self.all_failures.get((change.entity, change.source_key))
            if failed is None:
                return
            if not failed.fields or not failed.fields.keys() <= declared or failed.fields.keys() & pushed:
                del self.all_failures[change.entity, change.source_key]

    def open_intents(self, entity: str) -> list[LoggedChange]:
        return [change for change in self.all_changes if change.entity == entity and change.status is None]

    def has_written_since(self, entity: str, moment: datetime) -> bool:
        return any(
            change.entity == entity
            and change.status == "done"
            and change.answered_at is not None
            and change.answered_at >= moment
            for change in self.all_changes
        )

    # links

    def links(self, entity: str) -> dict[str, Link]:
        return {
            key: self._as_it_stands(entity, link) for (owner, key), link in self.all_links.items() if owner == entity
        }

    def linked_ids(self, entity: str) -> frozenset[Any]:
        return frozenset(link.target_id for (owner, _), link in self.all_links.items() if owner == entity)

    def _as_it_stands(self, entity: str, link: Link) -> Link:
        now, ends = self.clock(), self.not_taken_until
        stands = {
            name: told
            for name, told in link.not_taken.items()
            if (end := ends.get((entity, link.source_key, name))) is None or end > now
        }
        return replace(link, not_taken=stands)

    def save_links(self, entity: str, agreed: Iterable[Agreed]) -> None:
        for pair in agreed:
            taken = dict.fromkeys(pair.values)
            self._link(entity, pair.source_key, pair.natural_key, pair.target_id, pair.values, taken)
            failed = self.all_failures.get((entity, pair.source_key))
            if failed is not None and failed.fields and failed.fields.keys() <= pair.values.keys():
                del self.all_failures[entity, pair.source_key]

    def _link(
        self,
        entity: str,
        source_key: str,
        natural_key: str,
        target_id: Any,
        pushed: Mapping[str, Any],
        not_taken: Mapping[str, str | None],
        until: datetime | None = None,
    ) -> None:
        for key, other in list(self.all_links.items()):
            if key[0] == entity and key[1] != source_key and other.target_id == target_id:
                del self.all_links[key]
        known = self.all_links.get((entity, source_key))
        if known is None or known.target_id != target_id:
            known = Link(
                source_key=source_key,
                target_id=target_id,
                natural_key=natural_key,
                pushed={},
                not_taken={},
                updated_at=self.clock(),
            )
        self.not_taken_until |= {(entity, source_key, name): until for name in not_taken}
        refused = {name: told for name, told in {**known.not_taken, **not_taken}.items() if told is not None}
        self.all_links[entity, source_key] = replace(
            known,
            natural_key=natural_key,
            pushed={**known.pushed, **_stored(pushed)},
            not_taken=refused,
            updated_at=self.clock(),
        )

    # failures

    def failures(self, entity: str, *, now: datetime | None = None) -> dict[str, Failure]:
        at = now or self.clock()
        return {
            key: failure
            for (owner, key), failure in self.all_failures.items()
            if owner == entity and (failure.expires_at > at or failure.state == "dismissed")
        }

    def save_failure(
        self, entity: str, change: Change, explained: Explained, *, http_status: int | None, expires_after: timedelta
    ) -> None:
        now, known = self.clock(), self.all_failures.get((entity, change.source_key))
        self.all_failures[entity, change.source_key] = Failure(
            source_key=change.source_key,
            action=change.action,
            payload_hash=change.payload_hash,
            fields={
                name: {
                    "hash": self.keyed_hash(change.after().get(name)),
                    "category": str(offence.category),
                    "suggestion": offence.suggestion,
                }
                for name, offence in explained.offences.items()
            },
            http_status=http_status,
            first_seen=known.first_seen if known else now,
            last_seen=now,
            attempts=known.attempts + 1 if known else 1,
            expires_at=now + expires_after,
            state="open",
            cause=_stored(explained.cause),
        )

    def revive_failures(self, entity: str, source_keys: Iterable[str]) -> None:
        for key in source_keys:
            if (known := self.all_failures.get((entity, key))) is not None:
                fields = {name: {**facts, "hash": ""} for name, facts in known.fields.items()}
                self.all_failures[entity, key] = replace(known, payload_hash="", cause={}, fields=fields)

    def keyed_hash(self, value: Any) -> str:
        """Readable here, where nobody is to be protected."""
        return f"hash of {canonical_json(value)}"

    # what guards ask

    def record_observation(self, table: str, rows: int, _at: datetime) -> None:
        self.observations[table] = rows

    def previous_rows_of(self, tables: Iterable[str]) -> dict[str, int]:
        return {table: self.observations[table] for table in tables if table in self.observations}

    # approvals

    def _latest(self) -> datetime:
        self.latest = max(self.latest or self.clock(), self.clock())
        return self.latest

    def approve_changes(
        self, entity: str, changes: Iterable[tuple[str, str]], *, lasts: timedelta, **told: str
    ) -> list[ChangeApproval]:
        now = self._latest()
        given = [
            ChangeApproval(
                entity=entity, source_key=key, change_hash=one, at=now, expires_at=now + lasts, used_at=None, **told
            )
            for key, one in changes
        ]
        self.all_approvals += given
        return given

    def approved(self, entity: str, logins: int = 1) -> frozenset[str]:
        return frozenset(found for found, who in self.approvers(entity).items() if len(who) >= logins)

    def approvers(self, entity: str) -> dict[str, set[str]]:
        now, given = self._latest(), defaultdict[str, set[str]](set)
        for one in self.all_approvals:
            is_open = any(
                (c.source_key, c.intended_at) == (one.source_key, one.used_at) for c in self.open_intents(entity)
            )
            if one.entity == entity and (one.used_at is None or is_open) and one.expires_at > now:
                given[one.change_hash].add(one.login)
        return dict(given)

    def decided(self, _entity: str) -> dict[str, Any]:
        """Nobody decides about single records in these worlds."""
        return {}


class Notebooks:
    """Gives out one notebook at a time, as `ledgers.Ledgers` does."""

    def __init__(self, kind: type[Notebook] = Notebook) -> None:
        self._kind = kind

    def fresh(self, clock: Clock) -> Notebook:
        """An empty notebook; the one given out before is gone."""
        self._notebook = self._kind(clock)
        return self._notebook

    def again(self, _clock: Clock) -> Notebook:
        """The same as the next process opens it."""
        return self._notebook

    def rows(self) -> dict[str, Any]:
        """Everything it holds."""
        return self._notebook.rows()


def _stored(value: Any) -> Any:
    """As it comes back from a JSON column."""
    return json.loads(canonical_json(value))
