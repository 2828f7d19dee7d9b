"""Runs the real command against a sandbox and keeps what there was to see; one story is told once for all workers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from commands import in_this_process
from once import made_once

from oracle.book import Row
from safetyamp_pipelines.sandbox import RequestRecord, Sandbox

_PAGED = ("sites", "user_titles", "roles", "users", "asset_types", "assets")
PAGE = 100  # the package's page size, and what the sandbox's SafetyAmp gives at most


@dataclass
class Run:
    """One run of `safetyamp sync --json`: its report, SafetyAmp (deleted records too) around it, and its requests."""

    report: dict[str, Any]
    exit_code: int
    before: dict[str, list[Row]]
    after: dict[str, list[Row]]
    requests: list[RequestRecord]
    said: str

    @property
    def writes(self) -> list[RequestRecord]:
        """The requests that asked SafetyAmp for a change."""
        return [request for request in self.requests if request.is_write]

    @property
    def pages(self) -> int:
        """The fewest reads: the cluster tree at once, every other table until its first empty page."""
        return 1 + sum(1 + -(-len(_visible(self.before[table])) // PAGE) for table in _PAGED)

    @property
    def unclear_ends(self) -> int:
        """Tables that fill their pages, as an empty one does. In a first run, which knows of no table how large it is,
        their end is asked for twice."""
        return sum(len(_visible(self.before[table])) % PAGE == 0 for table in _PAGED)

    def written(self, table: str) -> list[Any]:
        """The ids that were written to, in order, None for a create."""
        found: list[Any] = []
        for request in self.writes:
            of, _, id_ = request.path.removeprefix("/api/").partition("/")
            if of == table:
                found.append((id_ if table == "users" else int(id_)) if id_ else None)
        return found

    def user(self, emp_id: int | str) -> Row:
        """The one user with this employee number, afterwards."""
        return self.one("users", emp_id=str(emp_id))

    def one(self, table: str, **wanted: Any) -> Row:
        """The one record with these values, afterwards."""
        (found,) = self.all(table, **wanted)
        return found

    def all(self, table: str, **wanted: Any) -> list[Row]:
        """The records with these values, afterwards."""
        return [row for row in _visible(self.after[table]) if all(row[name] == value for name, value in wanted.items())]

    def by_id(self, table: str, id_: Any) -> tuple[Row, Row]:
        """A record before and after."""
        before, after = ([row for row in tables[table] if row["id"] == id_] for tables in (self.before, self.after))
        return before[0], after[0]

    def verdict(self, entity: str, key: Any) -> str | None:
        """The verdict of a record that is not in step; None for one that is."""
        lines = {str(line["key"]): line["verdict"] for line in self.report["not_in_step"][entity]}
        return lines.get(str(key))

    def why(self, entity: str, key: Any) -> str:
        """The reasons given for a record that is not in step."""
        return " ".join(
            reason
            for line in self.report["not_in_step"][entity]
            if str(line["key"]) == str(key)
            for reason in line["why"]
        )


@dataclass
class Story:
    """Runs in order and the names of what they are about."""

    runs: list[Run] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)


def sync(box: Sandbox) -> Run:
    """Run the command."""
    before = box.safetyamp.tables(hidden=True)
    done = in_this_process(box, "sync", "--json", begun=False)
    if not done.stdout.strip():
        raise AssertionError(f"exit code {done.exit_code} and no report: {done.stderr[-3000:]}")
    after = box.safetyamp.tables(hidden=True)
    return Run(done.document(), done.exit_code, before, after, done.calls, done.stdout + done.stderr)


def told_once(name: str, tell: Callable[[], Story], factory: pytest.TempPathFactory) -> Story:
    """The story of this name, told by the first worker that asks and read by the others, be it only how it failed."""
    kept = made_once(f"{name}.story", lambda file: file.write_bytes(pickle.dumps(_told(tell))), factory)
    story = pickle.loads(kept.read_bytes())
    if isinstance(story, str):
        raise AssertionError(story)
    assert isinstance(story, Story)
    return story


def _told(tell: Callable[[], Story]) -> Story | str:
    try:
        return tell()
    except AssertionError as error:
        return str(error)


def _visible(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not row.get("deleted_at")]
