"""How the pushes of one run are carried out: one small form in the launchpad that holds for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field, PrivateAttr

from safetyamp_pipelines.operations.decisions import LASTS, Decider, approve_held
from safetyamp_pipelines.operations.plan_step import LEAST_CHARACTERS
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import Plan

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger

LOGIN = "the Dagster UI"
"""The login of every approval given in a run: Dagster itself knows no users."""


class PushConfig(dg.ConfigurableResource[None]):
    """What the person who starts a run may ask of its pushes; the schedules ask nothing."""

    dry_run: bool = Field(
        default=False,
        description="Send nothing. The plans are made and checked, as trials that are never pushed, and each push "
        "notes what it would have done.",
    )
    approve_plan: str = Field(
        default="",
        description="The hash of the changes that a guard holds, or its beginning, from the check `guards`: they are "
        "pushed with the rest, or nothing is.",
    )
    approve_reason: str = Field(default="", description="Why they are right; it is kept for ever.")
    approved_by: str = Field(default="", description="Your name; it is kept for ever.")
    only_keys: list[str] = Field(
        default=[],
        description="Push these records and no others, each as entity/key, such as employees/100482. Everything is "
        "planned as usual; the others end as not pushed. Launch the job of that entity, such as sync_employees.",
    )

    _is_met: bool = PrivateAttr(default=False)
    _second: str | None = PrivateAttr(default=None)

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

    def approve_if_meant(self, plan: Plan, ledger: Ledger) -> bool:
        """Approve the changes that a guard holds when the form names exactly them; whether it did."""
        if not self.approve_plan or self.dry_run:
            return False
        self._refuse_incomplete()
        for guard in plan.held_by():
            if plan.held_hash(guard).startswith(self._wanted):
                held = [(one.change.source_key, one.change.hash) for one in plan.held if one.guard == guard]
                by = Decider(self.approved_by, LOGIN, self.approve_reason)
                _, self._second = approve_held(ledger, plan, guard, held, by, LASTS)
                self._is_met = True
                return True
        return False

    def refuse_unmet(self) -> None:
        """PlanRefused when what was to be approved is held by no plan: what would be pushed is something else."""
        if not self.approve_plan or self.dry_run:
            return
        self._refuse_incomplete()
        if self._second is not None:
            raise PlanRefused(f"{self._second}: `safetyamp approve {self._wanted[:12]} --reason …`. Nothing is pushed")
        if not self._is_met:
            raise PlanRefused(
                f"{self._wanted[:12]} was to be approved, and no guard holds exactly these changes any more: the "
                "sources, or SafetyAmp, have changed since they were reviewed. Look at the new plans, then approve"
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
