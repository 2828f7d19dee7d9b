"""What people and the dashboard ask: status, issues, one issue with where its values come from, runs and statistics."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from safetyamp_pipelines.jira import issue_tables as t
from safetyamp_pipelines.jira.book import Active, JiraBook
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.sync.model.errors import Refusal

MOST_ROWS, MOST_CHANGES = 200, 200
OF_PARTITION = (
    *("instance", "project", "name", "watermark", "read_at", "failure"),
    *("listed", "counted", "not_visible", "mapping_version"),
)
FIGURES = ("created", "updated", "gone", "untyped", "changes")


def status_of(book: JiraBook, now: datetime) -> dict[str, Any]:
    """The pause, running reads with the time left, and every partition with its watermark and last failure."""
    newest = book.newest()
    return {
        "paused": plain(book.pause_state()),
        "mapping_version": newest.version if newest else None,
        "running": [plain(_progress(run, now)) for run in book.runs(active=True)],
        "partitions": [
            {
                **{name: plain(row[name]) for name in OF_PARTITION},
                "held": row["held"]
                and {
                    "hash": row["held"]["hash"],
                    "issues": len(row["held"]["ids"]),
                    "keys": row["held"]["keys"],
                },
            }
            for row in book.partitions()
        ],
    }


def issues_of(
    book: JiraBook,
    *,
    q: str = "",
    instance: str | None = None,
    project: str | None = None,
    gone: bool = False,
    limit: int = 50,
    after: str | None = None,
) -> dict[str, Any]:
    """A page of the table, newest first: `issues`, and `next` to ask for the page after it.

    `q` is looked for in the key and in every text column; `gone` shows those that are gone as well.
    """
    table = book.active_or_refuse().table
    order = (table.c.updated.desc(), table.c.instance, table.c.issue_id)
    query = sa.select(table).order_by(*order).limit(min(max(1, limit), MOST_ROWS) + 1)
    if q.strip():
        texts = [column for column in table.c if isinstance(column.type, sa.Text) and column.name != "instance"]
        query = query.where(sa.or_(*(column.icontains(q.strip(), autoescape=True) for column in texts)))
    if instance is not None:
        query = query.where(table.c.instance == instance)
    if project is not None:
        query = query.where(table.c.project_key == project)
    if not gone:
        query = query.where(table.c.gone_at.is_(None))
    if after is not None:
        updated, name, number = _unsealed(after)
        later = sa.tuple_(table.c.instance, table.c.issue_id) > sa.tuple_(sa.literal(name), sa.literal(number))
        query = query.where(sa.or_(table.c.updated < updated, sa.and_(table.c.updated == updated, later)))
    with book.reading() as db:
        rows = [dict(row) for row in db.execute(query).mappings()]
    page, more = rows[: query._limit - 1], len(rows) == query._limit  # type: ignore[operator]
    return {"issues": [_row(row) for row in page], "next": _sealed(page[-1]) if more else None}


def issue_of(book: JiraBook, key: str, instance: str | None = None) -> dict[str, Any]:
    """One issue by its key, an old key or its id: its row, where each column came from, and its changes.

    Raises Refusal for none, and for several when the instance does not say which.
    """
    active = book.active_or_refuse()
    table = active.table
    old = sa.cast(table.c.old_keys, sa.Text).contains(f'"{key}"', autoescape=True)
    named = sa.or_(table.c.issue_key == key, table.c.issue_id == (int(key) if key.isdecimal() else -1), old)
    where = [named] if instance is None else [named, table.c.instance == instance]
    with book.reading() as db:
        rows = [dict(row) for row in db.execute(sa.select(table).where(*where)).mappings()]
        rows = [row for row in rows if row["issue_key"] == key] or rows
        if len(rows) != 1:
            known = ", ".join(row["instance"] for row in rows)
            raise Refusal(f"{key} is in {known}: say which (--instance)" if rows else f"no issue {key} was ever read")
        row = rows[0]
        theirs = (t.changes.c.instance == row["instance"], t.changes.c.issue_id == row["issue_id"])
        newest = sa.select(t.changes).where(*theirs).order_by(t.changes.c.at.desc(), t.changes.c.item)
        changes = [dict(one) for one in db.execute(newest.limit(MOST_CHANGES)).mappings()]
    return {**_row(row), "came_from": dict(_origins(book, active, row)), "changes": plain(changes)}


def history_of(book: JiraBook, limit: int = 50) -> list[dict[str, Any]]:
    """The reads, newest first."""
    return [plain(run) for run in book.runs(limit=limit)]


def statistics_of(book: JiraBook, now: datetime) -> dict[str, Any]:
    """Reads and what they found, of 7 days, 30 days and all that is kept."""
    spans = {"7 days": now - timedelta(days=7), "30 days": now - timedelta(days=30), "all": None}
    return {name: summary_of(book.runs(since=since)) for name, since in spans.items()}


def summary_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of some reads."""
    counts: Counter[str] = Counter()
    for run in runs:
        counts.update({name: number for name, number in (run["counts"] or {}).items() if name in FIGURES})
    seconds = [(run["ended_at"] - run["started_at"]).total_seconds() for run in runs if run["ended_at"]]
    by_status = Counter(run["status"] for run in runs)
    return {
        "reads": len(runs),
        **{status: by_status[status] for status in ("completed", "failed", "stopped", "running")},
        "issues": sum(run["done"] for run in runs),
        **{name: counts[name] for name in FIGURES},
        "calls": sum(run["calls"] or 0 for run in runs),
        "seconds_average": round(sum(seconds) / len(seconds), 2) if seconds else None,
        "seconds_longest": round(max(seconds), 2) if seconds else None,
    }


