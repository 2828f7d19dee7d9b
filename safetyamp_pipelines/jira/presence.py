"""Which issues are still there: absence from a listing only raises the question, asking for the issue answers it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from safetyamp_pipelines.jira import issue_tables as t
from safetyamp_pipelines.jira.api import ASKED_AT_ONCE, Issue, batches
from safetyamp_pipelines.jira.book import JIRA, gone_hash
from safetyamp_pipelines.jira.forward import of_project
from safetyamp_pipelines.jira.scope import Run, Scope, running
from safetyamp_pipelines.sync.model.errors import ReadError

MOST_GONE, MOST_SHARE, FEW = 20, 0.10, 5
"""More than both of these at once, or every one of a few, are held until a person approves them, some or all."""
DELETED = "deleted, or hidden by issue security"


def check_presence(scope: Scope, project: str) -> dict[str, Any]:
    """Compare a project's issues with the table, and return the figures: what is gone is marked, what was missed is
    read. A project that is not visible proves nothing: its rows stay as they are."""
    with running(scope, "presence", project) as run:
        known = _rows(scope, project)
        if project not in scope.visible:
            return _note(run, not_visible=len(known))
        listed = scope.client.ids(of_project(project))
        _read_missed(run, listed)
        asked_at = datetime.now(UTC)
        gone = _gone(run, set(known) - set(listed), next(iter(listed), None), asked_at)
        if gone is None:
            return _note(run, not_visible=len(known))
        held = _held(scope, project, gone, len(known))
        _mark(run, {number: why for number, why in gone.items() if number not in held}, asked_at)
        run.counts["held"] = len(held)
        counted = scope.client.count(of_project(project))
        document = {"hash": gone_hash(scope.instance, *held), "ids": held, "keys": [known[one] for one in held]}
        return _note(
            run,
            listed=len(listed),
            counted=counted,
            not_visible=0,
            held={**document, "of": len(known)} if held else None,
        )


def _read_missed(run: Run, listed: Mapping[int, str]) -> None:
    """Read what is listed and not in the table under this project and key: it came back, moved, or was missed."""
    known = _rows(run.scope, run.project)
    missed = {one for one, key in listed.items() if one not in known or known[one] != (key or known[one])}
    if missed:
        asked_at = datetime.now(UTC)
        run.store(list(run.scope.client.by_ids(missed, run.scope.fields).values()), asked_at)


def _gone(run: Run, unlisted: set[int], present: int | None, asked_at: datetime) -> dict[int, str] | None:
    """Why each is no longer here, by asking for it; None when the project turns out not to be visible any more.

    An issue that is `present` is asked for with them: an answer without it is torn and proves nothing.
    """
    found: dict[int, Issue] = {}
    control = set() if present is None else {present}
    for some in batches(sorted(unlisted), ASKED_AT_ONCE - 1):
        answer = run.scope.client.by_ids({*some, *control}, run.scope.fields)
        if not control <= set(answer):
            raise ReadError(f"jira {run.scope.instance} {run.project}", "an issue that was listed is not returned")
        found |= {one: issue for one, issue in answer.items() if one in unlisted}
    if not unlisted:
        return {}
    visible = run.scope.client.projects()
    if run.project not in visible:
        return None
    run.store(list(found.values()), asked_at)
    read = {row["project"] for row in run.scope.book.partitions() if row["instance"] == run.scope.instance}
    gone = dict.fromkeys(unlisted - set(found), DELETED)
    for number, issue in found.items():
        elsewhere = str(issue["fields"]["project"]["key"])
        if elsewhere not in read:
            gone[number] = f"moved out to {issue['key']}"
    return gone


def _held(scope: Scope, project: str, gone: Collection[int], known: int) -> list[int]:
    """What is to be approved before it is marked: all that nobody approved where it is much at once, and whatever was
    held before, however little of it is left."""
    approved = scope.ledger.approved(JIRA)
    waiting = [one for one in sorted(gone) if gone_hash(scope.instance, one) not in approved]
    is_much = len(waiting) > MOST_GONE and len(waiting) > MOST_SHARE * known
    if is_much or (len(waiting) == known and known >= FEW):
        return waiting
    before = (scope.book.partition(scope.instance, project)["held"] or {}).get("ids", ())
    return [one for one in waiting if one in before]


def _mark(run: Run, gone: Mapping[int, str], asked_at: datetime) -> None:
    """Mark those rows that were not read since."""
    table = t.issues.c
    with run.scope.book.writing() as db:
        for why in set(gone.values()):
            ids = [number for number, reason in gone.items() if reason == why]
            where = (table.instance == run.scope.instance, table.issue_id.in_(ids), table.gone_at.is_(None))
            marked = sa.update(t.issues).where(*where, table.read_at <= asked_at)
            marked = marked.values(gone_at=asked_at, gone_why=why)
            run.counts["gone"] += db.execute(marked).rowcount
    if gone:
        run.scope.ledger.use_approvals(JIRA, [gone_hash(run.scope.instance, one) for one in gone])


def _note(run: Run, **values: Any) -> dict[str, Any]:
    with run.scope.book.writing() as db:
        values = {"listed_at": datetime.now(UTC), "held": None, **values}
        run.scope.book.note(db, run.scope.instance, run.project, **values)
    shown = {name: value for name, value in values.items() if name in ("listed", "counted", "not_visible")}
    return {**run.figures(), **shown}


def _rows(scope: Scope, project: str) -> dict[int, str]:
    """The rows of a project that are not gone: id and key."""
    table = t.issues.c
    query = sa.select(table.issue_id, table.issue_key).where(
        table.instance == scope.instance, table.project_key == project, table.gone_at.is_(None)
    )
    with scope.book.reading() as db:
        return {row.issue_id: row.issue_key for row in db.execute(query)}
