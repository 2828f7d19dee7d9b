"""When schedules may start a sync, in sync.yaml. SYNC_INTERVAL_MINUTES says how often, SYNC_SCHEDULE whether at all."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from safetyamp_pipelines.sync.model.kinds import Positive, TimeZone
from safetyamp_pipelines.sync.rules.calendar import Freeze


class ScheduleConfig(BaseModel):
    """When schedules and sensors start a sync. A person may start one at any time."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    timezone: TimeZone = Field(
        default="America/Chicago", description="IANA time zone of the schedules and of the freezes."
    )
    freezes: tuple[Freeze, ...] = Field(default=(), description="Times in which nothing is started by itself.")
    quarantine_after: Positive = Field(
        default=3, description="So many unhealthy syncs in a row slow the rhythm to 1 hour, then 6 hours, then 1 day."
    )
