"""What a world is made of, and the draft it is built in. No generation and no servers here."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

Row = dict[str, Any]

COMPANY = 1
TEST_COMPANY = 2
MOST_TAKEN = 0.6  # share of the employees that oddities may spoil; the rest stays fit to be synced


@dataclass(frozen=True)
class WorldSpec:
    """Size and seed of a world: equal specs give equal worlds.

    `employees`, `jobs` count rows of company 1; `departments` and `titles` follow the employees unless given;
    `present` is the share (0..1) that SafetyAmp already holds; `mess=False` leaves only clean, active records.
    `today` is the day the world was recorded: everything past lies before it, everything future in 2035.
    """

    seed: int = 1
    employees: int = 60
    jobs: int = 30
    vehicles: int = 12
    departments: int | None = None
    regions: int = 3
    titles: int | None = None
    present: float = 0.4
    mess: bool = True
    today: date = date(2026, 11, 20)

    def __post_init__(self) -> None:
        if min(self.employees, self.jobs, self.vehicles) < 0:
            raise ValueError("employees, jobs and vehicles cannot be negative")
        if not 1 <= self.regions <= 8:
            raise ValueError("regions must lie between 1 and 8")
        if not 1 <= self.department_count <= 90:
            raise ValueError("departments must lie between 1 and 90")
        if not 1 <= self.title_count <= 160:
            raise ValueError("titles must lie between 1 and 160")
        if not 0.0 <= self.present <= 1.0:
            raise ValueError("present is a share between 0 and 1")

    @property
    def department_count(self) -> int:
        """Departments of company 1: 8 for 60 employees, at most 25 unless asked for."""
        return self.departments if self.departments is not None else min(25, 7 + max(1, self.employees // 80))

    @property
    def title_count(self) -> int:
        """Distinct job titles before case and blanks: about one for thirteen employees."""
        return self.titles if self.titles is not None else min(150, max(6, self.employees // 13))


@dataclass
class World:
    """The truth of every system of the sandbox; hold `lock` while reading or changing it from several threads.

    - `viewpoint`: rows by table, complete as in the database (datetimes as text `YYYY-MM-DD HH:MM:SS`).
    - `entra`: users as Graph holds them, all properties; `manager` is the id of another user or None.
    - `samsara_vehicles`, `samsara_drivers`: list items, absent values left out; drivers also the deactivated ones.
    - `safetyamp`: rows by table in the shape SafetyAmp returns; site_clusters flat, without `children`; users of
      employees also with the `current_supervisor_id` it keeps to itself; a user with `deleted_at` is hidden from
      listings but still holds its e-mail.
    - `notes`: every planted oddity → the keys concerned (employee numbers, job keys, ids …).
    """

    spec: WorldSpec
    viewpoint: dict[str, list[Row]]
    entra: list[Row] = field(default_factory=list)
    samsara_vehicles: list[Row] = field(default_factory=list)
    samsara_drivers: list[Row] = field(default_factory=list)
    safetyamp: dict[str, list[Row]] = field(default_factory=dict)
    notes: dict[str, list[Any]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def noted(self, kind: str) -> list[Any]:
        """The keys planted under this kind of oddity; empty when the world is too small or clean for it."""
        return self.notes.get(kind, [])


def dice(spec: WorldSpec, topic: str) -> random.Random:
    """The dice of a topic: the same for equal seeds, and no other topic shifts them."""
    return random.Random(f"{spec.seed}/{topic}")


class Draft:
    """A world while it is being built: dice by topic, oddities by name, and who is spoilt already."""

    def __init__(self, spec: WorldSpec, tables: Iterable[str]) -> None:
        self.spec = spec
        self.world = World(spec, viewpoint={table: [] for table in tables})
        self.patterns: dict[int, str] = {}
        self.accounts: dict[int, Row] = {}
        self._taken: set[int] = set()
        self._domains: dict[str, set[int]] = {}

    def dice(self, topic: str) -> random.Random:
        """Dice of their own for each topic, so that one part of the world does not shift the others."""
        return dice(self.spec, topic)

    def day(self, days_ago: int) -> str:
        """Midnight that many days before the world's today, as Viewpoint stores it."""
        return f"{self.spec.today - timedelta(days=days_ago)} 00:00:00"

    def note(self, kind: str, *keys: Any) -> None:
        """Write down that these keys carry the oddity `kind`."""
        if keys:
            self.world.notes.setdefault(kind, []).extend(keys)

    def count(self, share: float, at_least: int = 1) -> int:
        """How many employees a share is, never fewer than `at_least`."""
        return max(at_least, round(share * self.spec.employees))

    @property
    def people(self) -> list[Row]:
        """The employees of company 1."""
        return [row for row in self.world.viewpoint["bPREH"] if row["PRCo"] == COMPANY]

    def take(self, kind: str, share: float = 0.003, at_least: int = 1, *, in_pairs: bool = False) -> list[Row]:
        """Employees for an oddity that changes what becomes of them, each taken once; none when the room is used up."""
        room = int(MOST_TAKEN * self.spec.employees) - len(self._taken)
        pool = [row for row in self.people if self.is_clean(row, "life", "site")]
        wanted = self.count(share, at_least)
        wanted += wanted % 2 if in_pairs else 0
        if wanted > room or wanted > len(pool):
            return []
        chosen = sorted(self.dice(f"take/{kind}").sample(pool, wanted), key=lambda row: row["Employee"])
        self._taken.update(row["Employee"] for row in chosen)
        self.note(kind, *(row["Employee"] for row in chosen))
        return chosen

    def sample(
        self,
        kind: str,
        domain: str,
        share: float = 0.005,
        at_least: int = 1,
        *,
        in_pairs: bool = False,
        where: Callable[[Row], bool] = lambda _row: True,
    ) -> list[Row]:
        """Employees for an oddity that leaves them fit to be synced: once per `domain`, never somebody taken."""
        used = self._domains.setdefault(domain, set())
        pool = [r for r in self.people if r["Employee"] not in self._taken | used and where(r)]
        wanted = min(self.count(share, at_least), len(pool))
        wanted -= wanted % 2 if in_pairs else 0
        chosen = self.dice(f"sample/{kind}").sample(pool, wanted)
        chosen.sort(key=lambda row: row["Employee"])
        used.update(row["Employee"] for row in chosen)
        self.note(kind, *(row["Employee"] for row in chosen))
        return chosen

    def is_clean(self, row: Row, *domains: str) -> bool:
        """Whether nobody has taken this employee, and none of the domains has used them."""
        number = row["Employee"]
        return number not in self._taken and not any(number in self._domains.get(d, ()) for d in domains)
