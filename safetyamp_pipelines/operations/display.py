"""What people call a record: a person's first and last name, a job's description. For people's eyes, never logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field
from safetyamp_pipelines.sync.model.tables import at_path

PERSON = ("first_name", "last_name")


def source_names(spec: EntitySpec, records: Iterable[Record]) -> dict[str, str]:
    """Source key → name of the rows of the entity's own table; the keys of several companies in both their forms."""
    key, columns = spec.key, _columns(spec)
    names: dict[str, str] = {}
    for row in records:
        number, name = key.of(row), " ".join(str(row[name]).strip() for name in columns if row.get(name))
        names.setdefault(number, name)
        if key.company is not None:
            names[f"{row[key.company]}/{number}"] = name
    return names


def called(key: str, name: str | None) -> str:
    """The key with the name beside it, unless the name begins with the key, as that of a department does."""
    return name if name and name.startswith(key) else f"{key} {name or ''}".rstrip()


def target_name(spec: EntitySpec, row: Mapping[str, Any]) -> str:
    """The name of a row of SafetyAmp's table."""
    found = [at_path(row, field.read) for field in _fields(spec) if field.read is not None]
    return " ".join(str(part).strip() for part in found if part)


def _fields(spec: EntitySpec) -> list[Field]:
    """The fields that hold the name."""
    person = [field for field in spec.fields if field.name in PERSON]
    return person or [field for field in spec.fields if field.name == "name"]


def _columns(spec: EntitySpec) -> tuple[str, ...]:
    """The columns of the entity's own table that hold the name; else what people take for the key."""
    prefix = f"{spec.key.table}."
    found = [s.removeprefix(prefix) for field in _fields(spec) for s in field.sources if s.startswith(prefix)]
    return tuple(found) or spec.key.others[:1]
