"""What people ask and decide: suggestions, previews, an issue, pages, statistics, forgetting, and the commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from jira_world import COLUMNS, Jiras, MakeJiras
from typer.testing import CliRunner

from safetyamp_pipelines.cli.main import app
from safetyamp_pipelines.desk.jira_pages import API, ROUTES
from safetyamp_pipelines.jira.asset_checks import judge_columns, judge_count, judge_mapping, judge_untyped
from safetyamp_pipelines.jira.book import open_book
from safetyamp_pipelines.jira.discovery import find_fields, preview, suggest_fields
from safetyamp_pipelines.jira.field_mapping import parse_mapping
from safetyamp_pipelines.jira.instances import instances_of
from safetyamp_pipelines.jira.questions import issue_of, issues_of, statistics_of, status_of
from safetyamp_pipelines.jira.redaction import FORGOTTEN, forget_in_jira
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import SettingsError
from safetyamp_pipelines.sync.model.errors import Refusal

LATE = timedelta(minutes=20)


@pytest.fixture
def read(make_jiras: MakeJiras, database: str) -> Iterator[Jiras]:
    """Jiras whose issues, history and catalogue were read."""
    jiras = make_jiras(issues=8, database=database)
    for jira in (jiras.cloud, jiras.data_center):
        jira.edit(10_001, summary="A pump of Ada Sample, 100%", status="Done", order="PO 1 of 2")
    with jiras.session() as session:
        session.refresh_fields()
        keys, _ = session.refresh_partitions()
        session.read("issues", keys)
        session.read("history", keys)
    return jiras


def test_a_field_is_suggested_by_name_and_type_for_each_instance(read: Jiras) -> None:
    with read.session() as session:
        catalogue = session.book.catalogue()
    for instance, wanted in (("cloud", "customfield_10101"), ("data_center", "customfield_20501")):
        assert suggest_fields(catalogue, "ndpu_order_no")[instance][0]["field_id"] == wanted
        points = suggest_fields(catalogue, "story_points", "date")[instance][0]
        assert points["fits"] is False
        assert suggest_fields(catalogue, "story points", "number")[instance][0]["score"] == 1
    assert {one["field_id"] for one in find_fields(catalogue, "STORY")} == {"customfield_10103", "customfield_20503"}
    with pytest.raises(Refusal, match="two letters"):
        find_fields(catalogue, " s ")


@pytest.mark.parametrize("instance", ["cloud", "data_center"])
def test_a_preview_shows_before_and_after_and_writes_nothing(read: Jiras, instance: str) -> None:
    new = {**COLUMNS, "story": {**COLUMNS["points"], "type": "integer"}, "wrong": {"type": "text", "field": "nowhere"}}
    read[instance].edit(10_001, points=2.5, summary="now")
    before = read.rows()
    with read.session() as session:
        found = preview(session, parse_mapping({"columns": new}), [f"{instance}|OPS-1", f"{instance}|TO"], limit=2)
        assert session.book.newest().version == 1  # type: ignore[union-attr]
    assert found["adds"] == ["story", "wrong"]
    assert f"wrong: {instance} has no field nowhere" in found["problems"]
    first, *others = found["issues"]
    assert len(others) == 2
    assert first["columns"]["summary"] == {"before": "A pump of Ada Sample, 100%", "after": "now"}
    assert first["untyped"]["story"] == "is not a whole number"
    assert first["absent"] == ["wrong"]
    assert read.rows() == before


def test_an_issue_says_where_each_column_came_from_and_what_changed(read: Jiras) -> None:
    with read.session() as session:
        with pytest.raises(Refusal, match="say which"):
            issue_of(session.book, "OPS-1")
        found = issue_of(session.book, "OPS-1", "cloud")
        assert found["came_from"]["order_no"]["from"] == "customfield_10101 (Order no)"
        assert found["came_from"]["order_number"]["untyped"] == "holds several numbers"
        assert "status became Done" in found["came_from"]["done_at"]["from"]
        assert {one["to_text"] for one in found["changes"]} >= {"Done"}
        assert json.dumps(found)
        read.cloud.move(10_001, "TO")
    read.read()
    with read.session() as session:
        assert issue_of(session.book, "OPS-1", "cloud")["issue_key"] == "TO-9"
        with pytest.raises(Refusal, match="no issue NONE-1"):
            issue_of(session.book, "NONE-1")


def test_pages_cover_the_table_once_and_a_search_finds_text_as_it_is(read: Jiras) -> None:
    with read.session() as session:
        seen: list[Any] = []
        page: dict[str, Any] = issues_of(session.book, limit=5)
        while True:
            seen += [(one["instance"], one["issue_id"]) for one in page["issues"]]
            if page["next"] is None:
                break
            page = issues_of(session.book, limit=5, after=page["next"])
        assert len(seen) == len(set(seen)) == 32
        assert {one["issue_id"] for one in issues_of(session.book, q="100%")["issues"]} == {10_001}
        assert len(issues_of(session.book, q="ops-", instance="cloud")["issues"]) == 8
        assert issues_of(session.book, project="TO", limit=200)["issues"][0]["project_key"] == "TO"
        with pytest.raises(Refusal, match="next"):
            issues_of(session.book, after="nonsense")


def test_checks_name_what_is_wrong(read: Jiras) -> None:
    with read.session() as session:
        assert judge_mapping(session.book, LATE).found == []
        assert judge_untyped(session.book, LATE).found == [
            f"{instance} OPS-1: order_number holds several numbers" for instance in ("cloud", "data_center")
        ]
        session.book.store_fields("cloud", [{"id": "summary", "name": "Summary", "schema": {"type": "string"}}])
        assert "order_no: cloud has no field customfield_10101" in judge_mapping(session.book, LATE).found
        assert judge_columns(session.book, LATE).found == []
        assert judge_count(session.book, LATE).found == []


def test_a_column_that_stays_empty_although_its_field_is_used_is_named(jiras: Jiras) -> None:
    wrong = {"area": {"type": "text", "field": f"{jiras.cloud.field_id('region')}.colour"}}
    jiras.map({"summary": COLUMNS["summary"], **wrong})
    jiras.cloud.edit(10_001, region="South")
    with jiras.session() as session:
        session.refresh_fields()
    jiras.read("issues", "history")
    with jiras.session() as session:
        assert judge_columns(session.book, LATE).found == ["cloud: area, from customfield_10102.colour"]


def test_statistics_and_status_count_what_was_done(read: Jiras) -> None:
    with read.session() as session:
        stats = statistics_of(session.book, datetime.now(UTC))
        assert stats["7 days"]["created"] == 32
        assert stats["all"]["reads"] == 8
        number = session.book.start_run("issues", "cloud", "OPS", run_id="x", cause="test")
        session.book.beat(number, done=10, total=20)
        found = status_of(session.book, datetime.now(UTC))
        assert found["running"][0]["seconds_left"] is not None
        assert {one["project"] for one in found["partitions"]} == {"OPS", "TO"}


def test_a_person_leaves_every_table_also_a_column_that_left_the_mapping(read: Jiras) -> None:
    read.map({"summary": COLUMNS["summary"], "systems": COLUMNS["systems"]})
    with read.session() as session:
        counts, _ = forget_in_jira(session.book, "ada sample")
        assert counts["jira_changes"] > 0
        assert issue_of(session.book, "OPS-1", "cloud")["summary"] == f"A pump of {FORGOTTEN}, 100%"
        with session.book.reading() as db:
            for table in ("jira_issues", "jira_changes"):
                rows = db.exec_driver_sql(f"SELECT * FROM {table}").all()
                assert rows
                assert "Ada Sample" not in str(rows)
        with pytest.raises(Refusal, match="at least 4"):
            forget_in_jira(session.book, "Al")


def command(jiras: Jiras, *arguments: str, under: str = "jira") -> tuple[int, Any]:
    """A command's exit code and its JSON document."""
    url = jiras.settings.jira_database_url.get_secret_value()
    environ = {**jiras.box.environment, "JIRA_DATABASE_URL": url, "DAGSTER_HOME": None}
    done = CliRunner().invoke(app, [*under.split(), *arguments, "--json"], env=environ, catch_exceptions=False)
    assert "sandbox-jira-token" not in done.stdout + done.stderr
    return done.exit_code, json.loads(done.stdout)


