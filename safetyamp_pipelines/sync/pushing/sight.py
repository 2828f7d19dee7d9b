"""SafetyAmp's table as one push sees it: the rows, how old they are, and which record each natural key identifies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from datetime import datetime, timedelta

from safetyamp_pipelines.sync.model.plan import Action, Change, Plan
from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.tables import Id, References
from safetyamp_pipelines.sync.pushing.outcomes import PushOptions
from safetyamp_pipelines.sync.pushing.ports import Journal, Target


class Sight:
    """The rows at hand: those observed, until the push looks again; what it writes is added to them.

    `began` is when the reading of these rows began: everything that SafetyAmp did before is in them. `is_newer` says
    that the plan was made from older ones, so that what it believed may no longer hold.
    """

    def __init__(
        self,
        plan: Plan,
        references: References,
        observed_at: datetime,
        target: Target,
        journal: Journal,
        now: Callable[[], datetime],
        options: PushOptions,
    ) -> None:
        self.references = references
        self.rows: dict[Id, Record] = dict(references[plan.table].rows)
        self.began = observed_at
        self._plan, self._target, self._journal, self._now = plan, target, journal, now
        self._max_age, self._beat_every = timedelta(seconds=options.observed_max_age), options.beat_every
        self._as_of = datetime.fromisoformat(plan.as_of)
        self.is_newer = observed_at > self._as_of
        self._fresh_until = observed_at + self._max_age
        self._names: Names | None = None

    def is_old(self) -> bool:
        """Whether so much time has passed that people may have changed SafetyAmp."""
        return self._now() > self._fresh_until

    def look(self) -> None:
        """Read the whole table again. Raises SyncError."""
        began = self._now()
        with ThreadPoolExecutor(1, thread_name_prefix="look") as pool:
            # The pages may wait for minutes, for the budget or after a 429: the lease must not run out meanwhile.
            reading = pool.submit(copy_context().run, self._target.read, self._plan.table)
            while not wait([reading], self._beat_every).done:
                self._journal.beat()
        rows = reading.result()
        # Its age counts from the end of the read: a table that takes long to read must not be old at once.
        self.began, self.is_newer, self._fresh_until = began, True, self._now() + self._max_age
        self.rows = {row["id"]: row for row in rows}
        self.references = self.references.with_rows(self._plan.table, rows)
        self.rename()

    @property
    def names(self) -> Names:
        """The keys of records, by the rows and by the journal."""
        if self._names is None:
            links = {table: self._journal.linked(table) for table in self.references}
            self._names = Names(self.references, links, since=self._as_of)
        return self._names

    def rename(self) -> None:
        """The journal has new links: read them again on the next use."""
        self._names = None

    def id_of(self, change: Change) -> Id | None:
        """The record that the change is about; None for one that is not there."""
        if change.target_id is not None:
            return change.target_id
        return self.names.id_of(self._plan.table, change.natural_key)

    def row(self, change: Change) -> Record | None:
        """Its row in SafetyAmp; None for a record that is about to be created."""
        target_id = self.id_of(change) if change.action is not Action.CREATE else None
        return self.rows.get(target_id) if target_id is not None else None


class Names:
    """Natural keys resolved by what is linked first, then by what was observed.

    An observed row may still have the key it had before this run's earlier pushes wrote it: a site found by its name
    got its code, which changed the keys of its asset types as well. A link to a row that was not
    observed counts only when it was made after `since`, when the tables were read: an older one leads to a row that
    is gone.
    """

    def __init__(self, observed: References, links: Mapping[str, Iterable[Link]], since: datetime) -> None:
        found = {table: sorted(rows, key=lambda link: link.updated_at) for table, rows in links.items()}
        self.references = observed.renamed(
            {table: {link.target_id: link.natural_key for link in rows} for table, rows in found.items()}
        )
        self._new: dict[str, dict[str, Id]] = {table: {} for table in observed}
        for table, rows in found.items():
            for link in rows:
                if link.target_id not in observed[table].rows and link.updated_at >= since:
                    self.learn(table, link.natural_key, link.target_id)

    def learn(self, table: str, key: str, target_id: Id) -> None:
        """This push has just created or written that record."""
        self._new[table][self.references[table].folded(key)] = target_id

    def id_of(self, table: str, key: str) -> Id | None:
        """The SafetyAmp id of a natural key, or None when no record has it."""
        new = self._new[table].get(self.references[table].folded(key))
        return new if new is not None else self.references[table].id_of(key)
