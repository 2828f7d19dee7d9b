"""How often a sync begins: minutes to a cron line. `freezes.py` and `quarantine.py` decide which ticks are skipped."""

from __future__ import annotations

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
