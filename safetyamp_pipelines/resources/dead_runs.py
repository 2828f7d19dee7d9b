"""Runs whose process was killed: declared over, and what they held in Dagster given back, at once and by anybody.

Dagster itself leaves the run of a killed shell standing for the longest time that a run may take, and with it the slot
of the pool and the place in the queue. A run says in a tag which process carries it out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason

from safetyamp_pipelines.operations.lease import LEASE_SECONDS
from safetyamp_pipelines.operations.local_time import age
from safetyamp_pipelines.operations.processes import is_gone, is_here, this_process
from safetyamp_pipelines.resources.keys import OF_ONE_RUN, POOL, PROCESS_TAG, SYNC_TAG
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.sync.model.errors import SyncError

log = get_logger(__name__)

_BEGUN = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def process_tag() -> dict[str, str]:
    """The tag of a run that this process carries out."""
    return {PROCESS_TAG: this_process()}


def mark_begun(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Note that this process carries the run out. Of a run that repeats another, Dagster has copied the tags: those
    about what the other one did are emptied."""
    instance.add_run_tags(run.run_id, {**dict.fromkeys(OF_ONE_RUN & run.tags.keys(), ""), **process_tag()})


def end_dead_runs(instance: dg.DagsterInstance, silent_by_ledger: Callable[[], Collection[str]]) -> list[str]:
    """The ids of runs that were found dead; they have failed now, and hold nothing. Of a process elsewhere the ledger
    knows whether it still beats (`Ledger.silent_runs`): it is asked where there may be one. One that runs here lives,
    although its beats are late where the machine has slept, or its clock was set."""
    records, slots = instance.get_run_records(dg.RunsFilter(statuses=_BEGUN)), holders(instance)
    runs = [record.dagster_run for record in records]
    names = {run.run_id: _process_of(instance, run) for run in runs}
    silent = _known(silent_by_ledger) if slots or not all(map(is_gone, names.values())) else ()
    quiet = {run_id for run_id in silent if not is_here(names.get(run_id, ""))}
    quiet |= {record.dagster_run.run_id for record in records if _is_mute(record, names)}
    dead = [run for run in runs if is_gone(names[run.run_id]) or run.run_id in quiet]
    for run in dead:
        process = names[run.run_id] or "its process"
        why = "is gone: it was killed" if is_gone(process) else "gives no sign of life any more"
        words = f"{process} {why}. Start the job again: nothing is sent twice"
        instance.report_run_failed(run, words, JobFailureData(None, RunFailureReason.UNEXPECTED_TERMINATION))
        log.warning("run_found_dead", run=run.run_id, process=process)
    for run_id in slots:
        held_by = instance.get_run_by_id(run_id)
        if held_by is None or (held_by.is_finished and (run_id in silent or is_gone(_process_of(instance, held_by)))):
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return [run.run_id for run in dead]


def _process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The process that carries the run out; empty while it has not named one, and its tag is that of the run that it
    repeats."""
    named = run.tags.get(PROCESS_TAG, "")
    repeated = instance.get_run_by_id(run.parent_run_id) if named and run.parent_run_id else None
    return "" if repeated is not None and repeated.tags.get(PROCESS_TAG) == named else named


def _is_mute(record: dg.RunRecord, names: Mapping[str, str]) -> bool:
    """Whether a sync began too long ago not to have named its process, which it does before its first step."""
    run, began = record.dagster_run, record.start_time
    is_late = SYNC_TAG in run.tags and began is not None and time.time() - began > LEASE_SECONDS
    return is_late and not names[run.run_id]


def _known(silent_by_ledger: Callable[[], Collection[str]]) -> Collection[str]:
    try:
        return silent_by_ledger()
    except SyncError:  # nothing is known of processes elsewhere
        return ()


def holders(instance: dg.DagsterInstance) -> set[str]:
    """The runs that hold the slot of the pool of pushes, or were promised it."""
    if not instance.event_log_storage.supports_global_concurrency_limits:
        return set()
    slots = instance.event_log_storage.get_concurrency_info(POOL)
    return slots.active_run_ids | slots.assigned_run_ids


def described(instance: dg.DagsterInstance, run_id: str) -> str:
    """A run in words: its job, who carries it out, and for how long."""
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        return f"run {run_id[:8]}"
    run = record.dagster_run
    where = f" on {run.tags[PROCESS_TAG]}" if PROCESS_TAG in run.tags else ""
    return f"{run.job_name} {run_id[:8]}{where}, begun {age(record.create_timestamp, datetime.now(UTC))} ago"