def daily_report(book: JiraBook, day: date, zone: str) -> dict[str, Any]:
    """The figures of one day, of all partitions and of each."""
    begins = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    ends = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)
    runs = [run for run in book.runs(since=begins) if run["started_at"] < ends]
    keys = sorted({f"{run['instance']}|{run['project']}" for run in runs})
    each = {key: summary_of([run for run in runs if f"{run['instance']}|{run['project']}" == key]) for key in keys}
    return {"day": day.isoformat(), **summary_of(runs), "partitions": each}


def render_status(found: Mapping[str, Any], local: Callable[[str | None], str]) -> Iterator[str]:
    """The lines of `safetyamp jira status`."""
    if found["paused"]:
        yield f"paused by {found['paused']['who']} since {local(found['paused']['at'])}: {found['paused']['why']}"
    for run in found["running"]:
        left = f", about {run['seconds_left']} s left" if run["seconds_left"] is not None else ""
        yield f"running: {run['kind']} {run['instance']}|{run['project']}, {run['done']} of {run['total'] or '?'}{left}"
    for row in found["partitions"]:
        upto = f"up to {local(row['watermark'])}" if row["watermark"] else "nothing was read yet"
        state = f"FAILED: {row['failure']}" if row["failure"] else upto
        yield f"{row['instance']}|{row['project']}: {state}"
        if row["held"]:
            do = f"safetyamp approve {row['held']['hash'][:12]} --reason …"
            yield f"  {row['held']['issues']} issues would be marked gone, held: {do}"
    if not found["partitions"]:
        yield "nothing was read yet: safetyamp jira sync"


def _progress(run: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    seconds = (now - run["started_at"]).total_seconds()
    left = None
    if run["total"] and run["done"]:
        left = max(0, round(seconds / run["done"] * (run["total"] - run["done"])))
    return {**run, "seconds_left": left}


def _origins(book: JiraBook, active: Active, row: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    fields, reasons = book.catalogue().get(row["instance"], {}), row["untyped"] or {}
    for name, source in active.mapping.sources_of(row["instance"]):
        shown = [
            f"{path} ({fields[path.partition('.')[0]]['name']})" if path.partition(".")[0] in fields else path
            for path in source.paths
        ]
        when = f"changelog: {source.when.field} became {source.when.to} ({source.when.which})" if source.when else None
        origin = {"from": when or ", ".join(shown), "pick": source.pick, "untyped": reasons.get(name)}
        yield name, {key: value for key, value in origin.items() if value is not None}


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in row.items() if name not in ("untyped", "changes_of")}


def _sealed(row: Mapping[str, Any]) -> str:
    place = [row["updated"].isoformat(), row["instance"], row["issue_id"]]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _unsealed(after: str) -> tuple[datetime, str, int]:
    try:
        updated, instance, number = json.loads(base64.urlsafe_b64decode(after.encode()))
        return datetime.fromisoformat(updated), str(instance), int(number)
    except (ValueError, TypeError):
        raise Refusal("`after` is not the `next` of an earlier page") from None
