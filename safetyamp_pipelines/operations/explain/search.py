"""Finds records by number, name, e-mail, telephone, job or licence plate, in the sources and in SafetyAmp's tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from safetyamp_pipelines.operations.display import source_names, target_name
from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.sync.model.spec import Desired
from safetyamp_pipelines.sync.model.tables import at_path

MOST = 50
LEAST_DIGITS = 7
"""Digits in which a telephone number is looked for by its end."""


@dataclass(frozen=True, order=True)
class Hit:
    """A record that was found, the closest first. `key` is empty for one that only SafetyAmp has, by its id alone."""

    rank: int
    entity: str
    key: str
    name: str
    matched: str
    target_id: str = ""


def search(stored: Mapping[str, Stored], text: str) -> list[Hit]:
    """The records of these entities that the text means, the closest first; at most fifty."""
    wanted = _folded(text)
    if not wanted:
        return []
    found = [hit for one in stored.values() for hit in _of_entity(one, wanted)]
    return sorted(found)[:MOST]


def names_of(stored: Stored) -> dict[str, str]:
    """Source key → name, from the source, else as SafetyAmp has it."""
    names = source_names(stored.spec, stored.records(stored.spec.key.table))
    for key, link in stored.inputs.memory.links.items():
        row = stored.shown[stored.spec.table].rows.get(link.target_id)
        if row is not None and not names.get(key):
            names[key] = target_name(stored.spec, row)
    return names


def _of_entity(stored: Stored, wanted: str) -> Iterator[Hit]:
    names, rows = names_of(stored), stored.shown[stored.spec.table].rows
    links = {key: link.target_id for key, link in stored.inputs.memory.links.items()}
    links |= {agreed.source_key: agreed.target_id for agreed in stored.plan.agreed}
    for record in stored.desired:
        row = rows.get(links[record.source_key]) if record.source_key in links else None
        name = names.get(record.source_key) or names.get(record.natural_key, "")
        if (best := _best(wanted, _values(stored, record, name, row))) is not None:
            yield Hit(best[0], stored.spec.name, record.source_key, name, best[1])
    for target_id, row in rows.items():
        if target_id in links.values():
            continue
        name, key = target_name(stored.spec, row), stored.shown[stored.spec.table].key_of(target_id) or ""
        if any(record.natural_key == key for record in stored.desired):
            continue
        if (best := _best(wanted, [("name", name), ("key", key), *_unique_values(stored, row)])) is not None:
            yield Hit(best[0], stored.spec.name, key, name, best[1], str(target_id))


def _values(stored: Stored, record: Desired, name: str, row: Mapping[str, Any] | None) -> Iterator[tuple[str, Any]]:
    """What a record may be known by: keys, name, and its unique values on either side."""
    yield "key", record.source_key
    yield "key", record.natural_key
    yield "name", name
    for field in stored.spec.fields:
        if field.unique is not None:
            yield field.label, record.values.get(field.name)
    for values in record.match.values():
        for value in values:
            yield "key", value
    if row is not None:
        yield "name", target_name(stored.spec, row)
        yield from _unique_values(stored, row)


def _unique_values(stored: Stored, row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in stored.spec.fields:
        if field.unique is not None and field.read is not None:
            yield field.label, at_path(row, field.read)


def _best(wanted: str, values: Iterable[tuple[str, Any]]) -> tuple[int, str] | None:
    """How close the closest value is, and what it is: the same, begun by it, a word of it, or holding it."""
    found = [(rank, label) for label, value in values if (rank := _rank(wanted, _folded(value))) is not None]
    return min(found, default=None)


def _rank(wanted: str, value: str) -> int | None:
    if not value:
        return None
    if value == wanted or value.lstrip("0").rstrip(".") == wanted.lstrip("0").rstrip("."):
        return 0
    digits = re.sub(r"\D", "", wanted)
    if len(digits) >= LEAST_DIGITS and re.fullmatch(r"[\d\s().+/-]+", wanted):
        return 1 if re.sub(r"\D", "", value).endswith(digits) else None
    if value.startswith(wanted):
        return 1
    words = wanted.replace(",", " ").split()
    if all(any(part.startswith(word) for part in re.split(r"[\s.@-]+", value)) for word in words):
        return 2
    return 3 if len(wanted) > 2 and wanted in value else None


def _folded(value: Any) -> str:
    return str(value or "").strip().casefold()
