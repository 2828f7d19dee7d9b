"""The whole answer for one run: all five syncs in order over one book."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from oracle.book import Book, Row, Tables, read
from oracle.cleaning import key, text
from oracle.people import Directory, People, Places, Remembered, is_active, latest_jobs
from oracle.places import Links, departments, jobs, titles
from oracle.vehicles import Fleet
from oracle.verdicts import Verdicts

PACKAGED_RULES = Path(__file__).parents[2] / "safetyamp_pipelines" / "sync.yaml"


class World(Protocol):
    """The raw sources."""

    viewpoint: dict[str, list[Row]]
    entra: list[Row]
    samsara_vehicles: list[Row]
    samsara_drivers: list[Row]


@dataclass
class Memory:
    """What the syncs before this one have learnt: links, and who was active."""

    clusters: Links = field(default_factory=dict)
    sites: Links = field(default_factory=dict)
    assets: Links = field(default_factory=dict)
    people: Remembered = field(default_factory=Remembered)


@dataclass
class Answer:
    """What SafetyAmp should hold afterwards, what becomes of the source records, and what the next run will know."""

    book: Book
    verdicts: dict[str, Verdicts]
    memory: Memory


def business_rules(*files: Path) -> dict[str, Any]:
    """The packaged defaults with each file laid over them, section by section."""
    rules: dict[str, Any] = {}
    for file in (PACKAGED_RULES, *files):
        for section, values in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).items():
            rules[section] = {**rules.get(section, {}), **values} if isinstance(values, dict) else values
    return rules


def work_out(world: World, before: Tables, rules: Mapping[str, Any], memory: Memory | None = None) -> Answer:
    """The state in which one sync should leave SafetyAmp; `before` holds the deleted users too.

    `memory` is not changed; the answer has what the next run will know.
    """
    reserved = {row["email"].lower() for row in before["users"] if row["deleted_at"]}
    before = visible(before)
    memory = copy.deepcopy(memory or Memory())
    book, verdicts = read(before), {e: Verdicts() for e in ("departments", "jobs", "titles", "vehicles")}
    companies, today = rules["companies"], datetime.datetime.now(datetime.UTC).date().isoformat()
    prdp, preh, prth = (_of(world.viewpoint[table], "PRCo", companies) for table in ("bPRDP", "bPREH", "bPRTH"))
    jcjm, jccm = (_of(world.viewpoint[table], "JCCo", companies) for table in ("bJCJM", "bJCCM"))

    _, regions = departments(book, prdp, memory.clusters, verdicts["departments"])
    sites = jobs(book, jcjm, jccm, rules["jobs"], memory.sites, verdicts["jobs"])
    known_titles = titles(book, [row for row in preh if is_active(row, today)], verdicts["titles"])
    branches = {key(row["PRDept"]): region for row in prdp if (region := text(row["udRegion"]))}
    places = Places(sites, regions, branches, known_titles)
    people = People(book, places, rules["employees"], memory.people, reserved)
    latest = latest_jobs(prth, jcjm, companies, rules["jobs"]["open_statuses"])
    people.sync(preh, Directory(world.entra), latest, today)
    drivers = {row["id"]: row for row in world.samsara_drivers}
    fleet = Fleet(book, places, people.tokens, drivers, rules["vehicles"], memory.assets, verdicts["vehicles"])
    fleet.sync(world.samsara_vehicles)
    return Answer(book, {**verdicts, "employees": people.verdicts}, memory)


def visible(tables: Tables) -> Tables:
    """Without the deleted records, which no listing shows."""
    return {table: [row for row in rows if not row.get("deleted_at")] for table, rows in tables.items()}


def _of(rows: Iterable[Row], column: str, companies: list[int]) -> list[Row]:
    return [row for row in rows if row[column] in companies]
