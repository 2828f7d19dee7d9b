"""The size of a snapshot against the sizes it used to have. What stops a push for it are the guards on plans."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

import dagster as dg

from safetyamp_pipelines.checks.judged import Judged, Level, worst
from safetyamp_pipelines.sync.rules.limits import RowCountLimits

ROWS = "dagster/row_count"


def sizes_before(instance: dg.DagsterInstance, key: dg.AssetKey, limit: int) -> list[int]:
    """The sizes of the snapshots before the newest, newest first; the newest is the one that is looked at."""
    made = [record.asset_materialization for record in instance.fetch_materializations(key, limit=limit + 1).records]
    sizes = [one.metadata[ROWS].value for one in made[1:] if one is not None and ROWS in one.metadata]
    return [int(size) for size in sizes if isinstance(size, int)]


def judge_rows(rows: int, before: Sequence[int], limits: RowCountLimits, *, may_rise: bool = False) -> Judged:
    """Emptied is an error, far from the usual size a warning. Once all that is remembered is empty, empty is usual.

    The usual size is the median of those that were not empty: a sick read neither hides itself nor the next one.
    """
    filled = [size for size in before if size > 0]
    if not filled:
        return Judged(Level.FINE, f"{rows} rows", "none: no earlier snapshot with rows is known")
    usual = median_low(filled)
    least = usual - max(limits.records, int(limits.fall * usual))
    most = usual + max(limits.records, int(limits.rise * usual))
    is_odd = rows < least or (rows > most and not may_rise)
    upto = "" if may_rise else f" to {most}"
    return Judged(
        worst((rows == 0, Level.ERROR), (is_odd, Level.WARNING)),
        f"{rows} rows, usually {usual}",
        f"not empty, and {max(least, 0)}{upto} rows without a warning (checks.row_count in sync.yaml)",
        more={"rows_before": ", ".join(map(str, before))},
    )
