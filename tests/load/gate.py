"""The gate of `make load`: no figure may grow beyond what was recorded, and every sync ends before the next is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from load.samples import Sample
from load.stories import growth

RECORD = Path(__file__).with_name("recorded.json")
DUE_SECONDS = 900.0
"""The default interval between two syncs."""
SHARE = 1.25
SLACK: Mapping[str, float] = {
    "memory": 40.0,
    "largest_process": 20.0,
    "handles": 8.0,
    "processes": 2.0,
    "connections": 2.0,
    "ledger_per_sync": 16.0,
    "events_per_sync": 128.0,
}
"""How much more than recorded is noise: megabytes, handles, and kilobytes a sync."""


def figures(samples: Sequence[Sample], people: int) -> dict[str, float]:
    """What must not grow: levels as last third against first, tables (which only grow) by the sync; and the longest."""
    found = {name: round(growth(list(samples), name), 1) for name in SLACK if not name.endswith("_per_sync")}
    for name in ("ledger", "events"):
        first, last = (float(getattr(samples[place], name)) for place in (0, -1))
        found[f"{name}_per_sync"] = round((last - first) / max(1, len(samples) - 1), 1)
    return {**found, "longest_sync": max(one.seconds for one in samples), "people": people}


def beyond(found: Mapping[str, float], recorded: Mapping[str, float]) -> list[str]:
    """Each figure that is beyond what was recorded, with both. What a sync adds to tables depends on how many people
    there are, so it is compared with a record of as many alone."""
    grown = [
        f"{name}: {found[name]:+.1f}, recorded {recorded[name]:+.1f}"
        for name, slack in SLACK.items()
        if found[name] > max(0.0, recorded[name]) * SHARE + slack
        and (found["people"] == recorded["people"] or not name.endswith("_per_sync"))
    ]
    if found["longest_sync"] > DUE_SECONDS:
        grown.append(
            f"the longest sync took {found['longest_sync']:.0f} s, and the next is due after {DUE_SECONDS:.0f}"
        )
    return grown
