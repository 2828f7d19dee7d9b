"""What helps to write a mapping: finding fields, suggesting them for a column, and a preview that writes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from safetyamp_pipelines.jira import issue_tables as t
from safetyamp_pipelines.jira.field_mapping import FieldMapping, problems_with, row_values
from safetyamp_pipelines.jira.forward import of_project
from safetyamp_pipelines.jira.partitions import JiraSession
from safetyamp_pipelines.jira.scope import SYSTEM_FIELDS
from safetyamp_pipelines.jira.values import ABSENT, ColumnType
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.sync.model.errors import Refusal

Catalogue = Mapping[str, Mapping[str, Mapping[str, Any]]]
ALIKE, UNFIT, MOST = 0.3, 0.7, 5
MOST_PREVIEWED = 10
FITS: Mapping[ColumnType, tuple[str, ...]] = {
    "integer": ("number", "string"),
    "number": ("number",),
    "date": ("date", "datetime"),
    "datetime": ("datetime",),
    "list": ("array",),
    "boolean": ("option", "string", "array"),
}
"""Types of Jira's that suit a column; text and json take any."""


def find_fields(catalogue: Catalogue, term: str) -> list[Mapping[str, Any]]:
    """Fields of every instance whose name or id holds the term (two letters at least)."""
    if len(term.strip()) < 2:
        raise Refusal("give at least two letters of a field's name or id")
    wanted = term.strip().casefold()
    every = (field for fields in catalogue.values() for field in fields.values())
    return [field for field in every if wanted in field["name"].casefold() or wanted in field["field_id"].casefold()]


def suggest_fields(catalogue: Catalogue, column: str, kind: ColumnType = "text") -> dict[str, list[dict[str, Any]]]:
    """By instance the fields whose names are most like the column's; those whose type does not suit rank lower."""
    wanted = trigrams(column.removeprefix("ndpu_"))
    found: dict[str, list[dict[str, Any]]] = {}
    for instance, fields in catalogue.items():
        scored = []
        for field in fields.values():
            theirs = trigrams(field["name"])
            score = len(wanted & theirs) / len(wanted | theirs)
            fits = field["type"].startswith(FITS.get(kind, ("",)))
            if score >= ALIKE:
                scored.append({**field, "fits": fits, "score": round(score if fits else score * UNFIT, 2)})
        found[instance] = sorted(scored, key=lambda one: (-one["score"], one["field_id"]))[:MOST]
    return found


def trigrams(name: str) -> set[str]:
    """The three-letter pieces of each word: `Order_No` and `order no.` have the same."""
    words = re.findall(r"[^\W_]+", name.casefold())
    return {f"  {word} "[place : place + 3] for word in words for place in range(len(word) + 1)} or {""}


def preview(session: JiraSession, mapping: FieldMapping, keys: Iterable[str], limit: int = 3) -> dict[str, Any]:
    """What a mapping would make of live issues, before → after, what it would refuse and add. Writes nothing.

    `keys` are partitions `instance|PROJECT`, whose newest issues are read, or `instance|PROJECT-12` for one issue.
    """
    active = session.book.newest()
    with session.book.reading() as db:
        there = {str(one["name"]) for one in sa.inspect(db).get_columns("jira_issues")}
    found = []
    for key in keys:
        instance, _, name = key.partition("|")
        client = session.client(instance)
        fields = list(dict.fromkeys((*SYSTEM_FIELDS, *mapping.fields_of(instance))))
        if re.fullmatch(r".+-\d+", name):
            issues = [one for one in [client.issue(name, fields)] if one is not None]
        else:
            issues = client.newest(of_project(name), fields, min(limit, MOST_PREVIEWED))
        if not issues:
            raise Refusal(f"{key}: no issue that the account can see")
        found += [_previewed(session, active.mapping if active else None, mapping, instance, one) for one in issues]
    return {
        "adds": [name for name in mapping.columns if name not in there],
        "problems": problems_with(mapping, session.book.catalogue()),
        "issues": found,
    }


def _previewed(
    session: JiraSession, now: FieldMapping | None, mapping: FieldMapping, instance: str, issue: Mapping[str, Any]
) -> dict[str, Any]:
    values, untyped = row_values(mapping, instance, issue["fields"])
    before: dict[str, Any] = {}
    if now is not None:
        table = t.issues_table(now)
        where = (table.c.instance == instance, table.c.issue_id == int(issue["id"]))
        with session.book.reading() as db:
            before = dict(db.execute(sa.select(table).where(*where)).mappings().first() or {})
    columns = {
        name: {"before": plain(before.get(name)), "after": plain(before.get(name) if value is ABSENT else value)}
        for name, value in values.items()
    }
    absent = [name for name, value in values.items() if value is ABSENT]
    return {"instance": instance, "key": issue["key"], "columns": columns, "untyped": untyped, "absent": absent}
