"""What the log tells of a plan and of a push: counts, refusals by guards, and the session on every line of a push."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from safetyamp_pipelines.settings.logs import get_logger, log_context

if TYPE_CHECKING:
    from safetyamp_pipelines.sync.model.plan import Plan
    from safetyamp_pipelines.sync.pushing.outcomes import PushResult
    from safetyamp_pipelines.sync.pushing.push import Push

log = get_logger(__name__)


def log_plan(plan: Plan) -> None:
    """One line with counts, and one for each guard that refuses the plan."""
    log.info("planned", plan=plan.hash[:12], changes=len(plan.changes), verdicts=plan.counts())
    for refused in plan.refused:
        log.warning("guard_refuses", guard=refused.guard, figures=refused.figures, setting=refused.setting)


def run_logged(push: Push, session: int) -> PushResult:
    """Run the push; whoever reads the log finds the session in the ledger."""
    planned = Counter(str(change.action) for change in push.plan.changes)
    with log_context(session=session):
        log.info("push_begins", plan=push.plan.hash[:12], planned=dict(sorted(planned.items())))
        try:
            result = push.run()
        except BaseException as error:
            log.error("push_broke_off", error=type(error).__name__)
            raise
        tell = log.info if result.stopped is None and not result.has_failed() else log.warning
        tell(
            "push_ended",
            verdicts=result.counts(),
            writes=result.writes,
            calls=result.attempts,
            **({} if result.stopped is None else {"stopped": result.stopped}),
        )
    return result
