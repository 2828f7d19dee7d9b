"""The measure of a budget: how many calls fell into one window."""

from __future__ import annotations


def most_in_a_window(times: list[float], period: float) -> int:
    """The most of the moments (seconds) that lie in any window of `period` seconds, its end not included."""
    return max(sum(first <= at < first + period for at in times) for first in times)
