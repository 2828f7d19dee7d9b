"""Decisions: what people said about single records (`sync/model/remembered.py`), and the links that they made by hand.

One counts until it ends: undone, carried out, replaced by another, or void because what it was about has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from datetime import datetime

from sqlalchemy import ColumnElement, Update, select, update
from sqlalchemy.orm import Session as Transaction

from safetyamp_pipelines.ledger.approvals import latest_time
from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.ledger_errors import LinkTaken
from safetyamp_pipelines.ledger.links import put_link
from safetyamp_pipelines.ledger.removal import refuse_open, remove_link
from safetyamp_pipelines.ledger.schema import DecisionRow, LinkRow, as_record
from safetyamp_pipelines.sync.model.plan import Agreed
from safetyamp_pipelines.sync.model.remembered import Choice, Decision
from safetyamp_pipelines.sync.model.tables import Id


class Decisions(Store):
    """Record, list and end decisions."""

    def decide(
        self,
        entity: str,
        answers: Iterable[tuple[str, str]],
        choice: Choice,
        *,
        who: str,
        login: str,
        reason: str,
        until: datetime | None = None,
    ) -> list[Decision]:
        """Record one choice for some (source key, hash of what it is about); it replaces an earlier one of the record.

        Raises ValueError when who decides, who is logged in or the reason is empty.
        """
        with self._writing() as db:
            rows = [_row(entity, key, choice, who, login, reason, about=about, until=until) for key, about in answers]
            _add(db, rows, latest_time(db, self._clock()))
            return [as_record(Decision, row) for row in rows]

    def link(
        self, entity: str, source_key: str, natural_key: str, target_id: Id, *, who: str, login: str, reason: str
    ) -> Decision:
        """Remember by a person's word which SafetyAmp record it is; an earlier link is forgotten as by `unlink`.

        Raises LinkTaken when another source record has that one, IntentUnsettled while a call for it has no answer.
        """
        with self._writing() as db:
            refuse_open(db, entity, source_key, then="link")
            holder = select(LinkRow).where(LinkRow.entity == entity, LinkRow.target_id == target_id)
            taken = db.scalars(holder.where(LinkRow.source_key != source_key)).one_or_none()
            if taken is not None:
                raise LinkTaken(entity, target_id, taken.source_key)
            now = latest_time(db, self._clock())
            known = db.get(LinkRow, (entity, source_key), with_for_update=True)
            if known is not None and known.target_id != target_id:
                remove_link(db, known, who, reason, now)
            put_link(db, entity, Agreed(source_key, natural_key, target_id, {}), {}, now)
            row = _row(entity, source_key, "link", who, login, reason, target_id=target_id)
            _add(db, [row], now)
            return as_record(Decision, row)

    def decisions(self, entity: str | None = None, source_key: str | None = None) -> list[Decision]:
        """Every decision, newest first, also those that count no more."""
        query = select(DecisionRow).order_by(DecisionRow.id.desc())
        if entity is not None:
            query = query.where(DecisionRow.entity == entity)
        if source_key is not None:
            query = query.where(DecisionRow.source_key == source_key)
        with self._reading() as db:
            return [as_record(Decision, row) for row in db.scalars(query)]

    def decided(self, entity: str) -> dict[str, Decision]:
        """The decisions of the entity that count now, by what they are about. One that was put off until a time that
        has come never counts again, also when the clock is set back."""
        with self._writing() as db:
            now = latest_time(db, self._clock())
            rows = db.scalars(select(DecisionRow).where(*_open(entity), DecisionRow.about != ""))
            found = {row.about: as_record(Decision, row) for row in rows}
            return {about: one for about, one in found.items() if one.until is None or one.until > now}

    def undo_decision(self, entity: str, source_key: str, who: str) -> Decision | None:
        """End the record's decision that counts; None when there is none. A link goes with it, as by `unlink`."""
        with self._writing() as db:
            query = select(DecisionRow).where(*_open(entity), DecisionRow.source_key == source_key)
            row = db.scalars(query.order_by(DecisionRow.id.desc()).limit(1).with_for_update()).one_or_none()
            if row is None:
                return None
            link = db.get(LinkRow, (entity, source_key), with_for_update=True) if row.choice == "link" else None
            row.ended_at, row.ended = latest_time(db, self._clock()), f"undone by {who}"
            if link is not None and link.target_id == row.target_id:
                refuse_open(db, entity, source_key, then="undo")
                remove_link(db, link, who, "undone", row.ended_at)
            return as_record(Decision, row)

    def end_decisions(self, entity: str, carried_out: Set[str], asked: Set[str] | None, before: datetime) -> None:
        """After a push: end those that it `carried_out`, by what they are about; and, unless the plan could not see
        everything (None), those given `before` it that are about nothing that is still `asked`."""
        with self._writing() as db:
            now = latest_time(db, self._clock())
            given = (*_open(entity), DecisionRow.about != "")
            done = DecisionRow.about.in_(list(carried_out))
            db.execute(_ended(now, "carried out").where(*given, done))
            if asked is not None:
                void = (DecisionRow.about.not_in(list(asked)), DecisionRow.at < before)
                db.execute(_ended(now, "what it was about has changed").where(*given, *void))


def _open(entity: str) -> tuple[ColumnElement[bool], ...]:
    return DecisionRow.entity == entity, DecisionRow.ended_at.is_(None)


def _ended(now: datetime, why: str) -> Update:
    return update(DecisionRow).values(ended_at=now, ended=why)


def _row(
    entity: str,
    source_key: str,
    choice: Choice,
    who: str,
    login: str,
    reason: str,
    *,
    about: str = "",
    target_id: Id | None = None,
    until: datetime | None = None,
) -> DecisionRow:
    if not (who.strip() and login.strip() and reason.strip()):
        raise ValueError("a decision names who takes it, who is logged in, and why")
    said = {"who": who, "login": login, "reason": reason, "until": until}
    return DecisionRow(
        entity=entity, source_key=source_key, choice=choice, about=about, target_id=target_id, ended="", **said
    )


def _add(db: Transaction, rows: list[DecisionRow], now: datetime) -> None:
    for row in rows:
        own = (*_open(row.entity), DecisionRow.source_key == row.source_key)
        replaced = _ended(now, "replaced by another").where(*own)
        # What is said of a record's values leaves it linked.
        db.execute(replaced if row.choice == "link" else replaced.where(DecisionRow.choice != "link"))
        row.at = now
    db.add_all(rows)
    db.flush()