def test_the_commands_give_one_document_and_an_honest_exit_code(jiras: Jiras, tmp_path: Path) -> None:
    code, found = command(jiras, "sync")
    assert (code, len(found["partitions"]), len(found["history"])) == (0, 4, 4)
    assert command(jiras, "fields")[0] == 0
    assert len(command(jiras, "fields", "story")[1]["fields"]) == 2
    assert command(jiras, "suggest", "order_no")[1]["suggestions"]["cloud"]
    file = tmp_path / "mapping.yaml"
    file.write_text(yaml.safe_dump({"columns": {**COLUMNS, "more": {"type": "text", "field": "summary"}}}))
    assert command(jiras, "preview", str(file), "cloud|OPS")[1]["adds"] == ["more"]
    assert command(jiras, "mapping", "check", str(file)) == (0, {"problems": []})
    assert command(jiras, "mapping", "save", str(file), "--reason", "more")[1]["diff"] == {"more": "added"}
    assert command(jiras, "mapping", "rollback", "1", "--reason", "less")[1]["diff"] == {"more": "removed"}
    newest, before, *_ = command(jiras, "mapping", "versions")[1]["versions"]
    assert (newest["why"], before["why"]) == ("less", "more")
    assert command(jiras, "mapping", "show")[1]["version"] == newest["version"]
    assert command(jiras, "issue", "OPS-1", "--instance", "cloud")[1]["issue_key"] == "OPS-1"
    assert command(jiras, "issue", "OPS-1")[0] == 2
    assert command(jiras, "sync", "cloud|NONE")[0] == 2
    assert command(jiras, "pause", "--reason", "maintenance")[0] == 0
    assert command(jiras, "sync", "cloud|OPS")[0] == 2
    assert command(jiras, "status")[1]["paused"]["why"] == "maintenance"
    assert command(jiras, "resume")[1]["ended"]["why"] == "maintenance"
    jiras.cloud.hide_project("OPS")
    code, found = command(jiras, "sync")
    assert (code, [one["partition"] for one in found["errors"]]) == (1, ["cloud|OPS"])
    jiras.cloud.show_project("OPS")
    for issue in [one.id for one in jiras.cloud.issues.values() if one.project == "OPS"]:
        jiras.cloud.delete(issue)
    assert command(jiras, "presence", "cloud|OPS")[1]["partitions"]["cloud|OPS"]["held"] == 12
    held = next(one["held"] for one in command(jiras, "status")[1]["partitions"] if one["held"])
    assert command(jiras, "presence", "--approve", held["hash"][:7], "--reason", "gone")[0] == 2
    code, given = command(jiras, "approve", held["hash"][:12], "--reason", "gone", "--key", held["keys"][0], under="")
    assert (code, given["entity"], given["keys"]) == (0, "jira", held["keys"][:1])
    assert command(jiras, "presence", "cloud|OPS")[1]["partitions"]["cloud|OPS"]["held"] == 11
    held = next(one["held"] for one in command(jiras, "status")[1]["partitions"] if one["held"])
    assert command(jiras, "presence", "--approve", held["hash"][:12], "--reason", "gone")[0] == 0
    assert len([row for row in jiras.rows("cloud").values() if row["gone_at"]]) == 12
    assert command(jiras, "stats")[1]["all"]["gone"] == 12
    assert command(jiras, "history", "--limit", "3")[1]["reads"][0]["kind"] == "presence"
    assert command(jiras, "forget", "Ada Sample", "--yes")[1]["jira_issues"] > 0


