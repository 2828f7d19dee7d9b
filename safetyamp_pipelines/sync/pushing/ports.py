"""What a push needs of the outside: SafetyAmp to write to, and a journal written ahead of each call. Protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from safetyamp_pipelines.sync.model.errors import RecordRefused
from safetyamp_pipelines.sync.model.plan import Agreed, Change, Outcome
from safetyamp_pipelines.sync.model.remembered import Intent, Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.pushing.refusals import Explained


class Target(Protocol):
    """SafetyAmp as a push sees it. Every method raises the CallErrors of `errors.py`."""

    def create(self, table: str, body: Mapping[str, Any]) -> Record:
        """The created record, with at least its `id`."""
        ...

    def update(self, table: str, target_id: Id, body: Mapping[str, Any]) -> Record:
        """The updated record, as far as SafetyAmp shows it."""
        ...

    def read(self, table: str) -> tuple[Record, ...]:
        """The whole table, read now; ReadError when it was not whole."""
        ...


class Journal(Protocol):
    """The ledger as one push of one entity sees it: each method is on the disk when it returns."""

    def open_intents(self) -> Sequence[Intent]:
        """What earlier pushes intended and never learnt the answer of."""
        ...

    def intend(self, change: Change) -> int:
        """Write the intent; only then may the call be made."""
        ...

    def done(
        self, intent: int, target_id: Id, pushed: Mapping[str, Any], not_taken: Mapping[str, str | None], note: str
    ) -> None:
        """SafetyAmp did it. `not_taken` are the fields it did not take, as `difference.offered` (None forgets one).

        An earlier refusal is forgotten, unless it was about optional fields only and none of them was sent now."""
        ...

    def refused(self, intent: int, change: Change, refusal: RecordRefused, explained: Explained) -> None:
        """SafetyAmp refused it: remembered, and not tried again until something it hangs on changes."""
        ...

    def undone(self, intent: int, rule: str) -> None:
        """SafetyAmp did not act, or a fresh read shows that it had not."""
        ...

    def unsent(self, changes: Iterable[Change], outcome: Outcome, rule: str) -> None:
        """Changes for which no call was made."""
        ...

    def agree(self, agreed: Iterable[Agreed]) -> None:
        """Remember records recognised in SafetyAmp and the values both sides share."""
        ...

    def revive(self, source_keys: Iterable[str]) -> None:
        """What these refusals hung on has changed: they are tried again as soon as they are planned again."""
        ...

    def linked(self, table: str) -> Iterable[Link]:
        """Everything linked in that table, by whichever entity writes it."""
        ...

    def links(self) -> Iterable[Link]:
        """The records of this entity that are linked."""
        ...

    def has_written_since(self, moment: datetime) -> bool:
        """Whether an earlier push has changed anything in the entity's table since then, of whichever entity."""
        ...

    def beat(self) -> None:
        """The push is alive: called while it waits for answers."""
        ...

    def pause_reason(self) -> str | None:
        """Asked between two calls: the pause or freeze that people want, or None."""
        ...

    def interrupt_reason(self) -> str | None:
        """Asked between two calls, where people want it to go on: an interrupt, or None."""
        ...
