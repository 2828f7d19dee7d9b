"""Calls that were sent and never answered: how long they may still act, and the look that settles them then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.pushing.ports import Journal, OpenIntent
from safetyamp_pipelines.sync.pushing.settling import settle
from safetyamp_pipelines.sync.pushing.sight import Sight


@dataclass(frozen=True)
class Awaited:
    """An intent without an answer. SafetyAmp may act on it until `until`, behind a gateway that gave up before it did;
    what a read that began then does not show will never come."""

    intent: OpenIntent
    until: datetime


def settle_in_time(
    spec: EntitySpec, journal: Journal, awaited: Sequence[Awaited], sight: Sight, wait: Callable[[datetime], bool]
) -> dict[int, bool]:
    """Answer the intents in the journal; returns by intent whether SafetyAmp had acted.

    The rows at hand are enough for what they show, and for what is long past; for the rest there is one fresh read, as
    late as need be. When `wait` says that it was cut short, that rest stays open. Raises SyncError when the read fails.
    """
    at_hand = [one for one in awaited if one.intent.at < sight.began]
    settled = _settle(spec, journal, at_hand, sight)
    rest = [one for one in awaited if one.intent.id not in settled]
    if rest and wait(max(one.until for one in rest)):
        sight.look()
        settled |= _settle(spec, journal, rest, sight)
    return settled


def _settle(spec: EntitySpec, journal: Journal, awaited: Sequence[Awaited], sight: Sight) -> dict[int, bool]:
    over = {one.intent.id for one in awaited if one.until <= sight.began}
    intents = [one.intent for one in awaited]
    return settle(spec, journal, intents, sight.rows, sight.names, over)
