"""How a push went, judged from what it left behind: the ledger, the budget's record and the table. Calls nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import takewhile

from safetyamp_pipelines.checks.judged import Judged, Level, worst
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.employees import SPEC as EMPLOYEES
from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.plan import NOT_DONE, OUTCOME_OF, Outcome
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.planning.conditions import rows_in_scope
from safetyamp_pipelines.sync.planning.proofs import leavers_still_on
from safetyamp_pipelines.sync.rules.limits import Limit
from safetyamp_pipelines.systems.http.budget import LONGEST_SETTLE
from safetyamp_pipelines.systems.http.budget_postgres import booked_calls


def judge_refused(ledger: Ledger, spec: EntitySpec, limit: Limit) -> Judged:
    """What SafetyAmp refuses, now and since earlier, but for what a person has dismissed."""
    remembered = ledger.failures(spec.name)
    refused = [
        key
        for key in ledger.standing(spec.name, [Outcome.FAILED])
        if key in remembered and remembered[key].state != "dismissed"
    ]
    size = sum(number for outcome, number in _counts(ledger, spec).items() if outcome != Outcome.OUT_OF_SCOPE)
    most = limit.at_most(size)
    return Judged(
        worst((bool(refused), Level.WARNING), (len(refused) > most, Level.ERROR)),
        f"SafetyAmp refuses {len(refused)} of {size} records",
        f"none without a warning, {most} at most (checks.refused in sync.yaml)",
        keys=tuple(refused),
        more={"look_closer": "safetyamp failures list", "job": "retry_failures"},
    )


def judge_left(ledger: Ledger, spec: EntitySpec) -> Judged:
    """What the newest plan wanted and the push left undone. Refusals that stand are not planned again."""
    sessions = ledger.sessions(1, entity=spec.name)
    pushed_in = sessions[0].run_id if sessions else None
    planned_in = next((run.run_id for run in ledger.runs(spec.name, 1)), None)
    wanted = [] if pushed_in == planned_in else list(OUTCOME_OF.values())  # planned since, and never pushed
    refused = ledger.failures(spec.name)
    left = {key: how for key, how in ledger.standing(spec.name, [*NOT_DONE, *wanted]).items() if key not in refused}
    kinds = {how: sum(each == how for each in left.values()) for how in sorted(set(left.values()))}
    how_many = ", ".join(f"{number} {how}" for how, number in kinds.items())
    return Judged(
        worst((bool(left), Level.WARNING)),
        f"{len(left)} changes are left" + (f": {how_many}" if how_many else ""),
        "none",
        keys=tuple(left),
    )


def judge_budget(settings: Settings) -> Judged:
    """Whether the calls on record kept to the budget, in whatever process they were made."""
    calls, period = settings.api_rate_limit_calls, settings.api_rate_limit_period
    booked = booked_calls(settings)
    most = most_at_once(booked, period)
    return Judged(
        worst((most > calls, Level.ERROR)),
        f"at most {most} calls in any {period:g} s, of the {len(booked)} still on record",
        f"{calls} calls in {period:g} s (API_RATE_LIMIT_CALLS, API_RATE_LIMIT_PERIOD)",
        more={"look_closer": "safetyamp status"},
    )


def most_at_once(moments: Iterable[float], period: float) -> int:
    """The most calls in any `period` seconds. A booking moves to its call's answer, by `LONGEST_SETTLE` at most, so
    two calls a whole period apart may stand that much nearer in the record."""
    window, most = deque[float](), 0
    for moment in sorted(moments):
        window.append(moment)
        while window and window[0] <= moment - (period - LONGEST_SETTLE):
            window.popleft()
        most = max(most, len(window))
    return most


def _counts(ledger: Ledger, spec: EntitySpec) -> dict[str, int]:
    return next((dict(run.counts) for run in ledger.runs(spec.name, 1)), {})


def judge_leavers(employees: Snapshot, users: Snapshot, ledger: Ledger, settings: Settings) -> Judged:
    """Overdue are people who left, and were known to have left, longer ago than promised. People outside this run are
    left to the next whole sync."""
    config = settings.sync_config()
    promised, at = timedelta(hours=config.checks.leaver_hours), datetime.fromisoformat(employees.read_at)
    table = references({EMPLOYEES.table: users.records})[EMPLOYEES.table]
    links = ledger.links(EMPLOYEES.name)
    rules = config.of(EMPLOYEES)
    people = rows_in_scope(EMPLOYEES, rules, employees.records, links)
    worked = rules.last_day_worked
    on = leavers_still_on(
        people, table, links, at=at, promised=promised, timezone=config.timezone, last_day_worked=worked
    )
    aside = ledger.standing(EMPLOYEES.name, [Outcome.NOT_PUSHED])
    overdue = {
        key: ended
        for key, ended in on.items()
        if key not in aside and at - max(ended, _known_since(ledger, key, ended)) > promised
    }
    longest = max((at - ended for ended in overdue.values()), default=timedelta())
    return Judged(
        worst((bool(overdue), Level.ERROR)),
        f"{len(overdue)} people left longer ago and can still log in",
        f"{config.checks.leaver_hours} hours (checks.leaver_hours in sync.yaml)",
        keys=tuple(sorted(overdue)),
        more={"longest_hours": round(longest.total_seconds() / 3600, 1), "within_the_hours": len(on) - len(overdue)},
    )


def _known_since(ledger: Ledger, key: str, ended: datetime) -> datetime:
    """When the sync first tried to switch the person off and could not: a leave may be entered long after its day."""
    tried = [one for one in ledger.changes(entity=EMPLOYEES.name, source_key=key) if one.action == "deactivate"]
    in_vain = [one.intended_at for one in takewhile(lambda one: one.status != "done", tried)]
    return min(in_vain, default=ended)
