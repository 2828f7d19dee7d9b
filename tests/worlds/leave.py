"""What people have approved in a world, kept beside the ledger and by other means: it judges what runs push."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from safetyamp_pipelines.operations.decisions import Decider, approve
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.model.plan import Change, Plan
from safetyamp_pipelines.sync.model.snapshot import canonical_json
from worlds.story import Approve


@dataclass
class Given:
    """An approval of one change, by one login, until a time; given after the `run`-th run."""

    entity: str
    key: str
    what: str
    login: str
    until: datetime
    run: int
    is_used: bool = False


@dataclass
class Leave:
    """The approvals of a world. `seen` is the latest time that anybody asked for them."""

    given: list[Given] = field(default_factory=list)
    seen: datetime | None = None

    def ask(self, ledger: Any, plans: dict[str, Plan], step: Approve, now: datetime, run: int) -> None:
        """Approve what those plans hold, through the door that every surface uses."""
        sets = [(plan, guard) for plan in plans.values() for guard in plan.held_by()]
        for plan, guard in sets if step.nth is None else sets[step.nth % len(sets) :][:1] if sets else ():
            held = [one.change for one in plan.held if one.guard == guard]
            if step.record is not None:
                held = [held[step.record % len(held)]]
            until = self.pass_to(now) + timedelta(hours=step.hours)
            try:
                approve(
                    _Shelf(plans),  # type: ignore[arg-type]  # as much of a store as is asked
                    ledger,
                    plan.held_hash(guard)[:12],
                    Decider("Ann", step.login, "it is right"),
                    lasts=timedelta(hours=step.hours),
                    keys=[change.source_key for change in held],
                )
            except Refusal:
                assert all(step.login in self.standing(plan.entity, one) for one in held), "it was not said twice"
                continue
            self.given += [Given(plan.entity, one.source_key, what(one), step.login, until, run) for one in held]

    def pass_to(self, now: datetime) -> datetime:
        """Approvals are asked for at that time: what has expired by then has done so for good."""
        self.seen = max(self.seen or now, now)
        return self.seen

    def standing(self, entity: str, change: Change) -> set[str]:
        """Who has approved exactly this change, and it still counts."""
        return {
            one.login
            for one in self.given
            if (one.entity, one.key, one.what) == (entity, change.source_key, what(change))
            and not one.is_used
            and (self.seen is None or one.until > self.seen)
        }

    def use(self, pushed: Iterable[tuple[str, Change]], run: int) -> None:
        """The `run`-th run has pushed these changes."""
        done = {(entity, change.source_key, what(change)) for entity, change in pushed}
        for one in self.given:
            one.is_used |= one.run < run and (one.entity, one.key, one.what) in done


def what(change: Change) -> str:
    """What an approval is for: of which record of SafetyAmp which values are to become which."""
    fields = {name: list(pair) for name, pair in change.fields.items()}
    return canonical_json([str(change.action), change.target_id, fields])


@dataclass(frozen=True)
class _Shelf:
    """The newest plans as the store of snapshots would give them."""

    plans: dict[str, Plan]

    def newest(self, name: str) -> str | None:
        kind, _, entity = name.partition("/")
        return entity if kind == "plan" and entity in self.plans else None

    def read(self, entity: str) -> bytes:
        return self.plans[entity].to_bytes()


def needs_two(plan: Plan, key: str, above: int | None) -> bool:
    """Whether a guard that holds so many changes that two people must approve them holds this one. `plan` is one that
    nobody has approved anything of."""
    return above is not None and any(key in guard.keys and len(guard.keys) > above for guard in plan.refused)
