"""Whether what a record refers to is there, or will be: in other tables, and inside its own entity. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from safetyamp_pipelines.sync.model.spec import Desired, Field, Scope
from safetyamp_pipelines.sync.model.tables import References, TargetTable


def with_references(
    record: Desired, fields: Iterable[Field], table: str, expected: References, unplanned: Mapping[str, str]
) -> Desired:
    """References to other tables must exist there or be planned; an optional one that does not is left out. Of a table
    in `unplanned`, whose plan could not be made, only what is in SafetyAmp is known: the record waits."""
    elsewhere = [field for field in fields if field.references not in (None, table)]
    nowhere = [
        field
        for field in elsewhere
        if (wanted := record.values.get(field.name)) is not None
        and expected[str(field.references)].id_of(wanted) is None
    ]
    waiting = [field for field in nowhere if field.references in unplanned]
    if waiting:
        record = replace(
            record,
            values={**record.values, **dict.fromkeys((field.name for field in waiting), None)},
            waits=(*record.waits, *(unplanned[str(field.references)] for field in waiting if field.required)),
            notes=(*record.notes, *(f"{f.label} stays as it is: {unplanned[str(f.references)]}" for f in waiting)),
        )
    return _without(record, [field for field in nowhere if field not in waiting])


def with_own_references(
    records: list[Desired], own: list[Field], observed: TargetTable, absent: Set[str]
) -> list[Desired]:
    """References inside the entity: the other record must be there, or be created by this very plan. `absent` are
    natural keys known not to be created after all."""
    while own:
        planned = {r.natural_key for r in records if r.scope is Scope.ACTIVE and not r.reasons} - absent
        settled = [_without(record, _unresolved_own(record, own, planned, observed)) for record in records]
        if settled == records:
            break
        records = settled
    return records


def _unresolved_own(record: Desired, own: list[Field], planned: Set[str], observed: TargetTable) -> list[Field]:
    nowhere = []
    for field in own:
        wanted = record.values.get(field.name)
        is_known = wanted in planned or (wanted is not None and observed.id_of(wanted) is not None)
        if wanted is not None and (not is_known or wanted == record.natural_key):
            nowhere.append(field)
    return nowhere


def _without(record: Desired, nowhere: list[Field]) -> Desired:
    """The record without references that lead nowhere: a required one is a reason, an optional one a note."""
    if not nowhere or record.scope is not Scope.ACTIVE:
        return record
    texts = {
        field: f"{field.label} {record.values[field.name]!r} is not in SafetyAmp, and no plan creates it"
        for field in nowhere
    }
    return replace(
        record,
        values={**record.values, **dict.fromkeys((field.name for field in nowhere), None)},
        reasons=(*record.reasons, *(text for field, text in texts.items() if field.required)),
        notes=(*record.notes, *(text for field, text in texts.items() if not field.required)),
    )
