"""What Dagster costs: a run at rest (nothing to change) against the same work in plain Python, in one process each.

    python benchmarks/run_at_rest.py [employees]

Both read every source and SafetyAmp from the embedded world, plan all entities and find nothing to write. The peer
calls the same clients and planners with no Dagster, no snapshots on disk and no checks. Prints seconds and the ratio.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from time import perf_counter

import dagster as dg

from safetyamp_pipelines.cli.running import run_entities
from safetyamp_pipelines.operations.journal import remembered
from safetyamp_pipelines.operations.opening import open_ledger
from safetyamp_pipelines.operations.progress import LogProgress
from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.registry import ENTITIES
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.planning.derive import plan_entity
from safetyamp_pipelines.sync.planning.expected import expected_references
from safetyamp_pipelines.systems.entra import graph_client
from safetyamp_pipelines.systems.safetyamp import safetyamp_client
from safetyamp_pipelines.systems.samsara import samsara_client
from safetyamp_pipelines.systems.viewpoint.reader import viewpoint_reader

ROUNDS = 5
READ_AT = "2026-11-20T10:00:00Z"
TABLES = ("site_clusters", "sites", "user_titles", "roles", "users", "asset_types", "assets")


def plain(settings: Settings) -> int:
    """Read, plan, count the changes."""
    config = settings.sync_config()
    snapshots = viewpoint_reader(settings).read_all(READ_AT)
    snapshots["entra/users"] = graph_client(settings).list_users(expand_manager=True, read_at=READ_AT)
    samsara, safetyamp = samsara_client(settings), safetyamp_client(settings)
    snapshots["samsara/vehicles"] = samsara.list_vehicles(read_at=READ_AT)
    snapshots["samsara/drivers"] = samsara.list_drivers(read_at=READ_AT)
    observed = {t: safetyamp.list_table(t, read_at=READ_AT, previous_rows=None) for t in TABLES}
    snapshots |= {f"safetyamp_observed/{table}": snapshot for table, snapshot in observed.items()}
    earlier = []
    with open_ledger(settings) as ledger:
        for spec in ENTITIES:
            expected = expected_references({t: s.records for t, s in observed.items()}, earlier)
            inputs = Inputs(snapshots, expected, remembered(ledger, spec.name), config)
            earlier.append((spec, plan_entity(spec, inputs, config)))
    return sum(len(plan.changes) for _, plan in earlier)


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = perf_counter()
    work()
    return perf_counter() - started


def main() -> None:
    """Alternate the two and print medians."""
    employees = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    names = [spec.name for spec in ENTITIES]
    # Without the mess: its mass changes are what guards refuse.
    spec = WorldSpec(employees=employees, jobs=employees // 2, vehicles=max(12, employees // 20), mess=False)
    with Sandbox(spec, TargetOptions(calls=1_000_000)) as box:
        settings = load_settings(box.environment, env_file=None)

        def in_dagster() -> object:
            return run_entities(names, push=True, environ=box.environment, progress=LogProgress())

        in_dagster()
        assert plain(settings) == 0
        with_dagster, without = [], []
        for _ in range(ROUNDS):
            with_dagster.append(timed(in_dagster))
            without.append(timed(lambda: plain(settings)))
    ratio = statistics.median(a / b for a, b in zip(with_dagster, without, strict=True))
    print(f"{employees} employees at rest, dagster {dg.__version__}, {ROUNDS} rounds, medians")
    print(f"in Dagster   {statistics.median(with_dagster):6.2f} s  (every check, snapshots stored)")
    print(f"plain Python {statistics.median(without):6.2f} s")
    print(f"ratio        {ratio:6.2f}")


if __name__ == "__main__":
    main()
