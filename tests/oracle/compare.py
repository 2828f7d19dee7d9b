"""Where SafetyAmp differs from the answer, in words that name the record and the field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oracle.answer import Answer, visible
from oracle.book import FIELDS, Book, Tables, read


def differences(answer: Answer, before: Tables, after: Tables) -> list[str]:
    """One line for each record that is missing, unexpected, or other than it should be; empty when all is right."""
    before, after = visible(before), visible(after)
    actual = read(after, {table: [row["id"] for row in before[table]] for table in FIELDS})
    lines = [line for table in FIELDS for line in _of_table(table, answer.book, actual)]
    lines += [f"{table}: more records than keys" for table in FIELDS if len(actual.rows[table]) < len(after[table])]
    return lines


def changed_ids(answer: Answer, before: Tables) -> dict[str, set[Any]]:
    """By table: the records there before that have to change; all others have to stay as they are."""
    old = read(visible(before))
    return {
        table: {token for token, row in old.rows[table].items() if _unlike(answer.book.rows[table][token], row)}
        for table in FIELDS
    }


def created(answer: Answer) -> dict[str, int]:
    """By table: how many records have to be made."""
    return {
        table: sum(1 for token in rows if isinstance(token, tuple) and token[0] == "new")
        for table, rows in answer.book.rows.items()
    }


def _of_table(table: str, expected: Book, actual: Book) -> Iterator[str]:
    for token, row in expected.rows[table].items():
        if token not in actual.rows[table]:
            yield f"{table} {token}: missing"
            continue
        there = actual.rows[table][token]
        for name in _unlike(row, there):
            known_as = row.get("emp_id") or row.get("name")
            yield f"{table} {token} ({known_as}) {name}: {there[name]!r} should be {row[name]!r}"
    for token in actual.rows[table].keys() - expected.rows[table].keys():
        yield f"{table} {token}: should not be there: {actual.rows[table][token]}"


def _unlike(expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    return [name for name, value in expected.items() if not value == actual[name]]  # noqa: SIM201 - OneOf decides
