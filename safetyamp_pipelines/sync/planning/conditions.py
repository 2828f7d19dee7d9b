"""Which records `only` and `except` of sync.yaml leave alone, and which kinds of change are switched off. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.kinds import EntityRules
from safetyamp_pipelines.sync.model.plan import Action
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec, Rows
from safetyamp_pipelines.sync.model.tables import fold

SWITCH_OF = {Action.LINK: "update"}
"""The switch of a kind of change that has not its name: to link an account is to write a number into it."""


def switched_off(spec: EntitySpec, rules: EntityRules, action: Action) -> str | None:
    """The rule that keeps changes of this kind from being made; None where they are."""
    switch = SWITCH_OF.get(action, action.value)
    return None if getattr(rules, switch) else f"{spec.name}.{switch} of sync.yaml is false"


def out_of_scope(spec: EntitySpec, inputs: Inputs, rules: EntityRules, desired: Iterable[Desired]) -> dict[str, str]:
    """Source key → the rule that puts the record out of scope. One made of several rows, such as a title, is in scope
    with any of them; one without a row, such as a vehicle that vanished, cannot be judged."""
    if not rules.only and not rules.except_:
        return {}
    beside, unjudged = spec.beside(inputs), _why_unjudged(spec, inputs.unread, rules)
    found = {}
    for record in desired:
        around: Rows = {**{table: {} for table in spec.sources}, **beside(record)}
        whys = [unjudged or why_outside(spec, rules, {**around, spec.key.table: row}) for row in record.rows]
        if all(whys):
            found[record.source_key] = (whys or ["its source row is gone, so its scope is not known"])[0] or ""
    return found


def why_outside(spec: EntitySpec, rules: EntityRules, rows: Rows) -> str | None:
    """Why the record of these rows is out of scope, without its values; None where it is in scope. Conditions on
    tables that are not among the rows are not asked."""
    for key, conditions in rules.conditions.items():
        for named, wanted in conditions.items():
            table, column = spec.column_named(named)
            if table not in rows:
                continue
            has_one = not _folded(spec, column, rows[table].get(column)).isdisjoint(_folded(spec, column, wanted))
            if has_one is not (key == "only"):
                return f"out of scope by {spec.name}.{key}.{named} of sync.yaml"
    return None


def rows_in_scope(spec: EntitySpec, rules: EntityRules, rows: Iterable[Record], known: Container[str]) -> list[Record]:
    """The rows of the key's table whose records are in scope, or `known` by a link: these are switched off when they
    leave. Conditions on other tables are not asked."""
    return [row for row in rows if spec.key.of(row) in known or not why_outside(spec, rules, {spec.key.table: row})]


def _why_unjudged(spec: EntitySpec, unread: Mapping[str, str], rules: EntityRules) -> str | None:
    asked = {spec.column_named(named)[0] for conditions in rules.conditions.values() for named in conditions}
    missing = sorted(asked & unread.keys())
    return f"its scope is not known: {missing[0]} was not read ({unread[missing[0]]})" if missing else None


def _folded(spec: EntitySpec, column: str, value: Any) -> set[str]:
    """The values as they are compared: keys as the entity compares them, all else trimmed and without regard to case.
    Of a list each value counts, and of an object in it, such as a tag, the name."""
    values = value if isinstance(value, list | tuple) else [value]
    texts = {str(one.get("name") if isinstance(one, Mapping) else one) for one in values if one is not None}
    if column == spec.key.column:
        texts = {str(clean.CLEANERS[spec.key.clean](text, "") or "") for text in texts}
    return {fold(text, case=True) for text in texts}
