"""The limits of sync.yaml: how much one plan may change before a person has to look (guards), and when people are
notified or a run stops (checks)."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from safetyamp_pipelines.sync.model.kinds import Positive, Section


class Limit(Section):
    """A plan may change the larger of `records` and `share` of the entity's records; more is held."""

    records: Positive = Field(default=10, description="This many records are always allowed.")
    share: float = Field(gt=0, le=1, description="This share of the entity's records is always allowed, 0 to 1.")

    def allows(self, number: int, size: int) -> bool:
        """Whether `number` of `size` records may change."""
        return number <= self.at_most(size)

    def at_most(self, size: int) -> int:
        """The most records of an entity of that size."""
        return max(self.records, int(self.share * size))


class Concentration(Section):
    """Switching people off, or clearing their values, may not hit one department or site too hard."""

    share: float = Field(default=0.5, gt=0, le=1, description="More than this share of a group is held.")
    from_people: Positive = Field(default=5, description="Groups of fewer people are not considered.")


class GuardsConfig(Section):
    """How many changes of a kind are held until a person approves exactly those changes."""

    deactivations: Limit = Field(
        default=Limit(share=0.05),
        description="Records switched off: held above the larger of `records` and this `share` of the entity.",
    )
    cleared: Limit = Field(default=Limit(share=0.05), description="Records that lose a value.")
    moves: Limit = Field(default=Limit(share=0.25), description="Records that get another site, region or cluster.")
    updates: Limit = Field(
        default=Limit(share=0.5),
        description="Records of which a value is overwritten; filling empty ones is unlimited.",
    )
    creates: Limit = Field(
        default=Limit(share=1.0),
        description="Records created; unlimited until the first whole sync of the entity has completed.",
    )
    concentration: Concentration = Field(default=Concentration(), description="The same, in one department or site.")
    same_value: Limit = Field(
        default=Limit(share=0.05),
        description="Records that get the same value in a field that should tell them apart.",
    )
    second_person_above: Positive | None = Field(
        default=None,
        description="When a guard holds more changes than this, two people must approve them, each logged in as "
        "themselves; null: one is enough. All approvals from the Dagster UI, which does not tell who is logged in, "
        "count as one person's: the other uses the desk behind its login proxy, or `safetyamp approve` under another "
        "login.",
    )
    shrunk_source: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="What comes from a source that lost more than this share of its rows since the last push is held.",
    )
    empty_sources: tuple[str, ...] = Field(
        default=("viewpoint/employees", "viewpoint/departments", "viewpoint/jobs", "entra/users"),
        description="Sources that are never really empty: without a row the plan is refused.",
    )


class RowCountLimits(Section):
    """When the size of a snapshot is worth a look, measured against the median of its last sizes."""

    history: Positive = Field(default=10, description="How many earlier snapshots the median is taken from.")
    records: Positive = Field(default=10, description="A difference of this many records is always normal.")
    fall: float = Field(
        default=0.1, gt=0, lt=1, description="Warns when a table shrank by more than this share of its usual size."
    )
    rise: float = Field(
        default=0.5, gt=0, description="Warns when a source grew by more than this share of its usual size."
    )


class RejectedLimits(Section):
    """How many of an entity's records may be rejected."""

    from_records: Positive = Field(default=20, description="Entities with fewer records are not considered.")
    warn: float = Field(default=0.2, gt=0, le=1, description="Warns above this share of the records.")
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
