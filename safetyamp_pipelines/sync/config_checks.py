"""The limits of the asset checks in sync.yaml: when people are told, and when a snapshot or plan stops the run.

What a push may change at once is limited by the guards (`config_guards.py`), which a person can overrule.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from safetyamp_pipelines.sync.model.kinds import Positive
from safetyamp_pipelines.sync.rules.limits import Limit


class _Limits(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class RowCountLimits(_Limits):
    """When the size of a snapshot is worth a look, measured against the median of its last sizes."""

    history: Positive = Field(default=10, description="So many earlier snapshots are looked back upon.")
    records: Positive = Field(default=10, description="A difference of so many records is always ordinary.")
    fall: float = Field(default=0.1, gt=0, lt=1, description="A warning below the usual size by more than this share.")
    rise: float = Field(default=0.5, gt=0, description="A warning above the usual size by more than this share.")


class RejectedLimits(_Limits):
    """How many of an entity's records may be rejected."""

    from_records: Positive = Field(default=20, description="Entities of fewer records are not looked at.")
    warn: float = Field(default=0.2, gt=0, le=1, description="A warning above this share of the records.")
    error: float = Field(default=0.5, gt=0, le=1, description="The plan is not pushed above this share.")

    @model_validator(mode="after")
    def _warned_first(self) -> Self:
        if self.warn > self.error:
            raise ValueError("checks.rejected.warn is above checks.rejected.error: nobody would be warned")
        return self


class ChecksConfig(_Limits):
    """The limits of the checks that people see on the assets."""

    row_count: RowCountLimits = Field(default=RowCountLimits(), description="The size of a snapshot.")
    rejected: RejectedLimits = Field(default=RejectedLimits(), description="Records that cannot be synced.")
    refused: Limit = Field(
        default=Limit(share=0.1),
        description="Records that SafetyAmp refuses: any is a warning, more than this an error.",
    )
    leaver_hours: Positive = Field(
        default=24, description="Hours after which somebody who left must be switched off in SafetyAmp."
    )
