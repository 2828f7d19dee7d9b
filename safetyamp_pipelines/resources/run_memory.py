"""The runs and events of a process without DAGSTER_HOME, kept for as long as it lives: events in a list.

Dagster's own memory is two SQLite databases: each event is written as text, and parsed again for each step that asks
for its inputs. That was a third of what a sync of a small company costs.
"""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.event_api import EventLogCursor, EventLogRecord, EventRecordsFilter
from dagster._core.events.log import EventLogEntry
from dagster._core.instance import InstanceType
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status
from dagster._core.storage.event_log import InMemoryEventLogStorage
from dagster._core.storage.event_log.base import AssetEntry, AssetRecord, EventLogConnection
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.root import TemporaryLocalArtifactStorage
from dagster._core.storage.runs import InMemoryRunStorage
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from dagster._core.storage.sqlite import create_in_memory_conn_string
from sqlalchemy import NullPool, create_engine

MATERIALIZED, EVALUATED = dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION


def instance_in_memory() -> dg.DagsterInstance:
    """What `DagsterInstance.ephemeral()` is, except for its runs' tables and its events."""
    return dg.DagsterInstance(
        instance_type=InstanceType.EPHEMERAL,
        local_artifact_storage=TemporaryLocalArtifactStorage(),  # type: ignore[no-untyped-call]
        run_storage=_Runs(),
        event_storage=EventList(),
        compute_log_manager=NoOpComputeLogManager(),
        run_coordinator=DefaultRunCoordinator(),
        run_launcher=SyncInMemoryRunLauncher(),
    )


class _Runs(InMemoryRunStorage):
    """Dagster's, without the revision of its tables, which nobody ever asks: loading all migrations takes 0.1 s."""

    def __init__(self) -> None:
        url = create_in_memory_conn_string(f"runs-{uuid.uuid4()}")
        self._engine = create_engine(url, poolclass=NullPool)
        self._held_conn = self._engine.connect()  # the database lives as long as one of its connections
        with self._held_conn.begin():
            RunStorageSqlMetadata.create_all(self._held_conn)


class EventList(InMemoryEventLogStorage):
    """Answers from lists what steps ask. Any other question is for Dagster's database in memory, which then gets all
    events, and answers every question from there on: so there are never two answers."""

    def __init__(self) -> None:
        self._events: list[EventLogRecord] = []
        self._by_kind: dict[dg.DagsterEventType | None, list[EventLogRecord]] = defaultdict(list)
        self._has_database, self._storing = False, threading.RLock()

    def store_event(self, event: EventLogEntry) -> None:
        """Keep it, with the number that the database would give it."""
        with self._storing:
            record = EventLogRecord(len(self._events) + 1, event)
            self._events.append(record)
            self._by_kind[event.dagster_event_type].append(record)
            if self._has_database:
                super().store_event(event)  # type: ignore[no-untyped-call]

    def _make_database(self) -> None:
        with self._storing:
            if not self._has_database:
                super().__init__()
                self._has_database = True
                for record in self._events:
                    super().store_event(record.event_log_entry)  # type: ignore[no-untyped-call]

    @contextmanager
    def _connect(self) -> Iterator[Any]:
        with self._storing:  # also by who waits for the database's own lock, or the two could wait for each other
            self._make_database()
            with super()._connect() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the database has it."""
        self._make_database()
        return super().has_table(table_name)

    def watch(self, run_id: str, cursor: str | None, callback: Callable[..., Any]) -> None:
        """Pass events on, as the database does when it stores them."""
        self._make_database()
        super().watch(run_id, cursor or "", callback)

    def dispose(self) -> None:
        """Close the database, if there is one."""
        if self._has_database:
            super().dispose()  # type: ignore[no-untyped-call]

    def get_asset_records(self, asset_keys: Sequence[dg.AssetKey] | None = None) -> Sequence[AssetRecord]:
        """The newest materialization of each asset; without keys, see `EventList`."""
        if self._has_database or asset_keys is None:
            return super().get_asset_records(asset_keys)
        newest = {record.asset_key: record for record in self._by_kind[MATERIALIZED]}
        return [
            AssetRecord(
                storage_id=record.storage_id,
                asset_entry=AssetEntry(asset_key=key, last_materialization_record=record, last_run_id=record.run_id),
            )
            for key in asset_keys
            if (record := newest.get(key)) is not None
        ]

    def _get_event_records(
        self, event_records_filter: EventRecordsFilter, limit: int | None = None, ascending: bool = False
    ) -> Sequence[EventLogRecord]:
        kind, key = event_records_filter.event_type, event_records_filter.asset_key
        if self._has_database or ascending or event_records_filter != EventRecordsFilter(kind, key):
            return super()._get_event_records(event_records_filter, limit, ascending)
        return [record for record in self._by_kind[kind][::-1] if key in (None, record.asset_key)][:limit]

    def get_records_for_run(
        self,
        run_id: str,
        cursor: str | None = None,
        of_type: dg.DagsterEventType | set[dg.DagsterEventType] | None = None,
        limit: int | None = None,
        ascending: bool = True,
    ) -> EventLogConnection:
        """The events of one kind of the run, from the first on; other cuts of them, see `EventList`."""
        if self._has_database or not isinstance(of_type, dg.DagsterEventType) or cursor or limit or not ascending:
            return super().get_records_for_run(run_id, cursor, of_type, limit, ascending)
        found = [record for record in self._by_kind[of_type] if record.run_id == run_id]
        last = EventLogCursor.from_storage_id(found[-1].storage_id if found else -1)
        return EventLogConnection(found, last.to_string(), has_more=False)

    def get_asset_check_execution_history(
        self,
        check_key: dg.AssetCheckKey,
        limit: int,
        cursor: int | None = None,
        status: AbstractSet[Status] | None = None,
        partition_filter: Any = None,
    ) -> Sequence[AssetCheckExecutionRecord]:
        """The evaluations of the check, newest first; with those only planned, see `EventList`."""
        if self._has_database or partition_filter or status is None or Status.PLANNED in status:
            return super().get_asset_check_execution_history(check_key, limit, cursor, status, partition_filter)
        records = [one for one in self._by_kind[EVALUATED][::-1] if _evaluation(one).asset_check_key == check_key]
        found = [_execution(one) for one in records if cursor is None or one.storage_id < cursor]
        return [one for one in found if one.status in status][:limit]


def _evaluation(record: EventLogRecord) -> dg.AssetCheckEvaluation:
    return record.event_log_entry.get_dagster_event().asset_check_evaluation_data


def _execution(record: EventLogRecord) -> AssetCheckExecutionRecord:
    found = _evaluation(record)
    return AssetCheckExecutionRecord(
        key=found.asset_check_key,
        id=record.storage_id,
        run_id=record.run_id,
        status=Status.SUCCEEDED if found.passed else Status.FAILED,
        event=record.event_log_entry,
        create_timestamp=record.timestamp,
        partition=found.partition,
    )
