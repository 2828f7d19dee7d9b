"""What several entities share: who is employed, and where a person or a vehicle is at home."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd

from safetyamp_pipelines.sync.model.clean import clean
from safetyamp_pipelines.sync.model.tables import Id, References

SOURCE = "viewpoint/employees"
COLUMNS = ("HireDate", "TermDate")


def is_active(frame: pd.DataFrame, today: date) -> pd.Series:
    """Boolean column: a hire date, and no termination date or one still to come. `ActiveYN` is not asked: it and
    `TermDate` disagree in practice."""
    hired = clean(frame[f"{SOURCE}.HireDate"], "date")
    return hired.values.notna() & ~has_left(frame, today)


def has_left(frame: pd.DataFrame, today: date) -> pd.Series:
    """Boolean column: a termination date that has come."""
    ends = clean(frame[f"{SOURCE}.TermDate"], "date")
    has_ended = [end is not None and end <= today.isoformat() for end in ends.values]
    return pd.Series(has_ended, index=frame.index, dtype=bool)


class HomeSites:
    """Sites as the plans before leave them. All keys are natural keys."""

    def __init__(self, expected: References) -> None:
        self._sites, self._clusters = expected["sites"], expected["site_clusters"]
        self._by_cluster: dict[Any, list[Id]] = {}
        for row_id, row in self._sites.rows.items():
            self._by_cluster.setdefault(row.get("cluster_id"), []).append(row_id)

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
