"""Checks on snapshots, made from the declared schemas: one step a table judges whether it is whole and right.

Each check keeps a result of its own; a failed one with severity ERROR stops what depends on the table.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median_low

import dagster as dg

from safetyamp_pipelines.checks.column_checks import judge_schema
from safetyamp_pipelines.checks.judged import Judged, Level, judged_checks, worst
from safetyamp_pipelines.resources.keys import asset_key
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sync.entities.registry import SCHEMAS
from safetyamp_pipelines.sync.model.columns import OBSERVED
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.rules.limits import RowCountLimits

ROWS = "dagster/row_count"
CHECKS = {
    "certificate": "The snapshot is whole and its keys are unique. Red? Materialise it again; if it stays red, two "
    "records of the source share a key, which the metadata names: correct one of them there.",
    "schema": "The columns that the sync reads are there and of their type, keys are never null. Red? The source, or "
    "the view that is read, has changed: the metadata names the column. Put it back, or name it in `sync.yaml`. "
    "Yellow: a column of this site's own has no values. New columns are only reported.",
    "row_count": "About as many rows as usual. Red? The source is empty and was not: see its grants and companies in "
    "`sync.yaml` before anything else. Yellow: many rows more or fewer than usual, so look why.",
}
"""What each check says of itself in the UI."""


def snapshot_checks(table: str) -> dg.AssetChecksDefinition:
    """The blocking checks of one snapshot; loading it verifies that it fits its certificate."""

    @judged_checks(table, CHECKS, "safetyamp doctor", ins={"snapshot": table}, blocking=True)
    def checks(
        context: dg.AssetCheckExecutionContext, sync_settings: SettingsResource, snapshot: Snapshot
    ) -> Mapping[str, Judged]:
        config = sync_settings.get().sync_config()
        limits, schema = config.checks.row_count, SCHEMAS[table].with_site(config.site_columns(table))
        before = sizes_before(context.instance, asset_key(table), limits.history)
        return {
            "certificate": judge_certificate(snapshot),
            "schema": judge_schema(schema, snapshot.records),
            "row_count": judge_rows(len(snapshot.records), before, limits, may_rise=table.startswith(OBSERVED)),
        }

    return checks


def judge_certificate(snapshot: Snapshot) -> Judged:
    """Whether the read was certified whole and no key came twice; loading it showed that it fits its records."""
    held = snapshot.certificate
    assert held is not None
    more = {"rows": held.rows, "unique_keys": held.unique_keys, "pages": held.pages, "read_at": held.read_at}
    notices = {"notices": "\n".join(snapshot.notices)} if snapshot.notices else {}
    level = Level.FINE if held.rows == held.unique_keys else Level.ERROR
    return Judged(
        level,
        f"{held.unique_keys} different keys in {held.rows} rows",
        "as many keys as rows",
        keys=_duplicate_keys(snapshot) if level is Level.ERROR else (),
        more={**more, **notices},
    )


def _duplicate_keys(snapshot: Snapshot) -> tuple[str, ...]:
    """The keys that several records have, in the columns that should tell them apart."""
    columns = SCHEMAS[snapshot.table].key
    keys = Counter("/".join(str(record.get(column)) for column in columns) for record in snapshot.records)
    return tuple(sorted(key for key, number in keys.items() if number > 1))


def sizes_before(instance: dg.DagsterInstance, key: dg.AssetKey, limit: int) -> list[int]:
    """The sizes of the snapshots before the newest, newest first; the newest is the one that is looked at."""
    made = [record.asset_materialization for record in instance.fetch_materializations(key, limit=limit + 1).records]
    sizes = [one.metadata[ROWS].value for one in made[1:] if one is not None and ROWS in one.metadata]
    return [int(size) for size in sizes if isinstance(size, int)]


def judge_rows(rows: int, before: Sequence[int], limits: RowCountLimits, *, may_rise: bool = False) -> Judged:
    """Emptied is an error, far from the usual size a warning. Once all that is remembered is empty, empty is usual.

    The usual size is the median of those that were not empty: a faulty read hides neither itself nor the next one.
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


table_checks = [snapshot_checks(table) for table in SCHEMAS]
