"""A person's name, address or account leaves the tables of Jira. Jira itself is the source: erase there first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa

from safetyamp_pipelines.jira import issue_tables as t
from safetyamp_pipelines.jira.book import JiraBook
from safetyamp_pipelines.ledger.database import erase_freed, mark_freed
from safetyamp_pipelines.sync.model.errors import Refusal

SHORTEST = 4
FORGOTTEN = "[forgotten]"


def forget_names(book: JiraBook, names: Iterable[str]) -> tuple[dict[str, int], bool]:
    """The same for every name and address of a person that is long enough to mean nobody else."""
    counts, is_erased = Counter({"jira_issues": 0, "jira_changes": 0}), True
    for name in names:
        if len(name.strip()) >= SHORTEST:
            found, is_erased = forget_in_jira(book, name)
            counts.update(found)
    return dict(counts), is_erased


def forget_in_jira(book: JiraBook, who: str) -> tuple[dict[str, int], bool]:
    """Replace every occurrence of a name, address or account id; how many rows of each table held one, and whether the
    bytes are gone from the database's file, too."""
    if len(who.strip()) < SHORTEST:
        raise Refusal(f"give at least {SHORTEST} letters of a name, address or account id: fewer hit others")
    found = re.compile(rf"(?<!\w){re.escape(who.strip())}(?!\w)", re.IGNORECASE)
    counts = {}
    with book.writing() as db:
        for name in ("jira_issues", "jira_changes"):
            known = t.metadata.tables[name]
            # As the database has it, to include columns that have left the mapping.
            table = sa.Table(name, sa.MetaData(), *(column.copy() for column in known.columns), autoload_with=db)
            counts[name] = _erase(db, table, who.strip(), lambda text: found.sub(FORGOTTEN, text))
        mark_freed(db)
    return counts, erase_freed(book.engine)


def _erase(db: sa.Connection, table: sa.Table, who: str, erase: Callable[[str], str]) -> int:
    keys = list(table.primary_key.columns)
    searched = [
        column
        for column in table.columns
        if isinstance(column.type, sa.Text | sa.JSON) and column not in keys and column.name != "issue_key"
    ]
    holds = sa.or_(*(sa.cast(column, sa.Text).icontains(who, autoescape=True) for column in searched))
    changed = 0
    for row in db.execute(sa.select(*keys, *searched).where(holds)).mappings().all():
        values = {column.name: _erased(row[column.name], erase) for column in searched}
        values = {name: value for name, value in values.items() if value != row[name]}
        if values:
            db.execute(sa.update(table).where(*(key == row[key.name] for key in keys)).values(values))
            changed += 1
    return changed


def _erased(value: Any, erase: Callable[[str], str]) -> Any:
    match value:
        case str():
            return erase(value)
        case list():
            return [_erased(one, erase) for one in value]
        case dict():
            return {name: _erased(one, erase) for name, one in value.items()}
    return value
