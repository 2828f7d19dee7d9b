"""What a check found, and how it is shown: measured, limit, keys and the command to look closer. No check is here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import dagster as dg

MOST_KEYS = 20


class Level(IntEnum):
    """How bad it is: fine, worth a person's eyes, or a reason to stop."""

    FINE = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True)
class Judged:
    """What was measured against which limit. `keys` are source keys or ids, never a person's value."""

    level: Level
    measured: str
    limit: str
    keys: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def result(self, key: dg.AssetCheckKey, look_closer: str) -> dg.AssetCheckResult:
        """As Dagster stores it: a warning is failed with severity WARN, which blocks nothing."""
        return dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=self.level is Level.FINE,
            severity=dg.AssetCheckSeverity.ERROR if self.level is Level.ERROR else dg.AssetCheckSeverity.WARN,
            metadata={
                "measured": self.measured,
                "limit": self.limit,
                "keys": shown(self.keys),
                "found": len(self.keys),  # a number, which the UI plots over time
                **self.more,
                "look_closer": look_closer,
            },
        )


def worst(*levels: tuple[bool, Level]) -> Level:
    """The worst level whose condition holds."""
    return max((level for holds, level in levels if holds), default=Level.FINE)


def shown(keys: Iterable[object]) -> str:
    """The first keys as text; metadata stays in the event log for ever, so long lists are cut."""
    found = [str(key) for key in keys]
    more = f" and {len(found) - MOST_KEYS} more" if len(found) > MOST_KEYS else ""
    return (", ".join(found[:MOST_KEYS]) + more) or "none"
