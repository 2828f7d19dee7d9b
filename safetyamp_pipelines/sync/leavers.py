"""Who has left according to Viewpoint and is still switched on in SafetyAmp: the promise that leavers lose access.

Looks at the source and at SafetyAmp's rows, not at plans or verdicts: a planner that overlooked somebody is found out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.inputs import Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.tables import TargetTable


def still_on(
    employees: Iterable[Record],
    users: TargetTable,
    links: Mapping[str, Link],
    *,
    at: datetime,
    promised: timedelta,
    timezone: str,
) -> dict[str, datetime]:
    """Employee number → when employment ended, for whoever left longer ago than promised and can still log in.

    Employment ends with the beginning of the day in `TermDate` (`employment.is_active`). Somebody who is active in
    another row, such as in another company, has not left.
    """
    zone = ZoneInfo(timezone)
    today = at.astimezone(zone).date()
    ends: dict[str, list[date | None]] = {}
    for record in employees:
        number = clean.number(record["Employee"], "")
        if number is not None and record.get("HireDate") is not None:
            ends.setdefault(number, []).append(_day(record.get("TermDate")))
    found = {}
    for number, days in ends.items():
        last = max((day for day in days if day is not None), default=None)
        if None in days or last is None or last > today:
            continue
        ended = datetime.combine(last, time(), zone)
        if at - ended > promised and _is_on(users, links, number):
            found[number] = ended
    return found


def _day(value: object) -> date | None:
    """The day of a date as Viewpoint holds it; what is no date ends nothing, as in the plan."""
    try:
        day = clean.date(value, "") if value is not None else None
    except clean.Unclean:
        return None
    return date.fromisoformat(day) if day is not None else None


def _is_on(users: TargetTable, links: Mapping[str, Link], number: str) -> bool:
    link = links.get(number)
    row = users.rows.get(link.target_id if link is not None else users.id_of(number) or "")
    return row is not None and bool(row.get("system_access"))
