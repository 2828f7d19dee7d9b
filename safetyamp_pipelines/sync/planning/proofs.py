"""What must hold for every plan, proved again from the plan and the state it was made from: every record has a verdict,
references resolve, unique values stay unique, few records are rejected, and who has left is switched off. The planner
sees to all of it; here nothing of its work is trusted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Action, Outcome, Plan, Verdict
from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.model.tables import References, TargetTable, at_path
from safetyamp_pipelines.sync.planning.expected import apply_plan
from safetyamp_pipelines.sync.rules.limits import RejectedLimits

KEPT = (Outcome.HELD, Outcome.UNCHANGED, Outcome.FAILED, Outcome.NOT_PUSHED, Outcome.SKIPPED)
"""Verdicts of records that the plan does not change and that may be in SafetyAmp under another key, such as one that
SafetyAmp did not accept. Nothing can refer to a create that it refused before."""


def unresolved(spec: EntitySpec, plan: Plan, expected: References) -> Mapping[str, tuple[str, ...]]:
    """Source key → labels of the references that lead nowhere: not in the expected state, nor to a record of this plan.

    A record of the plan is found by its link although SafetyAmp does not yet show its key: an account is linked by
    e-mail in the same push, or stands there with another number.
    """
    own = expected[spec.table]
    planned = {own.folded(change.natural_key) for change in plan.changes if change.action is not Action.DEACTIVATE}
    planned |= {own.folded(verdict.source_key) for verdict in plan.verdicts if verdict.outcome in KEPT}
    nowhere: dict[str, list[str]] = defaultdict(list)
    for change in plan.changes:
        for name, wanted in change.after().items():
            field = spec.field(name)
            if field.references is None or wanted is None:
                continue
            is_own = field.references == spec.table and own.folded(str(wanted)) in planned
            if not is_own and expected[field.references].id_of(str(wanted)) is None:
                nowhere[change.source_key].append(field.label)
    return {key: tuple(labels) for key, labels in nowhere.items()}


def collided(spec: EntitySpec, plan: Plan, expected: References) -> Mapping[str, tuple[str, ...]]:
    """Source key → labels of the unique fields in which it would write what another record has after the plan."""
    unique = [field for field in spec.fields if field.unique is not None]
    written = [(change, field) for change in plan.changes for field in unique if change.after().get(field.name)]
    if not written:
        return {}
    rows = apply_plan(spec, plan, expected[spec.table].rows.values(), expected)
    held = {
        field.name: Counter(
            field.folded(value) for row in rows if (value := at_path(row, field.read or field.name)) not in (None, "")
        )
        for field in unique
    }
    twice: dict[str, list[str]] = defaultdict(list)
    for change, field in written:
        if held[field.name][field.folded(change.after()[field.name])] > 1:
            twice[change.source_key].append(field.label)
    return {key: tuple(labels) for key, labels in twice.items()}


def rejected_of(plan: Plan) -> tuple[tuple[str, ...], int]:
    """The source keys that are rejected, and how many records of the entity are in scope at all."""
    rejected = tuple(verdict.source_key for verdict in plan.verdicts if verdict.outcome is Outcome.REJECTED)
    return rejected, sum(verdict.outcome is not Outcome.OUT_OF_SCOPE for verdict in plan.verdicts)


def allowed_rejections(size: int, limits: RejectedLimits) -> tuple[int, int]:
    """How many of `size` records may be rejected without a warning, and without stopping the push."""
    if size < limits.from_records:
        return size, size
    return int(limits.warn * size), int(limits.error * size)


def common_reasons(plan: Plan) -> Iterable[tuple[str, int]]:
    """The five most frequent reasons of the rejected, each with its number of records; they hold no person's value."""
    reasons = Counter(
        reason for verdict in plan.verdicts if verdict.outcome is Outcome.REJECTED for reason in verdict.reasons
    )
    return reasons.most_common(5)


@dataclass(frozen=True)
class Account:
    """How many source records must end in a verdict, and the keys that have none, or more verdicts than records."""

    records: int
    unaccounted: tuple[str, ...]


def account_of(spec: EntitySpec, inputs: Inputs, verdicts: Iterable[Verdict]) -> Account:
    """Count the entity's source records and look for the verdict of each.

    A record's verdict carries its key, or `company/key` where several companies use the key. Verdicts of what has
    no record of its own come on top: a region that departments name, a vehicle that vanished.
    """
    wanted: Counter[str] = Counter()
    names: dict[str, set[str]] = defaultdict(set)
    for company, key in spec.all_records(inputs):
        wanted[key] += 1
        names[key] |= {key, f"{company}/{key}"}
    given = Counter(verdict.source_key for verdict in verdicts)
    unaccounted = sorted(key for key, number in wanted.items() if sum(given[name] for name in names[key]) != number)
    return Account(wanted.total(), tuple(unaccounted))


def leavers_still_on(
    employees: Iterable[Record],
    users: TargetTable,
    links: Mapping[str, Link],
    *,
    at: datetime,
    promised: timedelta,
    timezone: str,
    last_day_worked: bool = False,
) -> dict[str, datetime]:
    """Employee number → when employment ended, for people who left longer ago than promised and can still log in.

    Employment ends with the beginning of the day in `TermDate`, or of the one after the last day worked.
    Somebody who is active in another row, such as in another company, has not left.
    """
    zone = ZoneInfo(timezone)
    today = at.astimezone(zone).date()
    ends: dict[str, list[date | None]] = {}
    for record in employees:
        number = clean.number(record["Employee"], "")
        hired, ended = _day(record.get("HireDate")), _day(record.get("TermDate"))
        if number is not None and hired is not None:
            is_possible = ended is not None and ended.year > 1900 and ended >= hired
            over = ended + timedelta(days=last_day_worked) if is_possible and ended is not None else None
            ends.setdefault(number, []).append(over)
    found = {}
    for number, days in ends.items():
        last = max((day for day in days if day is not None), default=None)
        if None in days or last is None or last > today:
            continue
        since = datetime.combine(last, time(), zone)
        if at - since > promised and _is_on(users, links, number):
            found[number] = since
    return found


def _day(value: object) -> date | None:
    """The day of a Viewpoint date; anything else ends no employment, as in the plan."""
    try:
        day = clean.date(value, "") if value is not None else None
    except clean.Unclean:
        return None
    return date.fromisoformat(day) if day is not None else None


def _is_on(users: TargetTable, links: Mapping[str, Link], number: str) -> bool:
    link = links.get(number)
    row = users.rows.get(link.target_id if link is not None else users.id_of(number) or "")
    return row is not None and bool(row.get("system_access"))
