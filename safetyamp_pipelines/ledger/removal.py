"""What people have the ledger forget: a person's values, and a wrong link. Counts, times and statuses stay."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as Transaction

from safetyamp_pipelines.ledger.database import Store, erase_freed, mark_freed, translated
from safetyamp_pipelines.ledger.failures import forget_hashes
from safetyamp_pipelines.ledger.ledger_errors import IntentUnsettled
from safetyamp_pipelines.ledger.records import Forgotten, Unlinked
from safetyamp_pipelines.ledger.schema import (
    ChangeRow,
    DecisionRow,
    FailureRow,
    LinkRow,
    LookRow,
    UnlinkRow,
    VerdictRow,
    as_record,
)


class Removal(Store):
    """Empty everything the ledger holds of one source record, or forget its link."""

    def forget(self, entity: str, source_key: str) -> Forgotten:
        """Remove every value of the record. The link stays, without values: else a second account could be made.

        What is kept are keys, statuses, rules, counts and times. A record that is still in its source is synced on,
        and its values come back. Raises IntentUnsettled while a call has no answer: its values are needed to find out.
        """
        with self._writing() as db:
            refuse_open(db, entity, source_key, then="forget")
            looks = update(LookRow).where(LookRow.entity == entity, LookRow.source_key == source_key)
            db.execute(looks.values(source_key=""))  # who looked, and when, stays
            decided = update(DecisionRow).where(DecisionRow.entity == entity, DecisionRow.source_key == source_key)
            db.execute(decided.values(about=""))  # its hash has no key
            forgotten = Forgotten(
                changes=empty_changes(db, entity, source_key),
                links=empty_link(db, entity, source_key),
                failures=empty_failure(db, entity, source_key),
                verdicts=empty_verdicts(db, entity, source_key),
            )
            mark_freed(db.connection())
        return forgotten

    def erase_freed(self) -> bool:
        """Have no file hold what was forgotten; False while another process stands in the way. Then whoever opens the
        ledger next ends it."""
        with translated(self._engine):
            return erase_freed(self._engine)

    def unlink(self, entity: str, source_key: str, who: str, reason: str) -> Unlinked | None:
        """Forget a wrong pair, and record that; None when there was none. The next plan recognises the record anew.

        Raises IntentUnsettled while a call for the record has no answer: settling it would bring the pair back.
        """
        with self._writing() as db:
            refuse_open(db, entity, source_key, then="unlink")
            row = db.get(LinkRow, (entity, source_key), with_for_update=True)
            if row is None:
                return None
            now = self._clock()
            by_hand = (DecisionRow.entity == entity, DecisionRow.source_key == source_key, DecisionRow.choice == "link")
            ended = update(DecisionRow).where(*by_hand, DecisionRow.ended_at.is_(None))
            db.execute(ended.values(ended_at=now, ended=f"unlinked by {who}"))
            return as_record(Unlinked, remove_link(db, row, who, reason, now))

    def unlinked(self, entity: str | None = None) -> list[Unlinked]:
        """Every pair that people had forgotten, newest first."""
        query = select(UnlinkRow).order_by(UnlinkRow.id.desc())
        if entity is not None:
            query = query.where(UnlinkRow.entity == entity)
        with self._reading() as db:
            return [as_record(Unlinked, row) for row in db.scalars(query)]


def remove_link(db: Transaction, row: LinkRow, who: str, reason: str, now: datetime) -> UnlinkRow:
    """Forget the pair, and note who had that done."""
    kept = {"target_id": row.target_id, "natural_key": row.natural_key, "who": who, "reason": reason}
    noted = UnlinkRow(entity=row.entity, source_key=row.source_key, at=now, **kept)
    db.add(noted)
    db.delete(row)
    db.flush()
    return noted


def refuse_open(db: Transaction, entity: str, source_key: str, *, then: str) -> None:
    """IntentUnsettled when a call for the record has no answer; `then` is what is to be done afterwards."""
    query = select(func.count()).where(ChangeRow.entity == entity, ChangeRow.source_key == source_key)
    if db.scalar(query.where(ChangeRow.status.is_(None))):
        raise IntentUnsettled(entity, source_key, then)


def empty_changes(db: Transaction, entity: str, source_key: str) -> int:
    """The payload's hash goes, too: it has no key, and values can be found by hashing guesses."""
    of_record = update(ChangeRow).where(ChangeRow.entity == entity, ChangeRow.source_key == source_key)
    # An intent that a push writes at this very moment keeps its values until it has its answer.
    emptied = of_record.where(ChangeRow.status.is_not(None)).values(fields={}, payload_hash="", error=None, answer=None)
    return len(db.execute(emptied.returning(ChangeRow.id)).all())


def empty_link(db: Transaction, entity: str, source_key: str) -> int:
    """The pair of keys stays; `not_taken` goes, because its hashes have no key."""
    query = update(LinkRow).where(LinkRow.entity == entity, LinkRow.source_key == source_key)
    return len(db.execute(query.values(pushed={}, not_taken={}).returning(LinkRow.source_key)).all())


def empty_failure(db: Transaction, entity: str, source_key: str) -> int:
    """Which fields were refused and why stays. Without hashes every cause counts as changed."""
    row = db.get(FailureRow, (entity, source_key), with_for_update=True)
    if row is None:
        return 0
    row.fields = {name: {**facts, "suggestion": ""} for name, facts in row.fields.items()}
    forget_hashes(row)
    return 1


def empty_verdicts(db: Transaction, entity: str, source_key: str) -> int:
    """Reasons and notes hold no values by promise; they go all the same, since they tell of the person's record."""
    query = update(VerdictRow).where(VerdictRow.entity == entity, VerdictRow.source_key == source_key)
    return len(db.execute(query.values(reasons=[], notes=[]).returning(VerdictRow.id)).all())
