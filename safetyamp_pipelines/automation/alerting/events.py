"""One look at the event log of all runs: what came since the last one, in order. What it means is event_log.py's.

The log's own ids are the cursor. Ids precede the commit that shows them, so what is young waits for the next look.
"""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

SETTLED_SECONDS = 10.0
"""An event older than this has every earlier one beside it: a transaction of the event log takes milliseconds."""
MOST_EVENTS = 100
"""Of one type in one look: each run that ended costs a question of its own, and a tick must end within a minute."""
TYPES = (
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.FRESHNESS_STATE_CHANGE,
)
"""All of them are kept across runs by SQLite too, which keeps the events of steps with their run alone."""
_ENDS = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS)


@dataclass(frozen=True)
class Page:
    """The events of one look, oldest first, and the id up to which everything was looked at."""

    after: int
    events: tuple[dg.EventLogEntry, ...]


def newest(instance: dg.DagsterInstance) -> int:
    """The id of the newest event, 0 in an empty log."""
    return instance.event_log_storage.get_maximum_record_id() or 0


def page_after(instance: dg.DagsterInstance, after: int, now: float, most: int = MOST_EVENTS) -> Page:
    """What came after this id.

    Each type is asked for alone, since Dagster warns of more; where one has more than fit, none is read beyond it.
    """
    # Deleting the newest runs lowers the highest id, and SQLite gives the ids above it out again.
    after = min(after, newest(instance))
    found: dict[int, dg.EventLogEntry] = {}
    ends = []
    for kind in TYPES:
        some = instance.event_log_storage.get_logs_for_all_runs_by_log_id(after, kind, most)
        found.update(some)
        if len(some) == most:
            ends.append(max(some))
    ids = sorted(id for id in found if not ends or id <= min(ends))
    young = next((place for place, id in enumerate(ids) if found[id].timestamp > now - SETTLED_SECONDS), len(ids))
    settled = ids[:young]
    return Page(settled[-1] if settled else after, tuple(found[id] for id in settled))


def ends_of_syncs(page: Page) -> list[dg.EventLogEntry]:
    """The events of this page that end a run of sync_all."""
    return [event for event in page.events if event.dagster_event_type in _ENDS and event.job_name == "sync_all"]
