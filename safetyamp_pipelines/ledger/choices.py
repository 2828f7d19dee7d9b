"""Decisions: what people said about single records (`sync/model/remembered.py`), and the links that they made by hand.

One counts until it ends: undone, carried out, replaced by another, or void because what it was about has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Update, insert, select, update

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.approvals import latest_time, withdraw_approvals
from safetyamp_pipelines.ledger.database import Store
from safetyamp_pipelines.ledger.ledger_errors import LinkTaken
from safetyamp_pipelines.ledger.links import put_link
from safetyamp_pipelines.ledger.removal import refuse_open, remove_link
from safetyamp_pipelines.ledger.statements import as_record, newest, put, records, row_at
from safetyamp_pipelines.sync.model.plan import Agreed
from safetyamp_pipelines.sync.model.remembered import Choice, Decision
from safetyamp_pipelines.sync.model.tables import Id

c = t.decisions.c


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
        """Record one choice for some (source key, hash of what it is about); it replaces an earlier one of the record,
        and ends approvals of exactly that.

        Raises ValueError when who decides, who is logged in or the reason is empty.
        """
        with self._writing() as db:
            answers, now = list(answers), latest_time(db, self._clock())
            withdraw_approvals(db, entity, [about for _, about in answers], now)
            return [
                _add(db, _decision(entity, key, choice, who, login, reason, now, about=about, until=until))
                for key, about in answers
            ]

    def link(
        self, entity: str, source_key: str, natural_key: str, target_id: Id, *, who: str, login: str, reason: str
    ) -> Decision:
        """Remember by a person's word which SafetyAmp record it is; an earlier link is forgotten as by `unlink`.

        Raises LinkTaken when another source record has that one, IntentUnsettled while a call for it has no answer.
        """
        with self._writing() as db:
            refuse_open(db, entity, source_key, then="link")
            holder = select(t.links.c.source_key).where(t.links.c.entity == entity, t.links.c.target_id == target_id)
            taken = db.scalar(holder.where(t.links.c.source_key != source_key))
            if taken is not None:
                raise LinkTaken(entity, target_id, taken)
            now = latest_time(db, self._clock())
            known = row_at(db, t.links, entity, source_key, lock=True)
            if known is not None and known["target_id"] != target_id:
                remove_link(db, known, who, reason, now)
            put_link(db, entity, Agreed(source_key, natural_key, target_id, {}), {}, now)
            return _add(db, _decision(entity, source_key, "link", who, login, reason, now, target_id=target_id))

    def decisions(self, entity: str | None = None, source_key: str | None = None) -> list[Decision]:
        """Every decision, newest first, also those that count no more."""
        with self._reading() as db:
            return newest(db, Decision, t.decisions, entity=entity, source_key=source_key)

    def decided(self, entity: str) -> dict[str, Decision]:
        """The decisions of the entity that count now, by what they are about. One that was put off until a time that
        has come never counts again, also when the clock is set back."""
        with self._writing() as db:
            now = latest_time(db, self._clock())
            found = records(Decision, db, select(t.decisions).where(*_open(entity), c.about != ""))
            return {one.about: one for one in found if one.until is None or one.until > now}

    def undo_decision(self, entity: str, source_key: str, who: str) -> Decision | None:
        """End the record's decision that counts; None when there is none. A link goes with it, as by `unlink`."""
        with self._writing() as db:
            query = select(t.decisions).where(*_open(entity), c.source_key == source_key)
            row = db.execute(query.order_by(c.id.desc()).limit(1).with_for_update()).mappings().one_or_none()
            if row is None:
                return None
            link = row_at(db, t.links, entity, source_key, lock=True) if row["choice"] == "link" else None
            now = latest_time(db, self._clock())
            ended = {"ended_at": now, "ended": f"undone by {who}"}
            put(db, t.decisions, [row["id"]], ended, known=True)
            if link is not None and link["target_id"] == row["target_id"]:
                refuse_open(db, entity, source_key, then="undo")
                remove_link(db, link, who, "undone", now)
            return as_record(Decision, {**row, **ended})

    def end_decisions(self, entity: str, carried_out: Set[str], asked: Set[str] | None, before: datetime) -> None:
        """After a push: end those that it `carried_out`, by what they are about; and, unless the plan could not see
        everything (None), those given `before` it that are about nothing that is still `asked`."""
        with self._writing() as db:
            now = latest_time(db, self._clock())
            given = (*_open(entity), c.about != "")
            done = c.about.in_(list(carried_out))
            db.execute(_ended(now, "carried out").where(*given, done))
            if asked is not None:
                void = (c.about.not_in(list(asked)), c.at < before)
                db.execute(_ended(now, "what it was about has changed").where(*given, *void))


def _open(entity: str) -> tuple[ColumnElement[bool], ...]:
    return c.entity == entity, c.ended_at.is_(None)


def _ended(now: datetime, why: str) -> Update:
    return update(t.decisions).values(ended_at=now, ended=why)


def _decision(
    entity: str,
    source_key: str,
    choice: Choice,
    who: str,
    login: str,
    reason: str,
    now: datetime,
    *,
    about: str = "",
    target_id: Id | None = None,
    until: datetime | None = None,
) -> Decision:
    if not (who.strip() and login.strip() and reason.strip()):
        raise ValueError("a decision names who takes it, who is logged in, and why")
    return Decision(
        entity=entity,
        source_key=source_key,
        choice=choice,
        about=about,
        target_id=target_id,
        who=who,
        login=login,
        reason=reason,
        at=now,
        until=until,
        ended_at=None,
        ended="",
    )


def _add(db: Connection, new: Decision) -> Decision:
    own = (*_open(new.entity), c.source_key == new.source_key)
    replaced = _ended(new.at, "replaced by another").where(*own)
    # What is said of a record's values leaves it linked.
    db.execute(replaced if new.choice == "link" else replaced.where(c.choice != "link"))
    db.execute(insert(t.decisions).values(**vars(new)))
    return new