def test_a_file_that_cannot_be_used_and_a_question_without_an_answer_are_refused_in_a_document(
    jiras: Jiras, tmp_path: Path
) -> None:
    file, why = tmp_path / "mapping.json", ("--reason", "new")
    file.write_bytes(b"\xff\xfe")
    for arguments in (
        ("mapping", "check", str(file)),
        ("mapping", "save", str(file), *why),
        ("mapping", "import", str(file), *why),
        ("preview", str(file), "cloud|OPS"),
    ):
        code, found = command(jiras, *arguments)
        assert (code, "cannot be read (UnicodeDecodeError)" in found["errors"][0]["error"]) == (2, True), arguments
    for content, wanted in (
        ("{", "line 1: is not JSON"),
        ("[]", "the document: Input should be"),
        ('{"field_groups": {"a": ["b"]}}', "field_groups.a: Input should be"),
        ('{"field_groups": {"a": {"fields": {"b": "c"}}}}', "field_groups.a.fields.b: Input should be"),
    ):
        file.write_text(content)
        code, found = command(jiras, "mapping", "import", str(file), *why)
        assert (code, wanted in found["errors"][0]["error"]) == (2, True), found
    code, found = command(jiras, "forget", "Ada Sample")
    assert (code, "nobody agreed to it" in found["errors"][0]["error"]) == (2, True)


