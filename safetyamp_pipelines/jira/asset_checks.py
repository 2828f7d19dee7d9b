"""The asset checks of Jira: judged from what the reads noted, without a call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import sqlalchemy as sa

from safetyamp_pipelines.jira import issue_tables as t
from safetyamp_pipelines.jira.book import JiraBook
from safetyamp_pipelines.jira.field_mapping import problems_with
from safetyamp_pipelines.resources.keys import asset_key

ISSUES, PRESENCE = "jira/issues", "jira/presence"
LATE_AFTER = 4
"""Intervals of the schedule after which a partition is late."""
COUNT_SHARE = 0.01
"""A Cloud's own count is approximate: a difference below this share is ignored."""
MOST_NAMED = 20


@dataclass(frozen=True)
class Judged:
    """What was found: nothing, or who and what. `blocks` makes it an error instead of a warning."""

    found: Sequence[str]
    figures: Mapping[str, Any]
    blocks: bool = False


def judge_mapping(book: JiraBook, _: timedelta) -> Judged:
    """Fields and instances that the mapping names and no catalogue has."""
    newest = book.newest()
    found = problems_with(newest.mapping, book.catalogue()) if newest is not None else []
    return Judged(found, {"version": newest.version if newest else 0}, blocks=True)


def judge_untyped(book: JiraBook, _: timedelta) -> Judged:
    """Values that their column's type cannot hold."""
    issues = t.issues.c
    query = sa.select(issues.instance, issues.issue_key, issues.untyped).order_by(issues.instance, issues.issue_id)
    rows = book.rows(query.where(issues.untyped.is_not(None), issues.gone_at.is_(None)))
    return Judged(
        [f"{row['instance']} {row['issue_key']}: {name} {why}" for row in rows for name, why in row["untyped"].items()],
        {},
    )


def judge_columns(book: JiraBook, _: timedelta) -> Judged:
    """Columns that are empty in all rows of an instance although the changelog shows that their field is used."""
    newest, empty = book.newest(), []
    for instance in book.catalogue() if newest is not None else ():
        assert newest is not None
        table = newest.table
        sources = {name: source for name, source in newest.mapping.sources_of(instance) if source.paths}
        filled = [sa.func.count(table.c[name]).label(name) for name in sources]
        used_fields = sa.select(t.changes.c.field_id).where(t.changes.c.instance == instance, t.changes.c.to_text != "")
        with book.reading() as db:
            own = sa.select(sa.literal(0), *filled).where(table.c.instance == instance)
            counts = db.execute(own).mappings().one()
            used = set(db.scalars(used_fields.distinct()))
        empty += [
            f"{instance}: {name}, from {', '.join(source.paths)}"
            for name, source in sources.items()
            if counts[name] == 0 and {path.partition(".")[0] for path in source.paths} & used
        ]
    return Judged(empty, {})


def judge_count(book: JiraBook, _: timedelta) -> Judged:
    """Projects whose number of rows is not Jira's own count, at the last presence check."""
    wrong = [
        f"{row['instance']}|{row['project']}: {row['listed']} listed, {row['counted']} counted"
        for row in book.partitions()
        if row["listed"] is not None
        and row["counted"] is not None
        and abs(row["listed"] - row["counted"]) > COUNT_SHARE * max(row["listed"], row["counted"])
    ]
    return Judged(wrong, {})


def judge_age(book: JiraBook, late_after: timedelta) -> Judged:
    """Partitions that were not read for too long, or never."""
    now = datetime.now(UTC)
    late = [
        f"{row['instance']}|{row['project']}: {row['failure'] or row['read_at'] or 'never read'}"
        for row in book.partitions()
        if row["read_at"] is None or now - row["read_at"] > late_after
    ]
    return Judged(late, {"late_after_minutes": late_after.total_seconds() / 60})


def judge_gone(book: JiraBook, _: timedelta) -> Judged:
    """Sets of issues that would be marked gone and wait for an approval."""
    held = [
        f"{row['instance']}|{row['project']}: {len(row['held']['ids'])} of {row['held']['of']} would be marked gone. "
        f"safetyamp approve {row['held']['hash'][:12]} --reason …"
        for row in book.partitions()
        if row["held"]
    ]
    return Judged(held, {}, blocks=True)


CHECKS: Mapping[tuple[str, str], tuple[Callable[[JiraBook, timedelta], Judged], str]] = {
    (ISSUES, "mapping"): (
        judge_mapping,
        "Every field and instance of the mapping is in the catalogue. Red? A field was removed in Jira, or misspelt: "
        "`safetyamp jira suggest COLUMN`, then save the mapping.",
    ),
    (ISSUES, "untyped"): (
        judge_untyped,
        "Every value fits its column's type. Yellow: the named values are empty in the table; correct them in Jira, or "
        "give the column another name and type. Red? It never is.",
    ),
    (ISSUES, "empty_columns"): (
        judge_columns,
        "No column is empty although its field is used. Yellow: look at the field in one issue with "
        "`safetyamp jira preview`. Red? It never is.",
    ),
    (ISSUES, "fresh"): (
        judge_age,
        "Every partition was read recently. Yellow: the schedule is off or paused, or the partition fails for the "
        "named reason. Red? It never is.",
    ),
    (PRESENCE, "count"): (
        judge_count,
        "As many issues were listed as Jira counts. Yellow: its index lags; if it stays, read the project whole. Red? "
        "It never is.",
    ),
    (PRESENCE, "shrink"): (
        judge_gone,
        "Not many issues vanish at once. Red? The named issues are no longer listed and their rows were left as they "
        "are: check whether the account lost a permission, then approve or wait.",
    ),
}
"""By asset and name: the function that judges, and the description in the UI."""


def check_specs(asset: str) -> list[dg.AssetCheckSpec]:
    """The checks of one asset; the step that reads it yields them."""
    return [
        dg.AssetCheckSpec(name, asset=asset_key(asset), description=text)
        for (of, name), (_, text) in CHECKS.items()
        if of == asset
    ]


def check_results(asset: str, book: JiraBook, minutes: int) -> Iterator[dg.AssetCheckResult]:
    """What each check of the asset finds now."""
    for (of, name), (judge, _) in CHECKS.items():
        if of == asset:
            judged = judge(book, timedelta(minutes=minutes * LATE_AFTER))
            yield dg.AssetCheckResult(
                asset_key=asset_key(asset),
                check_name=name,
                passed=not judged.found,
                severity=dg.AssetCheckSeverity.ERROR if judged.blocks else dg.AssetCheckSeverity.WARN,
                metadata={
                    "found": len(judged.found),
                    "named": "\n".join(judged.found[:MOST_NAMED]) or "nothing",
                    **judged.figures,
                },
            )
