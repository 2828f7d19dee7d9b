"""What people have the ledger forget: a person's values, and a wrong link. Counts, times and statuses stay."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from safetyamp_pipelines.ledger import schema as t
from safetyamp_pipelines.ledger.database import Store, erase_freed, mark_freed, translated
from safetyamp_pipelines.ledger.failures import without_hashes
from safetyamp_pipelines.ledger.ledger_errors import IntentUnsettled
from safetyamp_pipelines.ledger.records import Forgotten, Unlinked
from safetyamp_pipelines.ledger.statements import newest, of_key, put, row_at


class Removal(Store):
    """Empty everything the ledger holds of one source record, or forget its link."""

    def forget(self, entity: str, source_key: str) -> Forgotten:
        """Remove every value of the record. The link stays, without values: else a second account could be made.

        What is kept are keys, statuses, rules, counts and times. A record that is still in its source is synced on,
        and its values come back. Raises IntentUnsettled while a call has no answer: its values are needed to find out.
        """
        with self._writing() as db:
            refuse_open(db, entity, source_key, then="forget")
            looks = update(t.looks).where(t.looks.c.entity == entity, t.looks.c.source_key == source_key)
            db.execute(looks.values(source_key=""))  # who looked, and when, stays
            # Hashes of what people decided about have no key.
            for table, column in ((t.decisions, "about"), (t.change_approvals, "change_hash")):
                decided = update(table).where(table.c.entity == entity, table.c.source_key == source_key)
                db.execute(decided.values({column: ""}))
            forgotten = Forgotten(
                changes=empty_changes(db, entity, source_key),
                links=empty_link(db, entity, source_key),
                failures=empty_failure(db, entity, source_key),
                verdicts=empty_verdicts(db, entity, source_key),
            )
            mark_freed(db)
        return forgotten

    def erase_freed(self) -> bool:
        """Have no file hold what was forgotten; False while another process stands in the way. Then whoever opens the
        ledger next ends it."""
        with translated(self._engine):
            return erase_freed(self._engine)

    def unlink(self, entity: str, source_key: str, who: str, reason: str) -> Unlinked | None:
        """Forget a wrong pair, and record that; None when there was none. The next plan matches the record anew.

        Raises IntentUnsettled while a call for the record has no answer: settling it would bring the pair back.
        """
        with self._writing() as db:
            refuse_open(db, entity, source_key, then="unlink")
            row = row_at(db, t.links, entity, source_key, lock=True)
            if row is None:
                return None
            now = self._clock()
            d = t.decisions.c
            by_hand = (d.entity == entity, d.source_key == source_key, d.choice == "link", d.ended_at.is_(None))
            ended = update(t.decisions).where(*by_hand)
            db.execute(ended.values(ended_at=now, ended=f"unlinked by {who}"))
            return remove_link(db, row, who, reason, now)

    def unlinked(self, entity: str | None = None) -> list[Unlinked]:
        """Every pair that people had forgotten, newest first."""
        with self._reading() as db:
            return newest(db, Unlinked, t.unlinks, entity=entity)


def remove_link(db: Connection, link: RowMapping, who: str, reason: str, now: datetime) -> Unlinked:
    """Forget the pair, and note who had that done."""
    pair = {name: link[name] for name in ("entity", "source_key", "target_id", "natural_key")}
    noted = Unlinked(**pair, who=who, reason=reason, at=now)
    db.execute(insert(t.unlinks).values(**vars(noted)))
    db.execute(delete(t.links).where(of_key(t.links, link["entity"], link["source_key"])))
    return noted


def refuse_open(db: Connection, entity: str, source_key: str, *, then: str) -> None:
    """IntentUnsettled when a call for the record has no answer; `then` is what is to be done afterwards."""
    query = select(func.count()).where(t.changes.c.entity == entity, t.changes.c.source_key == source_key)
    if db.scalar(query.where(t.changes.c.status.is_(None))):
        raise IntentUnsettled(entity, source_key, then)


def empty_changes(db: Connection, entity: str, source_key: str) -> int:
    """The payload's hash goes, too: it has no key, and values can be found by hashing guesses."""
    of_record = update(t.changes).where(t.changes.c.entity == entity, t.changes.c.source_key == source_key)
    # An intent that a push writes at this very moment keeps its values until it has its answer.
    emptied = of_record.where(t.changes.c.status.is_not(None)).values(fields={}, payload_hash="", error=None)
    return db.execute(emptied).rowcount


def empty_link(db: Connection, entity: str, source_key: str) -> int:
    """The pair of keys stays; `not_taken` goes, because its hashes have no key."""
    query = update(t.links).where(t.links.c.entity == entity, t.links.c.source_key == source_key)
    return db.execute(query.values(pushed={}, not_taken={})).rowcount


def empty_failure(db: Connection, entity: str, source_key: str) -> int:
    """Which fields were refused and why stays. Without hashes every cause counts as changed."""
    row = row_at(db, t.failures, entity, source_key, lock=True)
    if row is None:
        return 0
    fields = {name: {**facts, "suggestion": ""} for name, facts in row["fields"].items()}
    put(db, t.failures, [entity, source_key], without_hashes(fields), known=True)
    return 1


def empty_verdicts(db: Connection, entity: str, source_key: str) -> int:
    """Reasons and notes hold no values by promise; they are erased all the same, as they are about the person."""
    query = update(t.verdicts).where(t.verdicts.c.entity == entity, t.verdicts.c.source_key == source_key)
    return db.execute(query.values(reasons=[], notes=[])).rowcount
