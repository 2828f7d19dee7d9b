"""What the record of the call budget tells afterwards: was it kept? The budget itself is in `rate_limit.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from safetyamp_pipelines.systems.http.budget import LONGEST_SETTLE, budget_key
from safetyamp_pipelines.systems.http.budget_postgres import bucket_factory

if TYPE_CHECKING:
    from safetyamp_pipelines.settings.model import Settings


def booked_calls(settings: Settings) -> list[float]:
    """When calls to SafetyAmp were made, as far as they are still on record, by whatever process or pod."""
    settings.require("safetyamp")
    assert settings.safetyamp_token is not None
    make_bucket = bucket_factory(settings.ledger_url.get_secret_value(), settings.budget_path)
    bucket = make_bucket(budget_key(settings.safetyamp_base_url, settings.safetyamp_token.get_secret_value()))
    try:
        return bucket.booked()
    finally:
        bucket.close()


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