def test_a_setting_that_names_an_unreadable_file_is_named(jiras: Jiras, tmp_path: Path) -> None:
    file = tmp_path / "unreadable"
    file.write_bytes(b"\xff\xfe")
    environ = {name: value for name, value in jiras.box.environment.items() if name != "JIRA_INSTANCES"}
    for variable in ("JIRA_MAPPING", "JIRA_CONFIG_FILE"):
        settings = load_settings({**environ, variable: str(file)}, env_file=None)
        with pytest.raises(SettingsError, match=rf"{variable}.*cannot be read \(UnicodeDecodeError\)"):
            open_book(settings) if variable == "JIRA_MAPPING" else instances_of(settings)


def test_a_database_of_another_checkout_is_refused_in_a_sentence(jiras: Jiras) -> None:
    url = jiras.settings.jira_database_url.get_secret_value()
    engine = sa.create_engine(url)
    for damage in (
        "ALTER TABLE jira_changes RENAME COLUMN to_text TO text_then",
        "UPDATE jira_version SET version_num = 9",
    ):
        with engine.begin() as db:
            db.exec_driver_sql(damage)
        code, found = command(jiras, "status")
        assert code == 2
        assert "If another checkout made them" in found["errors"][0]["error"]
    engine.dispose()


def test_a_catalogue_that_cannot_be_read_stays_as_it_was(read: Jiras) -> None:
    read.fault(kind="status", status=500, system="jira_cloud", path_regex="/field", times=None)
    with read.session() as session:
        before = session.book.catalogue()
        found = session.refresh_fields()
        assert "500" in str(found["cloud"])
        assert found["data_center"] == {"fields": len(before["data_center"])}
        assert session.book.catalogue()["cloud"] == before["cloud"]


def test_the_docs_name_a_test_for_each_defect_and_a_home_for_each_route_of_the_old_backend() -> None:
    docs = (Path(__file__).parents[2] / "docs/jira.md").read_text(encoding="utf-8")
    defects = docs.partition("| defect of the old backend |")[2].splitlines()[2:]
    numbers = [number for line in defects for number in re.findall(r"\d+", re.match(r"\|([ \d,]+)", line)[1])]  # type: ignore[index]
    assert sorted(map(int, numbers)) == list(range(1, 18))
    named = re.findall(r"`(test_\w+)`: (`…\w+…?`(?:, `…\w+…?`)*)", "\n".join(defects))
    assert len(named) >= 15
    for module, names in named:
        text = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
        for name in re.findall(r"…(\w+)", names):
            assert re.search(rf"def test_\w*{name}", text), f"{module}: {name}"
    for route in ("sync", "issues", "config", "admin", "status", "scheduler"):
        assert re.search(rf"^\| .*`/api/{route}`", docs, re.MULTILINE), route
    assert {route.path for route in ROUTES if route.path.startswith("/api")} == set(API)
    for path in API:
        assert path in docs
