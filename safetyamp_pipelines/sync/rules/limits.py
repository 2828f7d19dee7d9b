"""The limits of sync.yaml: how much one plan may change before a person has to look (guards), and when people are
notified or a run stops (checks)."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from safetyamp_pipelines.sync.model.kinds import Positive, Section


class Limit(Section):
    """A plan may change the larger of `records` and `share` of the entity's records; more is refused."""

    records: Positive = Field(default=10, description="So many records are always allowed.")
    share: float = Field(gt=0, le=1, description="So is this share of the entity's records, 0 to 1.")

    def allows(self, number: int, size: int) -> bool:
        """Whether `number` of `size` records may change."""
        return number <= self.at_most(size)

    def at_most(self, size: int) -> int:
        """The most records of an entity of that size."""
        return max(self.records, int(self.share * size))


class Concentration(Section):
    """Switching people off, or clearing their values, may not hit one department or site too hard."""

    share: float = Field(default=0.5, gt=0, le=1, description="More than this share of a group is refused.")
    from_people: Positive = Field(default=5, description="Groups of fewer people are not looked at.")


class GuardsConfig(Section):
    """When a plan is refused until a person approves exactly that plan."""

    deactivations: Limit = Field(default=Limit(share=0.05), description="Records switched off.")
    cleared: Limit = Field(default=Limit(share=0.05), description="Records that lose a value.")
    moves: Limit = Field(default=Limit(share=0.25), description="Records that get another site, region or cluster.")
    updates: Limit = Field(
        default=Limit(share=0.5), description="Records of which a value is overwritten; filling empty ones is free."
    )
    creates: Limit = Field(
        default=Limit(share=1.0),
        description="Records created; free until the first whole sync of the entity has come to its end.",
    )
    concentration: Concentration = Field(default=Concentration(), description="The same, for one department or site.")
    same_value: Limit = Field(
        default=Limit(share=0.05),
        description="Records that get one and the same value in a field that tells them apart.",
    )
    second_person_above: Positive | None = Field(
        default=None,
        description="When a guard holds more changes than this, two people must approve them, each logged in as "
        "themselves; null: one is enough. All approvals from the Dagster UI, which does not tell who is logged in, "
        "are of one login: the other person uses the desk or `safetyamp approve`.",
    )
    shrunk_source: float = Field(
        default=0.2, gt=0, lt=1, description="A source with fewer rows than last time, by more than this share."
    )
    empty_sources: tuple[str, ...] = Field(
        default=("viewpoint/employees", "viewpoint/departments", "viewpoint/jobs", "entra/users"),
        description="Sources that are never empty in truth: without a row the plan is refused.",
    )


class RowCountLimits(Section):
    """When the size of a snapshot is worth a look, measured against the median of its last sizes."""

    history: Positive = Field(default=10, description="So many earlier snapshots are looked back upon.")
    records: Positive = Field(default=10, description="A difference of so many records is always ordinary.")
    fall: float = Field(default=0.1, gt=0, lt=1, description="A warning below the usual size by more than this share.")
    rise: float = Field(default=0.5, gt=0, description="A warning above the usual size by more than this share.")


class RejectedLimits(Section):
    """How many of an entity's records may be rejected."""

    from_records: Positive = Field(default=20, description="Entities of fewer records are not looked at.")
    warn: float = Field(default=0.2, gt=0, le=1, description="A warning above this share of the records.")
    error: float = Field(default=0.5, gt=0, le=1, description="The plan is not pushed above this share.")

    @model_validator(mode="after")
    def _warned_first(self) -> Self:
        if self.warn > self.error:
            raise ValueError("checks.rejected.warn is above checks.rejected.error: nobody would be warned")
        return self


class ChecksConfig(Section):
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
