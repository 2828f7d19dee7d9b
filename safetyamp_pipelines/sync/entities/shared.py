"""What several entities share: who is employed, where a person or a vehicle is at home, who keeps a shared number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from safetyamp_pipelines.sync.model.clean import clean
from safetyamp_pipelines.sync.model.snapshot import Columns
from safetyamp_pipelines.sync.model.tables import Id, References

EMPLOYEES = "viewpoint/employees"
EMPLOYMENT = ("HireDate", "TermDate")


def is_active(columns: Columns, today: date | Sequence[date]) -> list[bool]:
    """By row: a hire date, and no termination date or one still to come. `ActiveYN` is not asked: it and `TermDate`
    disagree in practice. `today` is one day, or that of each row."""
    return [
        start is not None and (end is None or end > day) and not is_impossible(start, end)
        for (start, end), day in _employment(columns, today)
    ]


def has_left(columns: Columns, today: date | Sequence[date]) -> list[bool]:
    """By row: a termination date that has come, and that can be one."""
    return [
        end is not None and end <= day and not is_impossible(start, end)
        for (start, end), day in _employment(columns, today)
    ]


def is_impossible(start: str | None, end: str | None) -> bool:
    """Whether a termination date proves nothing: before the hire date, or of the year 1900, where empty dates go."""
    return end is not None and (end < "1901" or (start is not None and end < start))


def _employment(columns: Columns, today: date | Sequence[date]) -> Iterable[tuple[tuple[str | None, str | None], str]]:
    starts, ends = (clean(columns[f"{EMPLOYEES}.{name}"], "date").values for name in EMPLOYMENT)
    days = [today] * len(starts) if isinstance(today, date) else today
    return zip(zip(starts, ends, strict=True), map(date.isoformat, days), strict=True)


def owners(claims: Iterable[tuple[str, int, bool]], companies: tuple[int, ...]) -> dict[str, int]:
    """Number → the company whose record keeps it, of (number, company, is active): an active record goes before the
    others, then the order of sync.yaml decides."""
    best: dict[str, tuple[bool, int]] = {}
    for number, company, active in claims:
        mine = (not active, companies.index(company))
        best[number] = min(best.get(number, mine), mine)
    return {number: companies[index] for number, (_, index) in best.items()}


class HomeSites:
    """Sites as the plans before leave them. All keys are natural keys."""

    def __init__(self, expected: References) -> None:
        self._sites, self._clusters = expected["sites"], expected["site_clusters"]
        self._by_cluster: dict[Any, list[Id]] = {}
        for row_id, row in self._sites.rows.items():
            if isinstance(cluster := row.get("cluster_id"), str | int):
                self._by_cluster.setdefault(cluster, []).append(row_id)

    def of_job(self, job: str | None) -> str | None:
        """The site of a job key, if SafetyAmp has it or will have it."""
        return job if job and self._sites.id_of(job) is not None else None

    def home_office(self, department: str | None) -> str | None:
        """The site standing directly in the department's region cluster; of several, the one made first."""
        cluster = self._clusters.id_of(department) if department else None
        if cluster is None:
            return None
        region = self._clusters.rows[cluster].get("parent_cluster_id")
        candidates = self._by_cluster.get(region, []) if region is not None else []
        existing = sorted(row_id for row_id in candidates if isinstance(row_id, int))
        return self._sites.key_of(existing[0]) if existing else None
