"""The one form in which people are shown times, and give them: local to the company, with its zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from safetyamp_pipelines.sync.model.errors import Refusal


def local_time(moment: datetime | str | None, timezone: str) -> str:
    """`2026-11-27 03:06 CST`; also of ISO 8601 text. Without a time `never`."""
    if moment is None:
        return "never"
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return aware.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M %Z")


def duration(seconds: float) -> str:
    """A duration in words with its unit: `40 s`, `3 min`, `5 h`, `9 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def age(moment: datetime | str, now: datetime) -> str:
    """How long ago that was."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return duration(max(0.0, (now - at).total_seconds()))


def moment_of(text: str, timezone: str) -> datetime:
    """A date or time of the company's day. Raises Refusal for an invalid one, or one that has passed."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Refusal(f"{text!r} is not a date: write it as 2026-12-01, or 2026-12-01T09:00") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))
    if moment <= datetime.now(UTC):
        raise Refusal(f"{text} has passed already")
    return moment.astimezone(UTC)
