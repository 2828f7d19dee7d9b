"""`safetyamp forget`: erases one person's values from the ledger and every stored snapshot and plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from safetyamp_pipelines.ledger import IntentUnsettled
from safetyamp_pipelines.operations.forget.erasing import (
    Person,
    erased_plan,
    erased_records,
    files_of,
    is_keyed_by_person,
    known_as,
    names_in,
    personal,
    traces,
)
from safetyamp_pipelines.operations.lease import LEASE
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.sync.entities.employees import SPEC as EMPLOYEES
from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.errors import Refusal, SnapshotUnreadable
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Snapshot, content_hash
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.systems.snapshots.parquet import SNAPSHOT_KIND, snapshot_from_parquet, snapshot_to_parquet

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger
    from safetyamp_pipelines.sync.rules.config import SyncConfig
    from safetyamp_pipelines.systems.snapshots.store import SnapshotRef, SnapshotStore

LEASE_SECONDS = 600.0
PEOPLE = EMPLOYEES.name
STILL_IN_FILE = (
    "another process is reading the database: what was taken out still stands in bytes of its file. The next command "
    "that opens it when nobody reads removes them; `safetyamp status` is one"
)


def plan_names() -> dict[str, str]:
    """The plans that hold values of people, each with its entity."""
    return {f"{kind}/{spec.name}": spec.name for kind in ("plan", "trial", "undo") for spec in personal()}


def table_names() -> list[str]:
    """Every stored table that knows people, in the order in which `known_as` learns from them."""
    return list(dict.fromkeys(file for _, trace in traces() for file in files_of(trace.table)))


@dataclass(frozen=True)
class Forgetting:
    """One person's values, to be taken out. `who` holds the lease meanwhile; `now` is noted in the snapshots."""

    ledger: Ledger
    store: SnapshotStore
    config: SyncConfig
    who: str
    now: Callable[[], datetime]

    def forget(self, key: str) -> dict[str, Any]:
        """Forget employee `key`; the document of `forget --json`. It can be repeated, as after a crash: what identifies
        the person stays in every table, and in the ledger until its record is emptied.

        Raises LeaseHeld while somebody pushes, IntentUnsettled while a call has no answer, Refusal for a stranger.
        """
        with self._alone() as beat:
            person, still_there = self._person(key)
            records: dict[str, Collection[str]] = {PEOPLE: {key}, **person.keys}
            self._refuse_unsettled(records)
            files: dict[str, int] = {}
            removed: list[str] = []
            for name in (*plan_names(), *reversed(table_names())):
                beat()
                files[name] = sum(self._erased(name, person, removed))
            emptied = {
                f"{entity} {found}": self.ledger.forget(entity, found)
                for entity, keys in records.items()
                for found in sorted(keys)
            }
            is_erased = self.ledger.erase_freed()
        return {
            "entity": PEOPLE,
            "key": key,
            "ledger": {name: plain(forgotten) for name, forgotten in emptied.items()},
            "snapshots": {name: number for name, number in files.items() if number},
            "vehicles": sorted(person.keys.get("vehicles", ())),
            "records": {entity: sorted(keys) for entity, keys in records.items() if keys},
            "safetyamp_ids": sorted(map(str, person.rows(EMPLOYEES.table))),
            "still_in_source": still_there,
            "removed": removed,
            "is_erased": is_erased,
        }

    def names_of(self, key: str) -> tuple[list[str], int]:
        """The names and addresses by which kept tables show employee `key`, and how many more somebody else has, too.

        Raises Refusal for a stranger."""
        person, _ = self._person(key)
        theirs: set[str] = set()
        others: set[str] = set()
        for name, records in self._tables():
            own, strange = names_in(name, records, person, self.config)
            theirs, others = theirs | own, others | {found.casefold() for found in strange}
        alone = [name for name in theirs if name.casefold() not in others]
        return sorted(alone), len(theirs) - len(alone)

    @contextmanager
    def _alone(self) -> Iterator[Callable[[], object]]:
        """No push begins while values are erased: it would write some of them again."""
        lease = self.ledger.acquire_lease(LEASE, f"{self.who} forgets somebody", LEASE_SECONDS)
        try:
            yield lambda: self.ledger.heartbeat(lease)
        finally:
            self.ledger.release(lease)

    def _refuse_unsettled(self, records: Mapping[str, Collection[str]]) -> None:
        """Before anything is erased: only its values show what became of a call without an answer."""
        for entity, keys in records.items():
            for intent in self.ledger.open_intents(entity):
                if intent.source_key in keys:
                    raise IntentUnsettled(entity, intent.source_key)

    def _person(self, key: str) -> tuple[Person, bool]:
        """Who that is in every system, as far as anything kept shows, and whether Viewpoint still had them last."""
        links = self.ledger.links(PEOPLE)
        known = set(links) | {key for plan in self._plans() for key in _keys(plan)}
        number = clean.number(key.rpartition("/")[2], "")
        others = frozenset(other for other in known if other != key and other.rpartition("/")[2] == number)
        if key not in known and others:
            raise Refusal(f"no employee has the key {key}. Do you mean {' or '.join(sorted(others))}?")
        users = frozenset({links[key].target_id}) if key in links else frozenset()
        person = Person(key, others=others).with_rows(EMPLOYEES.table, users)
        person = known_as(person, self._tables(), self.config)
        for spec in personal():
            if spec is not EMPLOYEES:
                person = person.with_keys(spec.name, self._keys_of(spec, person))
        is_known = (
            key in known or person.rows(EMPLOYEES.table) or self.ledger.changes(entity=PEOPLE, source_key=key, limit=1)
        )
        if not is_known and not any(_mentions(name, records, person, self.config) for name, records in self._tables()):
            raise Refusal(f"nothing is known of employee {key}: `safetyamp explain employee {key}` explains why")
        rows = next((found.records for _, found in self._snapshots("viewpoint/employees")), ())
        is_there = any(person.has_number(row["Employee"]) and person.is_in_company(row["PRCo"]) for row in rows)
        return person, is_there

    def _keys_of(self, spec: EntitySpec, person: Person) -> set[str]:
        """The records of another entity that are the person's by key, or by what the ledger knows of changes."""
        own = {person.source_key} if is_keyed_by_person(spec) else set()
        names = [field.name for field in spec.fields if field.references == EMPLOYEES.table]
        changes = self.ledger.changes(entity=spec.name) if names else ()
        return own | {change.source_key for change in changes if _refers(change, names, person)}

    def _plans(self) -> Iterator[Plan]:
        for ref in [ref for kind in ("plan", "trial") for ref in self.store.history(f"{kind}/{PEOPLE}", [])]:
            with suppress(SnapshotUnreadable):
                yield Plan.from_bytes(self.store.read(ref))

    def _tables(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        for name in table_names():
            for _, found in self._snapshots(name):
                yield name, found.records

    def _snapshots(self, name: str) -> Iterator[tuple[SnapshotRef, Snapshot]]:
        """What can be read of a table, newest first."""
        for ref in self.store.history(name, []):
            with suppress(SnapshotUnreadable):
                yield ref, self._snapshot(ref)

    def _snapshot(self, ref: SnapshotRef) -> Snapshot:
        return snapshot_from_parquet(self.store.read(ref), ref.content)

    def _erased(self, name: str, person: Person, removed: list[str]) -> Iterator[bool]:
        """Erase the person from every file of that name. One that cannot be read cannot be cleaned: it is removed."""
        unreadable: list[str] = []
        for ref in self.store.history(name, unreadable):
            try:
                yield self._erase(ref, person)
            except SnapshotUnreadable:
                unreadable.append(f"{ref.path.partition('.')[0]}.json")
        for path in unreadable:
            self.store.remove(path)
        removed += unreadable

    def _erase(self, ref: SnapshotRef, person: Person) -> bool:
        """Take the person out of one stored file. False when nothing of theirs was in it."""
        if ref.kind != SNAPSHOT_KIND:
            plan = Plan.from_bytes(self.store.read(ref))
            entity = plan_names()[ref.name]
            keys = {person.source_key} if entity == PEOPLE else person.keys.get(entity, frozenset())
            erased = erased_plan(plan, keys)
            self.store.rewrite(ref, None if erased == plan else erased.to_bytes(), ref.content)
            return erased != plan
        before = self._snapshot(ref)
        records = tuple(erased_records(ref.name, before.records, person, self.config))
        if records == before.records:
            self.store.rewrite(ref, None, ref.content)
            return False
        after = self._certified_again(before, records, person)
        self.store.rewrite(ref, snapshot_to_parquet(after), after.manifest())
        return True

    def _certified_again(self, before: Snapshot, records: tuple[Any, ...], person: Person) -> Snapshot:
        """As many rows of the same reading; the notices say that they are no longer as they were read."""
        assert before.certificate is not None
        certificate = replace(before.certificate, content_hash=content_hash(records))
        notice = f"values of employee {person.source_key} were forgotten on {self.now():%Y-%m-%d}"
        kept = {
            place: text for place, text in before.as_read.items() if records[place] == before.records[place]
        }  # the raw text of a row of theirs goes, too
        notices = (*before.notices, notice)
        return replace(before, records=records, certificate=certificate, notices=notices, as_read=kept)


def _keys(plan: Plan) -> set[str]:
    return {verdict.source_key for verdict in plan.verdicts}


def _mentions(name: str, records: tuple[Any, ...], person: Person, config: SyncConfig) -> bool:
    """Whether a table holds values of the person, as Entra may of somebody who was never in Viewpoint."""
    return tuple(erased_records(name, records, person, config)) != records


def _refers(change: Any, names: Collection[str], person: Person) -> bool:
    return any(person.has_number(values.get(name)) for values in (change.before(), change.after()) for name in names)


def render_forgotten(document: dict[str, Any]) -> Iterator[str]:
    """The lines of `forget`, with what it cannot reach."""
    key = document["key"]
    rows = sum(number for forgotten in document["ledger"].values() for number in forgotten.values())
    files = sum(document["snapshots"].values())
    yield f"employee {key}: values taken out of {rows} rows of the ledger and {files} snapshots and plans; counts stay"
    for entity, keys in document["records"].items():
        if entity != PEOPLE:
            yield f"with it the {entity} that hold values of theirs: {', '.join(keys)}"
    if document["removed"]:
        yield (
            f"{len(document['removed'])} snapshots and plans that could not be read, torn or encrypted with another "
            f"key, were removed: {', '.join(document['removed'])}"
        )
    if not document["is_erased"]:
        yield STILL_IN_FILE
    yield from unreached(document)


def unreached(document: dict[str, Any]) -> Iterator[str]:
    """Where else something of the person may be, and what to do about it."""
    key = document["key"]
    if document["still_in_source"]:
        yield (
            f"Viewpoint still lists employee {key}: the next run reads the values again. To keep them out of SafetyAmp "
            f"put {key!r} into employees.suppressed of sync.yaml; to end the reading, the row must leave Viewpoint"
        )
    if document["safetyamp_ids"]:
        yield (
            f"SafetyAmp keeps its own record (id {', '.join(document['safetyamp_ids'])}), as Entra and Samsara keep "
            "theirs: erase it there"
        )
    yield "Dagster's event log and the logs hold employee numbers, and no values. Backups are yours to clean"
