"""When a sync may start by itself: how often, not during a freeze, and later and later after failures. No clock."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from safetyamp_pipelines.sync.model.kinds import Positive, Section, Text, TimeZone

Kind = Literal["once", "each week", "each day"]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
HOW = 'must be "2026-12-24 18:00" (once), "Fri 18:00" (each week) or "18:00" (each day), in quotes'
_ON_THE_CLOCK = re.compile(r"(?:(?P<day>[A-Za-z]{3,9}) )?(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)")


@dataclass(frozen=True)
class Moment:
    """A point in time once, or one that comes again: then `minute` counts from Monday's or the day's beginning."""

    kind: Kind
    minute: int = 0
    at: datetime | None = None

    @classmethod
    def of(cls, text: str) -> Moment:
        """The moment a person wrote; ValueError with what they may write."""
        if (found := _ON_THE_CLOCK.fullmatch(text.strip())) is not None:
            minute = int(found["hour"]) * 60 + int(found["minute"])
            if found["day"] is None:
                return cls("each day", minute)
            if (day := found["day"].lower()[:3]) in DAYS:
                return cls("each week", DAYS.index(day) * MINUTES_A_DAY + minute)
            raise ValueError(HOW)
        try:
            return cls("once", at=datetime.fromisoformat(text.strip()))
        except ValueError as error:
            raise ValueError(HOW) from error

    def on(self, zone: ZoneInfo) -> datetime:
        """A moment that comes once, in UTC; one written without an offset is meant in `zone`."""
        assert self.at is not None
        return (self.at if self.at.tzinfo is not None else self.at.replace(tzinfo=zone)).astimezone(UTC)


def _moment_text(value: Any) -> str:
    """YAML reads an unquoted date as a date, and an unquoted 18:00 as the number 1080."""
    if isinstance(value, date):
        value = value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    if not isinstance(value, str):
        raise ValueError(HOW)
    Moment.of(value)
    return value


MomentText = Annotated[str, BeforeValidator(_moment_text)]


class Freeze(Section):
    """One time in which no schedule starts a sync."""

    starts: MomentText = Field(
        description='When it begins: "2026-12-24 18:00" (once), "Fri 18:00" (each week) or "18:00" (each day).'
    )
    ends: MomentText = Field(description="When it ends, written like `starts`; a date alone is the start of that day.")
    reason: Text = Field(description="Why; operators read it at every tick that is skipped.")

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        starts, ends = Moment.of(self.starts), Moment.of(self.ends)
        if starts.kind != ends.kind:
            raise ValueError(f"starts {starts.kind} and ends {ends.kind}: write both in the same way")
        if starts.minute == ends.minute and starts.kind != "once":
            raise ValueError("starts and ends at the same moment")
        if starts.kind == "once" and starts.on(ZoneInfo("UTC")) >= ends.on(ZoneInfo("UTC")):
            raise ValueError("ends before it starts")
        return self

    def holds(self, now: datetime, zone: ZoneInfo) -> bool:
        """Whether `now` (aware) lies in it, by the clocks on the walls of `zone`; the end is excluded."""
        starts, ends = Moment.of(self.starts), Moment.of(self.ends)
        if starts.kind == "once":
            return starts.on(zone) <= now.astimezone(UTC) < ends.on(zone)
        here = now.astimezone(zone)
        minute = here.hour * 60 + here.minute + (here.weekday() * MINUTES_A_DAY if starts.kind == "each week" else 0)
        if starts.minute < ends.minute:
            return starts.minute <= minute < ends.minute
        return minute >= starts.minute or minute < ends.minute


def freeze_at(freezes: Iterable[Freeze], now: datetime, timezone: str) -> Freeze | None:
    """The first freeze that holds at `now`, None when none does."""
    zone = ZoneInfo(timezone)
    return next((freeze for freeze in freezes if freeze.holds(now, zone)), None)


WAITS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""The first wait, and one longer for each further failure; the last stays."""


@dataclass(frozen=True)
class Ended:
    """One sync that came to its end; healthy where its run did not fail. Held changes alone fail none."""

    is_healthy: bool
    at: datetime


@dataclass(frozen=True)
class Quarantine:
    """So many failures in a row, and until when the schedule waits for that."""

    failures: int
    wait: timedelta
    until: datetime

    def holds(self, now: datetime, interval: timedelta) -> bool:
        """Whether a tick at `now` is skipped. The tick nearest to `until` is not: else a wait of one hour would skip
        every second tick of an hourly rhythm, since a run ends some minutes after its tick."""
        return now < self.until - interval / 2


def quarantine_after(newest_first: Iterable[Ended], allowed: int) -> Quarantine | None:
    """The quarantine that these syncs call for: from the failure number `allowed` in a row on; None before."""
    failed = list(takewhile(lambda ended: not ended.is_healthy, newest_first))
    if len(failed) < allowed:
        return None
    wait = WAITS[min(len(failed) - allowed, len(WAITS) - 1)]
    return Quarantine(len(failed), wait, failed[0].at + wait)


HOUR, DAY = 60, 24 * 60
RHYTHMS = tuple(
    minutes for minutes in range(1, DAY + 1) if HOUR % minutes == 0 or (minutes % HOUR == 0 == DAY % minutes)
)
"""The intervals whose ticks fall on the same minutes of every day: others would drift over midnight."""


def cron_of(minutes: int) -> str:
    """The cron line of ticks every so many minutes, counted from midnight. Raises ValueError for any not in RHYTHMS."""
    if minutes not in RHYTHMS:
        raise ValueError(f"{minutes} minutes divide neither an hour nor, in whole hours, a day")
    if minutes == DAY:
        return "0 0 * * *"
    if minutes < HOUR:
        return f"{_every(minutes)} * * * *"
    return f"0 {_every(minutes // HOUR)} * * *"


def _every(step: int) -> str:
    return "*" if step == 1 else f"*/{step}"


class ScheduleConfig(Section):
    """When schedules and sensors start a sync. A person may start one at any time."""

    timezone: TimeZone = Field(
        default="America/Chicago", description="IANA time zone of the schedules and of the freezes."
    )
    freezes: tuple[Freeze, ...] = Field(default=(), description="Periods in which nothing starts by itself.")
    quarantine_after: Positive = Field(
        default=3, description="This many failed syncs in a row slow the schedule to 1 hour, then 6 hours, then 1 day."
    )
