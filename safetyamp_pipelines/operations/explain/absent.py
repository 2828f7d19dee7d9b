"""Why a key that somebody asks for is not a source record. Pure, but for what the ledger remembers of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.local_time import local_time
from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.columns import OBSERVED


def why_absent(stored: Stored, key: str, ledger: Ledger) -> list[str]:
    """The reasons, the most likely first."""
    return [
        *_not_in_source(stored, key),
        *_of_another_company(stored, key),
        *_similar(stored, key),
        *_remembered(stored, key, ledger),
        *_in_safetyamp(stored, key),
        *stored.spec.why_absent(stored.inputs, key),
    ]


def _not_in_source(stored: Stored, key: str) -> Iterator[str]:
    source, rows = stored.spec.sources[0], stored.records(stored.spec.sources[0])
    if all(_folded(stored.spec.key.of(row)) != _folded(key) for row in rows):
        companies = ", ".join(map(str, stored.config.companies))
        where = f" of companies {companies}" if source.startswith("viewpoint/") else ""
        read_at = local_time(stored.read_at(source), stored.config.schedule.timezone)
        yield f"{stored.spec.noun} {key} is not in {source}{where}: {len(rows)} rows, read {read_at}"


def _of_another_company(stored: Stored, key: str) -> Iterator[str]:
    """Numbers that several companies have are keyed `company/number`; other companies than ours are not even read."""
    company, _, number = key.partition("/")
    if number and company not in map(str, stored.config.companies) and stored.spec.sources[0].startswith("viewpoint/"):
        yield f"company {company} is not one of the companies in sync.yaml, so its records are not read"


def _similar(stored: Stored, key: str) -> Iterator[str]:
    """Keys that differ by the company, the trailing dot, case or zeros only, and records known by another of their
    values. Only the number of several companies is keyed `company/number`, and only for those that do not own it."""
    company, _, number = key.partition("/")
    wanted = {_bare(key), _bare(number if number and company in map(str, stored.config.companies) else key)}
    near = {record.source_key for record in stored.desired if _bare(record.source_key) in wanted}
    for row in stored.records(stored.spec.key.table):
        if any(row.get(name) is not None and _folded(row[name]) == _folded(key) for name in stored.spec.key.others):
            near.add(stored.spec.key.of(row))
    for found in sorted(near):
        yield f"do you mean {found}? `safetyamp explain {stored.spec.noun} '{found}'`"


def _remembered(stored: Stored, key: str, ledger: Ledger) -> Iterator[str]:
    history = ledger.verdict_history(stored.spec.name, key, runs=1)
    if history and history[0].outcome is None:
        since = local_time(history[0].since, stored.config.schedule.timezone)
        yield f"it was there in earlier runs, and not since the one of {since}"
    if (link := stored.inputs.memory.links.get(key)) is not None:
        yield f"it is linked to SafetyAmp id {link.target_id}; that record stays as it is, since nothing is deleted"


def _in_safetyamp(stored: Stored, key: str) -> Iterator[str]:
    table = stored.spec.table
    found = stored.inputs.expected[table].id_of(key)
    if found is not None and any(row["id"] == found for row in stored.records(f"{OBSERVED}/{table}")):
        yield f"SafetyAmp has {key} in {table} (id {found}), which no source lists: unmanaged, never changed"


def finder(key: str) -> tuple[Callable[[Any], bool], ...]:
    """How a key is looked for among source keys, the strictest way first."""
    folded, number = key.strip().casefold(), _number(key)
    return (
        lambda found: str(found) == key,
        lambda found: str(found).strip().casefold() == folded,
        lambda found: number is not None and _number(found) == number,
    )


def _number(value: Any) -> str | None:
    return clean.number(str(value), "") if value is not None else None


def _folded(value: Any) -> str:
    return str(value or "").strip().casefold()


def _bare(value: Any) -> str:
    return _folded(value).rstrip(".").lstrip("0")
