"""What a refusal may depend on besides the record's own values: the mapping, the record it refers to, and the holders
of its unique value. Compared, never shown; keys and ids only. Why SafetyAmp refused: `refusals.py`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field
from safetyamp_pipelines.sync.model.tables import Id, at_path
from safetyamp_pipelines.sync.planning.difference import value_hash
from safetyamp_pipelines.sync.rules.config import SyncConfig

SWITCHES = {"create", "update", "deactivate", "reactivate", "first", "in_sync_all"}
NO_PART = {"protected", "protected_roles", "suppressed", "only", "except_", *SWITCHES}
"""Keys of an entity's section that say which records are pushed, not what they become."""

Cause = Mapping[str, Any]
"""`mapping`: a hash; `references`: field → id it resolved to; `holders`: field → ids of those who have the value."""


def mapping_hash(spec: EntitySpec, config: SyncConfig) -> str:
    """What decides how a source record becomes this entity's body: its section of sync.yaml, how it is sent, and the
    declared fields. Guards, schedules and lists of keys have no part in it."""
    section = config.of(spec).model_dump(mode="json", exclude=NO_PART)
    fields = [[f.name, f.sources, f.clean, f.references, f.as_list_of_ids, str(f.policy)] for f in spec.fields]
    companies = config.model_dump(mode="json", include={"companies", "company_rules"})
    return value_hash([companies, section, config.target.update_methods[spec.table], fields])


@dataclass(frozen=True)
class Circumstances:
    """The circumstances of one entity at one moment. `rows` is its table, `resolve` gives the id of a natural key."""

    spec: EntitySpec
    mapping: str
    rows: Mapping[Id, Record]
    resolve: Callable[[str, str], Id | None]

    def cause(
        self, names: Iterable[str], values: Mapping[str, Any], own: Id | None, duplicates: Collection[str] = ()
    ) -> Cause:
        """What a refusal of these fields depends on. `own` is the record's row, `duplicates` are fields that SafetyAmp
        called taken beyond those declared unique."""
        declared = {field.name: field for field in self.spec.fields}
        sent = [declared[name] for name in names if name in declared and values.get(name) is not None]
        return {
            "mapping": self.mapping,
            "references": {
                f.name: self.resolve(f.references, values[f.name]) for f in sent if f.references is not None
            },
            "holders": {
                f.name: holders_of(f, values[f.name], self.rows, own)
                for f in sent
                if f.references is None and (f.unique is not None or f.name in duplicates)
            },
        }

    def is_unchanged(self, cause: Cause, values: Mapping[str, Any], own: Id | None) -> bool:
        """Whether nothing in that cause has changed. What an older cause does not contain counts as unchanged."""
        holders = cause.get("holders", {})
        now = self.cause([*cause.get("references", {}), *holders], values, own, duplicates=holders)
        return all(now[part] == before for part, before in cause.items() if part in now)


def holders_of(field: Field, value: Any, rows: Mapping[Id, Record], own: Id | None) -> list[Id]:
    """Ids of the other rows that show the value, sorted."""
    if field.read is None or value is None:
        return []
    wanted = field.folded(value)
    found = (
        row_id
        for row_id, row in rows.items()
        if row_id != own and (shown := at_path(row, field.read)) not in (None, "") and field.folded(shown) == wanted
    )
    return sorted(found, key=str)
