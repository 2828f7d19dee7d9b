"""All instances together: who is read, side by side within each one's budget, each failing alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Literal, Self

from safetyamp_pipelines.jira.api import JiraClient, jira_client
from safetyamp_pipelines.jira.book import Active, JiraBook, open_book
from safetyamp_pipelines.jira.changelog import read_history
from safetyamp_pipelines.jira.forward import read_issues
from safetyamp_pipelines.jira.instances import Instance, instances_of
from safetyamp_pipelines.jira.issue_tables import add_columns
from safetyamp_pipelines.jira.presence import check_presence
from safetyamp_pipelines.jira.scope import Scope
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import Refusal, SyncError
from safetyamp_pipelines.systems.http.retry import RetryPolicy

Kind = Literal["issues", "history", "presence"]
READS: Mapping[Kind, Callable[..., dict[str, Any]]] = {
    "issues": read_issues,
    "history": read_history,
    "presence": check_presence,
}
AT_ONCE = 4
"""Partitions read at once; the budget of an instance holds however many there are."""
Outcome = dict[str, Any] | SyncError


class JiraSession:
    """One run over the instances of the settings: opened once, one mapping version, one client each."""

    def __init__(
        self, settings: Settings, *, run_id: str, cause: str = "shell", policy: RetryPolicy | None = None
    ) -> None:
        self.settings, self._run_id, self._cause, self._policy = settings, run_id, cause, policy
        self.instances = {instance.name: instance for instance in instances_of(settings)}
        if not self.instances:
            raise Refusal("no Jira is configured: set JIRA_INSTANCES (docs/jira.md)")
        self._closing, self._lock = ExitStack(), threading.Lock()
        self._scopes: dict[str, Scope] = {}
        self.columns_added: list[str] = []
        self.book: JiraBook = open_book(settings)
        self._closing.callback(self.book.close)
        self.ledger = self._closing.enter_context(Ledger.open(settings.ledger_url.get_secret_value()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.close()

    def active(self) -> Active:
        """The mapping of this run; its columns are there."""
        active = self.book.active()
        with self.book.writing() as db:
            self.columns_added = add_columns(db, active.mapping)
        return active

    def client(self, instance: str) -> JiraClient:
        """A client of one instance. Raises Refusal for an unknown name."""
        if instance not in self.instances:
            raise Refusal(f"no Jira instance {instance}; there are {', '.join(self.instances)}")
        client = jira_client(self.instances[instance], self.settings, self._policy)
        self._closing.callback(client.close)
        return client

    def scope(self, instance: str) -> Scope:
        """One instance in this run, asked which projects are visible. Raises SyncError."""
        with self._lock:
            if instance not in self._scopes:
                active = next((scope.active for scope in self._scopes.values()), None) or self.active()
                client = self.client(instance)
                visible = client.projects()
                self.book.keep_partitions(self.instances[instance], visible)
                self._scopes[instance] = Scope(
                    self.book, self.ledger, client, active, visible, self._run_id, self._cause
                )
            return self._scopes[instance]

    def refresh_partitions(self) -> tuple[list[str], dict[str, SyncError]]:
        """The keys `instance|PROJECT` to read, and by instance what kept it from being asked (its known ones stay)."""
        errors: dict[str, SyncError] = {}
        for name in self.instances:
            try:
                self.scope(name)
            except SyncError as error:
                errors[name] = error
        return self.partition_keys(), errors

    def partition_keys(self) -> list[str]:
        """The keys `instance|PROJECT` known so far."""
        rows = self.book.partitions()
        return [f"{row['instance']}|{row['project']}" for row in rows if row["instance"] in self.instances]

    def read(self, kind: Kind, keys: Iterable[str], **options: Any) -> dict[str, Outcome]:
        """Read these partitions side by side; figures or the error of each."""

        def one(key: str) -> Outcome:
            instance, _, project = key.partition("|")
            try:
                return READS[kind](self.scope(instance), project, **options)
            except SyncError as error:
                return error

        chosen = list(dict.fromkeys(keys))
        with ThreadPoolExecutor(AT_ONCE, "jira") as pool:
            return dict(zip(chosen, pool.map(one, chosen), strict=True))

    def refresh_fields(self) -> dict[str, Outcome]:
        """Read every instance's catalogue of fields; one that cannot be read keeps its old one."""

        def one(instance: Instance) -> Outcome:
            try:
                return {"fields": self.book.store_fields(instance.name, self.client(instance.name).fields())}
            except SyncError as error:
                return error

        return {name: one(instance) for name, instance in self.instances.items()}
