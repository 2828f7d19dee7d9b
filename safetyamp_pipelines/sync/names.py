"""Which SafetyAmp record a natural key means while a push runs. Planning has no need of it: there nothing changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from safetyamp_pipelines.sync.model.tables import Id, References
from safetyamp_pipelines.sync.pushing.ports import Linked


class Names:
    """Natural keys resolved by what is linked first, then by what was observed.

    An observed row may still bear the key it had before this run's earlier pushes wrote it: a site found by its name
    got its code, and with it changed the keys of the asset types that stand there. A link to a row that was not
    observed counts only when it was made after `since`, when the tables were read: an older one leads to a row that
    is gone.
    """

    def __init__(self, observed: References, links: Mapping[str, Iterable[Linked]], since: datetime) -> None:
        found = {table: sorted(rows, key=lambda link: link.updated_at) for table, rows in links.items()}
        self.references = observed.renamed(
            {table: {link.target_id: link.natural_key for link in rows} for table, rows in found.items()}
        )
        self._new: dict[str, dict[str, Id]] = {table: {} for table in observed.tables}
        for table, rows in found.items():
            for link in rows:
                if link.target_id not in observed[table].rows and link.updated_at >= since:
                    self.learn(table, link.natural_key, link.target_id)

    def learn(self, table: str, key: str, target_id: Id) -> None:
        """This push has just created or written that record."""
        self._new[table][self.references[table].folded(key)] = target_id

    def id_of(self, table: str, key: str) -> Id | None:
        """The SafetyAmp id of a natural key, or None when nothing there bears it."""
        new = self._new[table].get(self.references[table].folded(key))
        return new if new is not None else self.references[table].id_of(key)
