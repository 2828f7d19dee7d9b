"""What every read of a partition has in common: its lease, its row among the runs, its sign of life, and the pause."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any

from safetyamp_pipelines.jira import issue_tables as t
from safetyamp_pipelines.jira.api import Issue, JiraClient, issue_id
from safetyamp_pipelines.jira.book import Active, JiraBook
from safetyamp_pipelines.jira.field_mapping import row_values
from safetyamp_pipelines.jira.values import ABSENT, Untyped, moment
from safetyamp_pipelines.ledger import LeaseHeld, LeaseLost, Ledger
from safetyamp_pipelines.operations.processes import is_gone, this_process
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.sync.model.errors import ReadError, Refusal, SyncError

log = get_logger(__name__)
LEASE_SECONDS, BEAT_SECONDS = 90.0, 20.0
SYSTEM_FIELDS = ("created", "updated", "project")
"""Fields that every row needs, mapped or not."""


class Paused(Refusal):
    """Reading Jira is paused: no read starts, and a running one stops between two pages."""


@dataclass(frozen=True)
class Scope:
    """One run over one instance: one mapping version, one client, one look at which projects are visible."""

    book: JiraBook
    ledger: Ledger
    client: JiraClient
    active: Active
    visible: Mapping[str, str]
    run_id: str
    cause: str

    @property
    def instance(self) -> str:
        return self.client.instance.name

    @property
    def fields(self) -> list[str]:
        """The ids to ask for."""
        return list(dict.fromkeys((*SYSTEM_FIELDS, *self.active.mapping.fields_of(self.instance))))

    def require_visible(self, project: str) -> None:
        """Raise ReadError for a project that the account may not browse: its empty lists would prove nothing."""
        if project not in self.visible:
            raise ReadError(
                f"jira {self.instance} {project}", "the project is not visible to the account: give it Browse Projects"
            )


@dataclass
class Run:
    """A running read. `counts` becomes its figures; `check` is asked between two pages."""

    scope: Scope
    project: str
    number: int
    counts: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    done: int = 0
    total: int | None = None
    lost: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=monotonic)
    calls_before: int = 0

    def __post_init__(self) -> None:
        self.calls_before = self.scope.client.http.calls_here

    @property
    def calls(self) -> int:
        """Requests made for this read."""
        return self.scope.client.http.calls_here - self.calls_before

    def check(self) -> None:
        """Note how far it got. Raises Paused, and LeaseLost when another process took over."""
        if self.done:
            self.scope.book.beat(self.number, done=self.done, total=self.total)
        if (pause := self.scope.book.pause_state()) is not None:
            raise Paused(f"reading Jira is paused by {pause['who']}: {pause['why']}")
        if self.lost.is_set():
            raise LeaseLost(lease_name(self.scope.instance, self.project), "another process")

    def store(self, issues: Sequence[Issue], asked_at: datetime) -> datetime | None:
        """Write a page of issues; the newest `updated` among those of this project."""
        mapping, version = self.scope.active.mapping, self.scope.active.version
        rows, newest = [], None
        for issue in {issue_id(issue): issue for issue in issues}.values():
            row = {**_fixed(issue, self.scope.instance), "read_at": asked_at, "mapping_version": version}
            values, untyped = row_values(mapping, self.scope.instance, issue["fields"])
            self.absent.update(name for name, value in values.items() if value is ABSENT)
            self.counts["untyped"] += len(untyped)
            rows.append({**row, "untyped": untyped or None, **values})
            if row["project_key"] == self.project:
                newest = max(newest or row["updated"], row["updated"])
        with self.scope.book.writing() as db:
            self.counts.update(t.write_rows(db, self.scope.active.table, self.scope.instance, rows))
        self.done += len(rows)
        return newest

    def figures(self) -> dict[str, Any]:
        """What it did, for metadata and `--json`."""
        return {
            "instance": self.scope.instance,
            "project": self.project,
            "read": self.done,
            **{name: number for name, number in self.counts.items() if number},
            **({"absent": dict(self.absent)} if self.absent else {}),
            "mapping_version": self.scope.active.version,
            "calls": self.calls,
            "seconds": round(monotonic() - self.began, 2),
        }


@contextmanager
def running(scope: Scope, kind: str, project: str) -> Iterator[Run]:
    """Hold the partition's lease and keep the run's row while the body reads; a failure is recorded and raised."""
    lease_of = lease_name(scope.instance, project)
    try:
        holder = f"{kind} of run {scope.run_id} on {this_process()}"
        lease = scope.ledger.acquire_lease(lease_of, holder, LEASE_SECONDS, is_gone)
    except LeaseHeld as held:
        raise Refusal(f"{scope.instance}|{project} is being read: {held}") from None
    number = scope.book.start_run(kind, scope.instance, project, run_id=scope.run_id, cause=scope.cause)
    run, ended = Run(scope, project, number), threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            try:
                scope.ledger.heartbeat(lease)
                scope.book.beat(number)
            except LeaseLost:
                run.lost.set()
            except SyncError as error:  # the next beat may get through; the lease lasts longer than four
                log.warning("jira_beat_failed", reason=str(error))

    beating = threading.Thread(target=beat, name=f"beat {lease_of}", daemon=True)
    beating.start()
    status, failure = "failed", None
    try:
        run.check()
        yield run
        status = "completed"
    except Paused:
        status = "stopped"
        raise
    except BaseException as error:
        failure = str(error) if isinstance(error, SyncError) else type(error).__name__
        raise
    finally:
        ended.set()
        beating.join()
        if status != "stopped":
            with scope.book.writing() as db:
                scope.book.note(db, scope.instance, project, failure=failure)
        figures = {"done": run.done, "counts": dict(run.counts), "calls": run.calls}
        scope.book.end_run(number, status, error=failure, **figures)
        scope.ledger.release(lease)


def lease_name(instance: str, project: str) -> str:
    """The lease of one partition."""
    return f"jira/{instance}|{project}"


def _fixed(issue: Issue, instance: str) -> dict[str, Any]:
    """The columns that every row has. Raises ReadError for an issue without key or `updated`."""
    fields, key = issue.get("fields"), str(issue.get("key") or "")
    try:
        assert isinstance(fields, dict)
        project, updated = (fields.get("project") or {}).get("key"), moment(fields.get("updated"))
        created = moment(fields["created"]) if fields.get("created") else None
    except (AssertionError, Untyped, AttributeError):
        raise ReadError(f"jira {instance}", f"issue {issue_id(issue)} has no updated, created or project") from None
    return {
        "instance": instance,
        "issue_id": issue_id(issue),
        "issue_key": key,
        "project_key": project or key.rpartition("-")[0],
        "old_keys": None,
        "created": created,
        "updated": updated,
    }
