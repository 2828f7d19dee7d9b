"""Forgetting a person: their values leave the ledger; what was counted, when, and how it ended stays."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session as Transaction

from safetyamp_pipelines.ledger.database import erase_freed, translated
from safetyamp_pipelines.ledger.failures import forget_hashes
from safetyamp_pipelines.ledger.records import Forgotten
from safetyamp_pipelines.ledger.schema import ChangeRow, FailureRow, LinkRow, VerdictRow
from safetyamp_pipelines.ledger.transactions import Store
from safetyamp_pipelines.ledger.unsettled import refuse_open


class Forgetting(Store):
    """Empty everything the ledger holds of one source record."""

    def forget(self, entity: str, source_key: str) -> Forgotten:
        """Remove every value of the record. The link stays, without values: else a second account could be made.

        What is kept are keys, statuses, rules, counts and times. A record that is still in its source is synced on,
        and its values come back. Raises IntentUnsettled while a call has no answer: its values are needed to find out.
        """
        with self._writing() as db:
            refuse_open(db, entity, source_key, then="forget")
            forgotten = Forgotten(
                changes=empty_changes(db, entity, source_key),
                links=empty_link(db, entity, source_key),
                failures=empty_failure(db, entity, source_key),
                verdicts=empty_verdicts(db, entity, source_key),
            )
        with translated(self._engine):
            erase_freed(self._engine)
        return forgotten


def empty_changes(db: Transaction, entity: str, source_key: str) -> int:
    """The payload's hash goes, too: it has no key, and values can be found by hashing guesses."""
    of_record = update(ChangeRow).where(ChangeRow.entity == entity, ChangeRow.source_key == source_key)
    # An intent that a push writes at this very moment keeps its values until it has its answer.
    emptied = of_record.where(ChangeRow.status.is_not(None)).values(
        payload={}, payload_hash="", expected={}, error=None, answer=None
    )
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
