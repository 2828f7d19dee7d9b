"""What a check found, how it is shown, and the one factory of checks. What is judged stands in the other modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import wraps
from typing import Any

import dagster as dg

from safetyamp_pipelines.resources.keys import asset_key, input_name
from safetyamp_pipelines.resources.step_failures import diagnosed

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

    def result(self, key: dg.AssetCheckKey, look_closer: str, job: str) -> dg.AssetCheckResult:
        """As Dagster stores it: a warning is failed with severity WARN, which blocks nothing."""
        return dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=self.level is Level.FINE,
            severity=dg.AssetCheckSeverity.ERROR if self.level is Level.ERROR else dg.AssetCheckSeverity.WARN,
            metadata={
                "measured": self.measured,
                "limit": self.limit,
                "keys": key_list(self.keys),
                "found": len(self.keys),  # a number, which the UI plots over time
                "look_closer": look_closer,
                "job": job,
                **self.more,
            },
        )


Judge = Callable[..., Mapping[str, Judged]]


def judged_checks(
    asset: str,
    checks: Mapping[str, str],
    look_closer: str,
    *,
    suffix: str = "checks",
    job: str = "plan_all",
    ins: Mapping[str, str] | None = None,
    blocking: bool = False,
) -> Callable[[Judge], dg.AssetChecksDefinition]:
    """The checks of an asset, name → description, made of one function that judges them all in one step.

    One step, because a step costs 50 ms. The function takes resources and the values of assets (`ins`: parameter →
    asset), and gives a verdict for each check. Every result names the command to look closer
    and the job that looks again.
    """
    key = asset_key(asset)
    inputs = {parameter: dg.AssetIn(asset_key(name)) for parameter, name in (ins or {}).items()}
    others = [asset_key(name) for name in (ins or {}).values() if name != asset]
    specs = [
        dg.AssetCheckSpec(name, asset=key, additional_deps=others, blocking=blocking, description=text)
        for name, text in checks.items()
    ]

    def made(judge: Judge) -> dg.AssetChecksDefinition:
        @wraps(judge)
        def evaluate(*args: Any, **kwargs: Any) -> Iterator[dg.AssetCheckResult]:
            for name, found in judge(*args, **kwargs).items():
                yield found.result(dg.AssetCheckKey(key, name), look_closer, job)

        evaluate.__annotations__ = {**judge.__annotations__, "return": Iterator[dg.AssetCheckResult]}
        step = f"{input_name(asset)}_{suffix}"
        return dg.multi_asset_check(specs=specs, name=step, ins=inputs)(diagnosed(evaluate))

    return made


def worst(*levels: tuple[bool, Level]) -> Level:
    """The worst level whose condition holds."""
    return max((level for holds, level in levels if holds), default=Level.FINE)


def key_list(keys: Iterable[object]) -> str:
    """The first keys as text; metadata stays in the event log for ever, so long lists are cut."""
    found = [str(key) for key in keys]
    more = f" and {len(found) - MOST_KEYS} more" if len(found) > MOST_KEYS else ""
    return (", ".join(found[:MOST_KEYS]) + more) or "none"
