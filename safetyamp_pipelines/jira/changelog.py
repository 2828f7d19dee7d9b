"""The changelog of every issue, whole, in `jira_changes`, and the times that the mapping takes from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from safetyamp_pipelines.jira import issue_tables as t
from safetyamp_pipelines.jira.api import batches
from safetyamp_pipelines.jira.field_mapping import Transition
from safetyamp_pipelines.jira.scope import Run, Scope, running
from safetyamp_pipelines.jira.values import moment, plain_text

BATCH = 200


def read_history(scope: Scope, project: str) -> dict[str, Any]:
    """Read the changelogs of the issues that changed since theirs was read, and return the figures.

    One that Jira gives only in part is not stored, and counted as `cut`: half a history looks like a whole one.
    """
    with running(scope, "history", project) as run:
        scope.require_visible(project)
        table = t.issues.c
        own = (table.instance == scope.instance, table.project_key == project)
        stale = sa.or_(table.changes_of.is_(None), table.changes_of < table.updated)
        with scope.book.reading() as db:
            due = db.execute(sa.select(table.issue_id, table.updated).where(*own, stale, table.gone_at.is_(None))).all()
        run.total = len(due)
        updated = {row.issue_id: row.updated for row in due}
        for some in batches(sorted(updated), BATCH):
            logs = dict(scope.client.changelogs(some))
            fresh = {one: log for one, log in logs.items() if log.as_of is None or log.as_of >= updated[one]}
            _store(run, {one: log.histories for one, log in fresh.items() if log.histories is not None}, updated)
            run.counts["cut"] += sum(log.histories is None for log in logs.values())
            run.done += len(some)
            run.check()
        _fill_columns(run, list(updated))
        return run.figures()


def _store(run: Run, logs: Mapping[int, Sequence[Mapping[str, Any]]], updated: Mapping[int, Any]) -> None:
    instance, table = run.scope.instance, t.issues.c
    rows = [row for one, histories in logs.items() for history in histories for row in _changes(instance, one, history)]
    with run.scope.book.writing() as db:
        theirs = (t.changes.c.instance == instance, t.changes.c.issue_id.in_(list(logs)))
        before = db.scalar(sa.select(sa.func.count()).select_from(t.changes).where(*theirs)) or 0
        db.execute(sa.delete(t.changes).where(*theirs))
        if rows:
            db.execute(sa.insert(t.changes), rows)
        if logs:
            upto = sa.update(t.issues).where(table.instance == instance, table.issue_id == sa.bindparam("one"))
            values = [{"one": one, "upto": updated[one]} for one in logs]
            db.execute(upto.values(changes_of=sa.bindparam("upto")), values)
    run.counts["changes"] += len(rows) - before


def _changes(instance: str, issue: int, history: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    author = history.get("author") or {}
    for place, item in enumerate(history.get("items") or ()):
        texts = {
            "field": item.get("field"),
            "field_id": item.get("fieldId"),
            "from_value": item.get("from"),
            "from_text": item.get("fromString"),
            "to_value": item.get("to"),
            "to_text": item.get("toString"),
        }
        yield {
            "instance": instance,
            "issue_id": issue,
            "change_id": int(history["id"]),
            "item": place,
            "at": moment(history["created"]),
            "author_id": author.get("accountId") or author.get("name"),
            "author": author.get("displayName"),
            **{name: None if value is None else plain_text(value) for name, value in texts.items()},
        }


def _fill_columns(run: Run, changed: Sequence[int]) -> None:
    """Set the columns that take a time from the changelog: of the changed issues, or of all where a rule is new."""
    scope, project = run.scope, run.project
    waits = {name: source.when for name, source in scope.active.mapping.sources_of(scope.instance) if source.when}
    rules = scope.active.mapping.rules(scope.instance, when=True)
    table = scope.active.table
    if waits:
        ids = changed
        if rules != (scope.book.partition(scope.instance, project)["waits"] or {}):
            own = (table.c.instance == scope.instance, table.c.project_key == project)
            with scope.book.reading() as db:
                ids = list(db.scalars(sa.select(table.c.issue_id).where(*own).order_by(table.c.issue_id)))
        for some in batches(ids, BATCH):
            _fill(run, table, waits, some)
            run.check()
    with scope.book.writing() as db:
        scope.book.note(db, scope.instance, project, waits=rules)


def _fill(run: Run, table: sa.Table, waits: Mapping[str, Transition], ids: Sequence[int]) -> None:
    instance, changes = run.scope.instance, t.changes.c
    query = sa.select(t.changes).where(changes.instance == instance, changes.issue_id.in_(ids))
    mapping = run.scope.active.mapping
    with run.scope.book.writing() as db:
        logs: dict[int, list[Any]] = {one: [] for one in ids}
        for change in db.execute(query.order_by(changes.at, changes.change_id, changes.item)):
            logs[change.issue_id].append(change)
        values = []
        for one, log in logs.items():
            times = {name: _time_of(when, log) for name, when in waits.items()}
            values.append(
                {"one": one}
                | {
                    f"new_{name}": at.date() if at is not None and mapping.columns[name].type == "date" else at
                    for name, at in times.items()
                }
            )
        where = (table.c.instance == instance, table.c.issue_id == sa.bindparam("one"))
        new = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in waits}
        db.execute(sa.update(table).where(*where).values(new), values)


def _time_of(when: Transition, log: Sequence[Any]) -> Any:
    found = [
        change.at
        for change in log
        if when.field.casefold() in ((change.field or "").casefold(), (change.field_id or "").casefold())
        and (change.to_text or "").casefold() == when.to.casefold()
        and (when.before is None or (change.from_text or "").casefold() == when.before.casefold())
    ]
    return None if not found else found[0] if when.which == "first" else found[-1]
