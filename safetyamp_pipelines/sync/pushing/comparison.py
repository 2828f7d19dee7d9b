"""Compare and set: whether SafetyAmp still has the values that a plan assumed, for the fields that a change touches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from safetyamp_pipelines.sync.model.plan import Action, Change, Outcome, Plan
from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.planning.difference import is_same, is_shown, observed_value
from safetyamp_pipelines.sync.planning.matching import key_text, key_written
from safetyamp_pipelines.sync.planning.verdicts import NEWER
from safetyamp_pipelines.sync.pushing.ports import Journal
from safetyamp_pipelines.sync.pushing.settling import is_as_written
from safetyamp_pipelines.sync.pushing.sight import Sight

ALREADY = "SafetyAmp says so already"
Found = tuple[Outcome, str]
"""What a change ends as without a call, and why."""


class Comparison:
    """Checks each change just before it is sent. The rows the plan was made from need no second check; newer ones are
    compared at no cost. `_linked` are the entity's links when the push began: what another run has created since the
    plan was made is left to the next run, and is not a failure."""

    def __init__(self, spec: EntitySpec, plan: Plan, journal: Journal, sight: Sight) -> None:
        self._spec, self._plan, self._journal, self._sight = spec, plan, journal, sight
        self._linked: dict[str, Link] = {link.source_key: link for link in journal.links()}
        self._strangers: tuple[datetime, Mapping[tuple[str, str], str]] | None = None

    def found(self, change: Change) -> Found | None:
        """None for a change that is to be sent; STALE for one to be planned anew, SKIPPED where another run has
        created it, UNCHANGED for one that is done."""
        if change.action is Action.CREATE:
            return self._found_new(change)
        if not self._sight.is_newer or self._sight.id_of(change) is None:
            return None
        row = self._sight.row(change)
        if row is None:
            return Outcome.STALE, "SafetyAmp no longer lists the record"
        if self._is_done(change, row):
            return Outcome.UNCHANGED, ALREADY
        if labels := self._changed(change, row):
            return Outcome.STALE, f"changed in SafetyAmp since the plan was made: {', '.join(labels)}"
        return None

    def _found_new(self, change: Change) -> Found | None:
        link = self._linked.get(change.source_key)
        if link is not None:
            row = self._sight.rows.get(link.target_id)
            if row is not None and is_as_written(self._spec, row, change.after(), self._sight.names):
                return Outcome.UNCHANGED, ALREADY
            return Outcome.SKIPPED, NEWER
        if self._sight.is_newer and (label := self._taken_key(change)) is not None:
            return Outcome.STALE, f"SafetyAmp has a record with this {label} now"
        return None

    def _is_done(self, change: Change, row: Record) -> bool:
        """The same plan was pushed before, or somebody wrote the same by hand. A field not shown proves nothing."""
        is_complete = all(is_shown(self._spec.field(name), row) for name in change.fields)
        return is_complete and bool(is_as_written(self._spec, row, change.after(), self._sight.names))

    def _changed(self, change: Change, row: Record) -> list[str]:
        """Labels of the fields that have neither the value that the plan assumed nor the one it wants."""
        references, labels = self._sight.names.references, list[str]()
        for name, pair in change.fields.items():
            declared = self._spec.field(name)
            # A field that SafetyAmp does not show counts as unchanged.
            now = observed_value(declared, row, references, {name: pair[0]})
            if not any(is_same(declared, now, value, references) for value in pair):
                labels.append(declared.label)
        return labels

    def _taken_key(self, change: Change) -> str | None:
        """The label of a match key of the new record that a record unknown to us has already."""
        strangers = self._keys_of_strangers()
        for key in self._spec.match:
            wanted = key_written(self._spec, key, change.after())
            if wanted is not None and (label := strangers.get((key.name, wanted))) is not None:
                return label
        return None

    def _keys_of_strangers(self) -> Mapping[tuple[str, str], str]:
        """(match key, value) → the key's label, for all rows that are not ours; computed once per read of the table."""
        if self._strangers is None or self._strangers[0] != self._sight.began:
            ours = {link.target_id for link in self._journal.linked(self._spec.table)}
            ours |= {change.target_id for change in self._plan.changes if change.target_id is not None}
            ours |= {agreed.target_id for agreed in self._plan.agreed}
            labels = {key.name: self._spec.label_read_at(key.read) for key in self._spec.match}
            found = {
                (key.name, value): labels[key.name]
                for row_id, row in self._sight.rows.items()
                for key in self._spec.match
                if row_id not in ours and (value := key_text(key, row)) is not None
            }
            self._strangers = self._sight.began, found
        return self._strangers[1]
