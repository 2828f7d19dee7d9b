"""Versions of the mapping are only added, a type never changes, and the tables are those of the migrations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from jira_world import COLUMNS, MakeJiras

from safetyamp_pipelines.jira.book import VERSION_TABLE, JiraBook, open_tables
from safetyamp_pipelines.jira.field_mapping import MappingError, parse_mapping
from safetyamp_pipelines.jira.issue_tables import metadata
from safetyamp_pipelines.sync.model.errors import Refusal

SUMMARY = {"summary": {"type": "text", "field": "summary"}}


def columns(**more: object) -> object:
    return parse_mapping({"columns": {**SUMMARY, **more}})


def test_the_migrations_make_the_tables_that_the_code_knows(database: str) -> None:
    engine = open_tables(database)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        found = [one for one in compare_metadata(context, metadata) if one[0] not in ("add_index", "remove_index")]
    engine.dispose()
    assert found == []


def test_versions_are_only_added_each_with_who_why_and_what(database: str) -> None:
    book = JiraBook(open_tables(database))
    first = book.active()
    second = book.save(columns(), "Ada", "fewer")  # type: ignore[arg-type]
    assert (first.version, second.version) == (1, 2)
    assert book.save(columns(), "Ada", "again").version == 2  # type: ignore[arg-type]
    third = book.save(book.version(1), "Ben", "back to the first")
    assert third.version == 3
    assert third.mapping == first.mapping
    assert [(one["version"], one["who"], one["why"]) for one in book.versions()][:2] == [
        (3, "Ben", "back to the first"),
        (2, "Ada", "fewer"),
    ]
    assert book.versions()[1]["diff"]["status"] == "removed"
    assert [one["kind"] for one in book.backups()] == ["before a change"] * 3
    restored = book.restore(book.backup("Ada"), "Ada")
    assert restored.version == 3
    assert book.restore(3, "Ada").mapping == second.mapping
    with pytest.raises(Refusal, match="no version 99"):
        book.version(99)
    with pytest.raises(Refusal, match="by somebody"):
        book.save(first.mapping, "", "")
    book.close()


def test_people_who_pause_at_the_same_moment_make_one_pause_which_anybody_ends(database: str) -> None:
    book, gate = JiraBook(open_tables(database)), Barrier(4)

    def pause(who: str) -> object:
        gate.wait()
        return book.pause(who, "maintenance")["id"]

    with ThreadPoolExecutor(4) as pool:
        pauses = set(pool.map(pause, ("Ada", "Ben", "Cy", "Di")))

    kept = {one["id"] for one in book.rows(sa.select(metadata.tables["jira_pauses"]))}
    assert pauses <= kept
    assert len(kept) == 1 or database.startswith("postgresql"), "there they can begin at the same moment"
    assert book.resume("Eve") is not None
    assert book.pause_state() is None
    book.close()


def test_a_type_never_changes_not_even_of_a_column_that_had_left(database: str) -> None:
    book = JiraBook(open_tables(database))
    book.save(columns(parts={"type": "json", "field": "p"}), "Ada", "first")  # type: ignore[arg-type]
    book.save(columns(), "Ada", "without")  # type: ignore[arg-type]
    for kind in ("list", "text"):
        with pytest.raises(MappingError, match="parts: is json since version"):
            book.save(columns(parts={"type": kind, "field": "p"}), "Ada", "another")  # type: ignore[arg-type]
    book.close()


def test_a_mapping_in_a_file_is_the_one_in_force_and_cannot_be_saved_over(
    make_jiras: MakeJiras, tmp_path: Path
) -> None:
    from safetyamp_pipelines.settings.loading import load_settings

    jiras = make_jiras()
    file = tmp_path / "mapping.yaml"
    file.write_text("columns: {summary: {type: text, field: summary}}", encoding="utf-8")
    url = jiras.settings.jira_database_url.get_secret_value()
    environ = {**jiras.box.environment, "JIRA_MAPPING": str(file), "JIRA_DATABASE_URL": url}
    jiras.settings = load_settings(environ, env_file=None)
    with jiras.session() as session:
        assert list(session.active().mapping.columns) == ["summary"]
        version = session.active().version
        with pytest.raises(Refusal, match="JIRA_MAPPING"):
            session.book.save(parse_mapping({"columns": COLUMNS}), "Ada", "over it")
    file.write_text("columns: {status: {type: text, field: status}}", encoding="utf-8")
    with jiras.session() as session:
        assert session.active().version == version + 1
        assert session.book.versions()[0]["who"] == "JIRA_MAPPING"


def test_a_column_that_somebody_made_with_another_type_is_refused(database: str) -> None:
    book = JiraBook(open_tables(database))
    with book.writing() as db:
        db.execute(sa.text("ALTER TABLE jira_issues ADD COLUMN extra INTEGER"))
    with pytest.raises(Refusal, match="extra of jira_issues holds INTEGER"):
        book.save(columns(extra={"type": "text", "field": "x"}), "Ada", "over it")  # type: ignore[arg-type]
    book.close()
