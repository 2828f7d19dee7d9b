"""What is remembered of Jira beside the issues: mapping versions, watermarks, the catalogue, runs and the pause."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from safetyamp_pipelines.jira import issue_tables as t
from safetyamp_pipelines.jira.field_mapping import (
    FieldMapping,
    MappingError,
    differences,
    packaged_mapping,
    parse_mapping,
    problems_with,
    read_mapping,
)
from safetyamp_pipelines.jira.instances import Instance
from safetyamp_pipelines.ledger import Ledger, LedgerUnusable
from safetyamp_pipelines.ledger.database import WRITES, described, open_engine, translated
from safetyamp_pipelines.operations.decisions import LASTS, Decider
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.operations.plan_step import LEAST_CHARACTERS
from safetyamp_pipelines.settings.model import Settings, text_of
from safetyamp_pipelines.sync.model.errors import Refusal

VERSIONS, VERSION_TABLE = Path(__file__).parent / "migrations", "jira_version"
DEAD_AFTER = timedelta(minutes=2)
"""A run that showed no sign of life for so long has died."""
KEEP_RUNS, KEEP_EMPTY_RUNS = timedelta(days=400), timedelta(days=14)
PackagedBy = "safetyamp-pipelines"
JIRA, GUARD = "jira", "jira_gone"
"""Under which entity and guard the ledger keeps approvals of issues that are to be marked gone."""


@dataclass(frozen=True)
class Active:
    """The mapping in force and its version; one run uses one."""

    version: int
    mapping: FieldMapping

    @cached_property
    def table(self) -> sa.Table:
        """`jira_issues` with its columns."""
        return t.issues_table(self.mapping)


class JiraBook:
    """The Jira database. Safe to use from several threads; every method is one short transaction."""

    def __init__(self, engine: sa.Engine, mapping_text: str | None = None) -> None:
        self.engine, self._mapping_text = engine, mapping_text

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view."""
        with translated(self.engine), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """All or nothing."""
        with translated(self.engine), self.engine.execution_options(**{WRITES: True}).begin() as connection:
            yield connection

    def rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        """What a query finds."""
        with self.reading() as db:
            return [dict(row._mapping) for row in db.execute(query)]

    def _first(self, query: sa.Select[Any]) -> dict[str, Any] | None:
        return next(iter(self.rows(query.limit(1))), None)

    def _insert(self, table: sa.Table, **values: Any) -> int:
        with self.writing() as db:
            made = db.execute(sa.insert(table).values(values)).inserted_primary_key
        return int(made[0]) if made else 0

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    # Mapping

    def active(self) -> Active:
        """The mapping in force: that of the file in JIRA_MAPPING, taken in as a version when it is new, else the newest
        saved one; the packaged one before anybody saved any."""
        if self._mapping_text is not None:
            return self.save(read_mapping(self._mapping_text), "JIRA_MAPPING", "the file has changed", from_file=True)
        return self.newest() or self.save(packaged_mapping(), PackagedBy, "the mapping to begin with")

    def newest(self) -> Active | None:
        """The newest version saved."""
        row = self._first(sa.select(t.mappings).order_by(t.mappings.c.version.desc()))
        return None if row is None else Active(row["version"], parse_mapping(row["document"]))

    def active_or_refuse(self) -> Active:
        """The newest version, for questions, which write nothing. Raises Refusal before the first read."""
        if (newest := self.newest()) is None:
            raise Refusal("nothing was read from Jira yet: `safetyamp jira sync`")
        return newest

    def versions(self) -> list[dict[str, Any]]:
        """Every version, newest first."""
        return self.rows(sa.select(t.mappings).order_by(t.mappings.c.version.desc()))

    def save(self, mapping: FieldMapping, who: str, why: str, *, from_file: bool = False) -> Active:
        """Save the next version, after a backup of what is there, and add its columns. The same again saves nothing.

        Raises MappingError for what the catalogue contradicts, Refusal for a type that would change.
        """
        if self._mapping_text is not None and not from_file:
            raise Refusal("the mapping is in the file that JIRA_MAPPING names: change it there, or unset JIRA_MAPPING")
        before = self.newest()
        if before is not None and before.mapping.document() == mapping.document():
            return before
        if not who.strip() or not why.strip():
            raise Refusal("a mapping is saved by somebody (--by) and for a reason (--reason)")
        if wrong := problems_with(mapping, self.catalogue()):
            raise MappingError(wrong)
        self._refuse_retyped(mapping)
        self.backup(who, "before a change")
        with self.writing() as db:
            t.add_columns(db, mapping)
            newest = db.scalar(sa.select(sa.func.max(t.mappings.c.version))) or 0
            values = {"document": mapping.document(), "at": datetime.now(UTC), "who": who, "why": why}
            diff = differences(before.mapping if before else None, mapping)
            db.execute(sa.insert(t.mappings).values(version=newest + 1, diff=diff, **values))
        return Active(newest + 1, mapping)

    def version(self, number: int) -> FieldMapping:
        """The mapping of an earlier version. Raises Refusal for none."""
        row = self._first(sa.select(t.mappings.c.document).where(t.mappings.c.version == number))
        if row is None:
            raise Refusal(f"there is no version {number} of the Jira mapping: `safetyamp jira mapping versions`")
        return parse_mapping(row["document"])

    def backup(self, who: str, kind: str = "manual") -> int:
        """Keep the mapping in force as a backup; its number."""
        newest = self.newest()
        data = {"version": newest.version, "mapping": newest.mapping.document()} if newest else {}
        return self._insert(t.backups, at=datetime.now(UTC), who=who, kind=kind, data=data)

    def backups(self) -> list[dict[str, Any]]:
        """Every backup, newest first."""
        return self.rows(sa.select(t.backups).order_by(t.backups.c.id.desc()))

    def restore(self, number: int, who: str) -> Active:
        """The mapping of a backup as a new version. Raises Refusal for no such backup."""
        row = self._first(sa.select(t.backups.c.data).where(t.backups.c.id == number))
        if row is None or not row["data"]:
            raise Refusal(f"there is no backup {number} with a mapping: `safetyamp jira mapping backups`")
        return self.save(parse_mapping(row["data"]["mapping"]), who, f"restored from backup {number}")

    def _refuse_retyped(self, mapping: FieldMapping) -> None:
        """json and list are one type to the database: what a column was is known from every version."""
        for row in reversed(self.versions()):
            for name, column in row["document"]["columns"].items():
                if name in mapping.columns and mapping.columns[name].type != column["type"]:
                    raise MappingError(
                        [f"{name}: is {column['type']} since version {row['version']}; a type never changes, rename it"]
                    )

    # Catalogue and partitions

    def store_fields(self, instance: str, listed: Iterable[Mapping[str, Any]]) -> int:
        """The catalogue of one instance, replaced as a whole; how many fields."""
        now, rows = datetime.now(UTC), {}
        for one in listed:
            schema = one.get("schema") or {}
            kind = str(schema.get("type", "any"))
            rows[one["id"]] = {
                "instance": instance,
                "field_id": one["id"],
                "name": str(one.get("name") or one["id"]),
                "type": f"{kind}[{schema['items']}]" if "items" in schema else kind,
                "is_custom": bool(one.get("custom")),
                "seen_at": now,
            }
        with self.writing() as db:
            db.execute(sa.delete(t.fields).where(t.fields.c.instance == instance))
            db.execute(sa.insert(t.fields), list(rows.values()))
        return len(rows)

    def catalogue(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By instance and field id what is known of each field; empty for an instance never asked."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for row in self.rows(sa.select(t.fields).order_by(t.fields.c.instance, t.fields.c.name)):
            found.setdefault(row["instance"], {})[row["field_id"]] = row
        return found

    def keep_partitions(self, instance: Instance, visible: Mapping[str, str]) -> list[str]:
        """Note the projects to read: those configured, or all that are visible. What is no longer read stays noted."""
        wanted = list(instance.projects or visible)
        with self.writing() as db:
            known = self._projects(db, instance.name)
            for key in wanted:
                values = {"name": visible.get(key, known.get(key, "")), "is_read": True}
                where = (t.partitions.c.instance == instance.name, t.partitions.c.project == key)
                if key in known:
                    db.execute(sa.update(t.partitions).where(*where).values(**values))
                else:
                    db.execute(sa.insert(t.partitions).values(instance=instance.name, project=key, **values))
            unread = t.partitions.c.instance == instance.name, t.partitions.c.project.not_in(wanted)
            # Without configured projects one that vanished may only be invisible: it is read, and that is reported.
            if instance.projects:
                db.execute(sa.update(t.partitions).where(*unread).values(is_read=False))
        return wanted

    def _projects(self, db: sa.Connection, instance: str) -> dict[str, str]:
        rows = db.execute(sa.select(t.partitions).where(t.partitions.c.instance == instance))
        return {row.project: row.name for row in rows}

    def partitions(self) -> list[dict[str, Any]]:
        """Every partition that is read, with its watermark and figures."""
        query = sa.select(t.partitions).where(t.partitions.c.is_read)
        return self.rows(query.order_by(t.partitions.c.instance, t.partitions.c.project))

    def partition(self, instance: str, project: str) -> dict[str, Any]:
        """One partition; without a watermark where it was never read."""
        where = (t.partitions.c.instance == instance, t.partitions.c.project == project)
        if (row := self._first(sa.select(t.partitions).where(*where))) is None:
            raise Refusal(f"no partition {instance}|{project}: `safetyamp jira status` lists them")
        return row

    def note(self, db: sa.Connection, instance: str, project: str, **values: Any) -> None:
        """Set columns of one partition, in the caller's transaction."""
        where = (t.partitions.c.instance == instance, t.partitions.c.project == project)
        db.execute(sa.update(t.partitions).where(*where).values(**values))

    def approve_gone(
        self,
        ledger: Ledger,
        wanted: str,
        by: Decider,
        keys: Collection[str] = (),
        lasts: timedelta = LASTS,
    ) -> dict[str, Any] | None:
        """Let held issues be marked gone, all of them or those of some keys; `wanted` is the beginning of their hash.
        None where no such set is held. Raises Refusal for a key that is not in it."""
        wanted = wanted.strip().lower()
        for row in self.partitions() if len(wanted) >= LEAST_CHARACTERS else ():
            held = row["held"] or {"hash": "", "keys": (), "ids": ()}
            if not held["hash"].startswith(wanted):
                continue
            if strange := sorted(set(keys) - set(held["keys"])):
                raise Refusal(f"{row['instance']}|{row['project']} holds nothing of {', '.join(strange)}")
            meant = [(key, one) for key, one in zip(held["keys"], held["ids"], strict=True) if not keys or key in keys]
            changes = [(key, gone_hash(row["instance"], one)) for key, one in meant]
            given = ledger.approve_changes(JIRA, changes, guard=GUARD, **vars(by), lasts=lasts)[0]
            return {
                "entity": JIRA,
                "partition": f"{row['instance']}|{row['project']}",
                "plan_hash": held["hash"],
                **vars(by),
                "at": plain(given.at),
                "expires_at": plain(given.expires_at),
                "keys": [key for key, _ in meant],
                "refused": [],
            }
        return None

    # Pause

    def pause(self, who: str, why: str) -> dict[str, Any]:
        """Stop reads between two pages, and start none, until `resume`. A pause in force is kept and returned."""
        if not why.strip():
            raise Refusal("--reason must say something")
        with self.writing() as db:
            if (lasting := _pause(db)) is None:
                db.execute(sa.insert(t.pauses).values(who=who, why=why, at=datetime.now(UTC)))
            return lasting or _pause(db) or {}

    def resume(self, who: str) -> dict[str, Any] | None:
        """End the pause; what it was."""
        with self.writing() as db:
            lasting = _pause(db)
            # Two pauses can begin at the same moment on PostgreSQL: end them all.
            ended = {"ended_at": datetime.now(UTC), "ended_by": who}
            db.execute(sa.update(t.pauses).where(t.pauses.c.ended_at.is_(None)).values(**ended))
        return lasting

    def pause_state(self) -> dict[str, Any] | None:
        """The pause in force."""
        with self.reading() as db:
            return _pause(db)

    # Runs

    def start_run(self, kind: str, instance: str, project: str, *, run_id: str, cause: str) -> int:
        """Note that a read begins; its number."""
        now = datetime.now(UTC)
        values = {"run_id": run_id, "kind": kind, "instance": instance, "project": project, "cause": cause}
        return self._insert(t.runs, **values, status="running", started_at=now, beat_at=now, done=0)

    def beat(self, number: int, **values: Any) -> None:
        """A sign of life, with how far it got."""
        with self.writing() as db:
            db.execute(sa.update(t.runs).where(t.runs.c.id == number).values(beat_at=datetime.now(UTC), **values))

    def end_run(self, number: int, status: str, **values: Any) -> None:
        """Note how a read ended: completed, failed or stopped."""
        self.beat(number, status=status, ended_at=datetime.now(UTC), **values)

    def runs(
        self, *, since: datetime | None = None, limit: int | None = None, active: bool = False
    ) -> list[dict[str, Any]]:
        """The reads, newest first. One that died is `failed`."""
        query = sa.select(t.runs).order_by(t.runs.c.id.desc())
        if since is not None:
            query = query.where(t.runs.c.started_at >= since)
        if active:
            query = query.where(t.runs.c.status == "running", t.runs.c.beat_at > datetime.now(UTC) - DEAD_AFTER)
        rows = self.rows(query.limit(limit))
        dead = datetime.now(UTC) - DEAD_AFTER
        for row in rows:
            if row["status"] == "running" and row["beat_at"] <= dead:
                row |= {"status": "failed", "error": "its process died", "ended_at": row["beat_at"]}
        return rows

    def prune_runs(self) -> None:
        """Forget reads that found nothing after two weeks, and all after a good year."""
        now = datetime.now(UTC)
        empty = sa.and_(t.runs.c.done == 0, t.runs.c.status == "completed", t.runs.c.started_at < now - KEEP_EMPTY_RUNS)
        with self.writing() as db:
            db.execute(sa.delete(t.runs).where(sa.or_(empty, t.runs.c.started_at < now - KEEP_RUNS)))


ANEW = "If another checkout made them, name another database in JIRA_DATABASE_URL: the next read fills it from Jira"


def _pause(db: sa.Connection) -> dict[str, Any] | None:
    query = sa.select(t.pauses).where(t.pauses.c.ended_at.is_(None)).order_by(t.pauses.c.id)
    row = db.execute(query.limit(1)).mappings().first()
    return None if row is None else dict(row)


def gone_hash(instance: str, *ids: int) -> str:
    """What an approval is for: exactly these issues."""
    return hashlib.sha256(json.dumps([JIRA, instance, sorted(ids)]).encode()).hexdigest()


def open_book(settings: Settings) -> JiraBook:
    """The Jira database of the settings, migrated. Raises LedgerUnusable."""
    text = text_of(settings.jira_mapping, "JIRA_MAPPING") if settings.jira_mapping is not None else None
    return JiraBook(open_tables(settings.jira_database_url.get_secret_value()), text)


def open_tables(url: str) -> sa.Engine:
    """The database, with the tables of this release. Raises LedgerUnusable."""
    try:
        engine = open_engine(url, VERSIONS, VERSION_TABLE, t.metadata)
    except LedgerUnusable as error:
        raise LedgerUnusable(f"the tables of Jira: {error}. {ANEW}") from None
    try:
        with engine.connect() as db:
            for table in t.metadata.sorted_tables:
                db.execute(sa.select(table).limit(0))
    except sa.exc.DBAPIError:
        engine.dispose()
        raise LedgerUnusable(f"the tables of Jira in {described(engine.url)} are not of this release. {ANEW}") from None
    return engine
