"""The sensor that ends runs whose process was killed. How: `resources/dead_runs.py`."""

import dagster as dg

from safetyamp_pipelines.resources.dead_runs import end_dead_runs
from safetyamp_pipelines.resources.systems import LedgerResource

EVERY_SECONDS = 30


@dg.sensor(
    name="dead_runs",
    minimum_interval_seconds=EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process on this machine was killed, or that had no heartbeat in the ledger for two "
    "minutes, so that they block no other run. Always on.",
)
def dead_runs_sensor(context: dg.SensorEvaluationContext, ledger: LedgerResource) -> dg.SkipReason:
    """Starts nothing."""
    dead = end_dead_runs(context.instance, lambda: ledger.get().silent_runs())
    return dg.SkipReason(f"ended, since they are dead: {', '.join(dead)}" if dead else "no run is dead")
