"""How old sources and SafetyAmp's tables may get before they show as late: Dagster's freshness policies.

The one sign of trouble that needs no run: a schedule that stopped, a daemon that died and a queue that stands still
make tables old, and nothing else. Nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

from safetyamp_pipelines.resources.keys import asset_key
from safetyamp_pipelines.settings.loading import TimingSettings
from safetyamp_pipelines.sync.entities.registry import BY_NAME, asset_name
from safetyamp_pipelines.sync.model.columns import OBSERVED

GROUPS = {"viewpoint", "entra", "samsara", OBSERVED, "safetyamp"}
"""What is read and what is written. Plans are of the age of what they are made from."""
WARN_AFTER, FAIL_AFTER = 2, 4
"""Intervals of the schedule: one tick may be skipped, because the sync before it still went on."""
WARN_AT_LEAST, FAIL_AT_LEAST = timedelta(hours=1), timedelta(hours=2)
"""However short the interval: a first sync pushes for the better part of an hour (60 calls a minute)."""


def with_freshness(assets: Iterable[dg.AssetsDefinition], timing: TimingSettings) -> list[dg.AssetsDefinition]:
    """The assets, those that are read or written with the policy that fits the rhythm of the whole sync. What takes no
    part in it is written in a rhythm of its own, or by hand."""
    policy = policy_for(timing.interval_minutes)
    apart = {asset_key(asset_name(BY_NAME[name])) for name in timing.apart}

    def timed(spec: dg.AssetSpec) -> dg.AssetSpec:
        is_timed = spec.group_name in GROUPS and spec.key not in apart
        return spec.replace_attributes(freshness_policy=policy) if is_timed else spec

    return [one.map_asset_specs(timed) for one in assets]


def policy_for(interval_minutes: int) -> dg.FreshnessPolicy:
    """Late after four intervals, with a warning after two."""
    interval = timedelta(minutes=interval_minutes)
    return dg.FreshnessPolicy.time_window(
        warn_window=max(WARN_AFTER * interval, WARN_AT_LEAST), fail_window=max(FAIL_AFTER * interval, FAIL_AT_LEAST)
    )
