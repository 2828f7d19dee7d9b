"""Reading the issues of one partition into the table: forward from its watermark, whole, or a window of the past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from safetyamp_pipelines.jira.api import Issue, JiraClient, PagingLost, issue_id
from safetyamp_pipelines.jira.scope import Run, Scope, running
from safetyamp_pipelines.sync.model.errors import ReadError, Refusal

OVERLAP = timedelta(minutes=5)
"""Jira's index lags behind its issues: this much before the watermark is read again."""
MOST_ROUNDS = 3


class Window(NamedTuple):
    """Issues updated from `since` until before `until`."""

    since: datetime
    until: datetime


def window_of(since: str, until: str) -> Window:
    """A window from two times; UTC where they have no offset. Raises Refusal."""
    try:
        found = [datetime.fromisoformat(text) for text in (since, until)]
    except ValueError:
        raise Refusal("a window needs two times, such as 2026-11-01 and 2026-11-02T12:00") from None
    begins, ends = (at if at.tzinfo else at.replace(tzinfo=UTC) for at in found)
    if begins >= ends:
        raise Refusal("a window begins before it ends")
    return Window(begins, ends)


def read_issues(scope: Scope, project: str, *, window: Window | None = None, whole: bool = False) -> dict[str, Any]:
    """Read a partition and return its figures. Only a forward read that came to its end moves the watermark.

    It is whole where there is no watermark yet, or where the mapping now fills a column in another way.
    Raises ReadError, Refusal, FatalCall, Paused.
    """
    with running(scope, "window" if window else "issues", project) as run:
        scope.require_visible(project)
        before = scope.book.partition(scope.instance, project)
        rules, watermark = scope.active.mapping.rules(scope.instance), before["watermark"]
        whole = whole or watermark is None or any((before["rules"] or {}).get(name) != rules[name] for name in rules)
        where = of_project(project)
        if window is not None:
            where += f" AND updated >= {_millis(window.since)} AND updated < {_millis(window.until)}"
        elif not whole:
            where += f" AND updated >= {_millis(watermark - OVERLAP)}"
        if whole or window is not None:
            run.total = scope.client.count(where)
        began = scope.client.now()
        newest = _read(run, where, scope.fields)
        if window is None:
            _remember(run, rules, [watermark, None if newest is None else min(newest, began)])
            watermark = scope.book.partition(scope.instance, project)["watermark"]
        return {**run.figures(), "whole": whole and window is None, "watermark": watermark and watermark.isoformat()}


def of_project(project: str) -> str:
    """The query for a project; quoted, since some keys are words of the query language."""
    return f'project = "{project}"'


def whole_pages(client: JiraClient, where: str, fields: Sequence[str]) -> Iterator[list[Issue]]:
    """Every issue of a query, some perhaps twice. Starts over once when the next page can no longer be reached.

    While issues change, an issue can slip between two pages. What took several pages is therefore listed once more by
    id, and what is new in that list is fetched, until nothing is.
    """
    seen: set[int] = set()
    pages, is_again = 0, False
    while True:
        try:
            for page in client.pages(where, fields):
                pages += 1
                seen |= {issue_id(issue) for issue in page}
                yield page
            break
        except PagingLost:
            if is_again:
                raise
            is_again = True
    for _ in range(MOST_ROUNDS if pages > 1 else 0):
        listed = set(client.ids(where))
        if 2 * len(seen & listed) < len(seen):
            raise ReadError(f"jira {client.instance.name} issues", "a second listing lacks most of what was read")
        if not (missed := listed - seen):
            return
        found = client.by_ids(missed, fields)
        seen |= set(found)
        yield list(found.values())
    if pages > 1:
        raise ReadError(f"jira {client.instance.name} issues", "a listing still holds issues that cannot be read")


def _read(run: Run, where: str, fields: Sequence[str]) -> datetime | None:
    newest: datetime | None = None
    pages = whole_pages(run.scope.client, where, fields)
    while True:
        asked_at = datetime.now(UTC)
        if (page := next(pages, None)) is None:
            return newest
        found = run.store(page, asked_at) if page else None
        newest = max(filter(None, (newest, found)), default=None)
        run.check()


def _remember(run: Run, rules: dict[str, str], marks: Sequence[datetime | None]) -> None:
    """The watermark never moves back; nor past the beginning of the read, for what changed since may be unread."""
    values = {"watermark": max(filter(None, marks), default=None), "rules": rules, "read_at": datetime.now(UTC)}
    with run.scope.book.writing() as db:
        version = run.scope.active.version
        run.scope.book.note(
            db, run.scope.instance, run.project, mapping_version=version, absent=dict(run.absent), **values
        )


def _millis(at: datetime) -> int:
    """A time as the query language takes it in every time zone: milliseconds since 1970, unquoted."""
    return int(at.timestamp() * 1000)
