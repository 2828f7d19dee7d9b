"""How the pushes of one run are carried out: one small form in the launchpad that holds for all of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from safetyamp_pipelines.assets.verified import newest_hashes
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import Plan

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger

APPROVED_FOR = timedelta(hours=24)
LEAST_CHARACTERS = 8


class PushConfig(dg.ConfigurableResource[None]):
    """What the person who starts a run may ask of its pushes; the schedules ask nothing."""

    dry_run: bool = Field(
        default=False,
        description="Send nothing. The plans are made and checked, and the first push notes what it would have done.",
    )
    approve_plan: str = Field(
        default="",
        description="The hash of a plan that a guard refused, or its beginning: that plan is pushed, or nothing.",
    )
    approve_reason: str = Field(default="", description="Why that plan is right; it is kept for ever.")
    approved_by: str = Field(default="", description="Your name; it is kept for ever.")
    only_keys: list[str] = Field(
        default=[],
        description="Push these records and no others, each as entity/key, such as employees/100482. Everything is "
        "planned as ever; the others end as not pushed. Launch the job of that entity, such as sync_employees.",
    )

    def keys_of(self, entity: str) -> tuple[str, ...]:
        """The source keys of the entity that the run is about; none means all. PlanRefused for what names no record."""
        named = [text.strip().partition("/") for text in self.only_keys]
        for asked, (name, _, key) in zip(self.only_keys, named, strict=True):
            if name not in BY_NAME or not key:
                raise PlanRefused(f"only_keys takes entity/key, such as employees/100482, and not {asked!r}")
        return tuple(sorted({key for name, _, key in named if name == entity}))

    def refuse_unasked(self, plan: Plan) -> None:
        """PlanRefused when the run is about other records than the plan that it is to push."""
        keys = self.keys_of(plan.entity)
        if self.only_keys and not keys:
            named = sorted({text.strip().partition("/")[0] for text in self.only_keys})
            jobs = " or ".join(f"sync_{name}" for name in named)
            raise PlanRefused(f"only_keys names no record of {plan.entity}, which this run pushes too: launch {jobs}")
        if keys and keys != plan.only:
            raise PlanRefused(
                f"the plan for {plan.entity} was not made for {', '.join(keys)} alone: launch "
                f"sync_{plan.entity}, which plans anew"
            )

    def approve_if_meant(self, plan: Plan, ledger: Ledger) -> None:
        """Record the approval when it names exactly this plan. Before the plan's checks: they ask for it."""
        if not self.approve_plan or self.dry_run:
            return
        self._refuse_incomplete()
        if plan.hash.startswith(self._wanted) and ledger.approval(plan.hash) is None:
            ledger.approve(plan.hash, plan.entity, self.approved_by, self.approve_reason, APPROVED_FOR)

    def refuse_unmet(self, instance: dg.DagsterInstance) -> None:
        """PlanRefused when the plan that was to be approved is no entity's newest: what would be pushed is another."""
        if not self.approve_plan or self.dry_run:
            return
        self._refuse_incomplete()
        if not any(found.startswith(self._wanted) for found in newest_hashes(instance)):
            raise PlanRefused(
                f"plan {self._wanted[:12]} was to be approved, and no plan is that one any more: the sources, or "
                "SafetyAmp, have changed since it was reviewed. Look at the new plans, then approve the right one"
            )

    @property
    def _wanted(self) -> str:
        return self.approve_plan.strip().lower()

    def _refuse_incomplete(self) -> None:
        if len(self._wanted) < LEAST_CHARACTERS:
            raise PlanRefused(f"approve_plan is too short: give at least {LEAST_CHARACTERS} characters of the hash")
        for name in ("approve_reason", "approved_by"):
            if not getattr(self, name).strip():
                raise PlanRefused(f"an approval needs {name}: it is recorded with name and reason")
