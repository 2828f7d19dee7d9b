"""A forward read loses nothing, a window moves nothing, what cannot be read is an error and never an empty table."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from jira_world import COLUMNS, Jiras, MakeJiras, errors

from safetyamp_pipelines.jira.forward import OVERLAP, Window
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.sync.model.errors import ReadError, SyncError

INSTANCES = ("cloud", "data_center")
each_instance = pytest.mark.parametrize("instance", INSTANCES)
each_faulty = pytest.mark.parametrize("kind", ["status", "cut_before", "cut_after", "truncate", "cut_json", "html"])


def test_two_instances_with_equal_keys_and_ids_stand_beside_each_other_on_both_databases(
    make_jiras: MakeJiras, database: str
) -> None:
    jiras = make_jiras(database=database)

    figures = jiras.read()

    assert {key: found["created"] for key, found in figures.items()} == {  # type: ignore[index]
        f"{instance}|{project}": 12 for instance in INSTANCES for project in ("OPS", "TO")
    }
    rows = jiras.rows()
    assert {(key[0], row["issue_key"]) for key, row in rows.items()} == {
        (instance, issue.key) for instance in INSTANCES for issue in jiras[instance].issues.values()
    }


def test_every_value_arrives_typed_whatever_shape_its_instance_gives_it(make_jiras: MakeJiras, database: str) -> None:
    jiras = make_jiras(issues=1, database=database)
    values = {
        "order": "PO 4711",
        "description": "one\ntwo",
        "points": 2.5,
        "installed": "2026-07-15",
        "inspected": "2026-07-15T22:26:03.672-0500",
        "place": ("Hall", "Bay 2"),
        "tags": ["Air"],
        "sprint": [{"id": 4, "name": "S4, [b]", "state": "closed"}, {"id": 5, "name": "S5, [b]", "state": "active"}],
        "labels": ["hot", "wet"],
        "assignee": "Ada Sample",
        "region": "North",
    }
    for instance in INSTANCES:
        jiras[instance].edit(10_001, **values)

    jiras.read()

    for instance in INSTANCES:
        row = jiras.row(instance, 10_001)
        assert row["order_no"] == "PO 4711"
        assert row["order_number"] == 4711
        assert row["description"] == "one\ntwo"
        assert float(row["points"]) == 2.5
        assert row["installed"].isoformat() == "2026-07-15"
        assert row["inspected"].isoformat() == "2026-07-16T03:26:03.672000+00:00"
        assert row["place"] == "Hall > Bay 2"
        assert row["sprint"] == "S5, [b]"
        assert row["labels"] == ["hot", "wet"]
        assert [one["value"] for one in row["systems"]] == ["Air"]
        assert (row["assignee"], row["region"], row["project_name"]) == ("Ada Sample", "North", "Operations")


@each_instance
def test_a_read_that_finds_nothing_asks_one_page_and_writes_no_new_value(jiras: Jiras, instance: str) -> None:
    jiras.read()
    before, since = jiras.rows(), len(jiras.box.requests())

    jiras.read(keys=(f"{instance}|OPS",))

    asked = [one.path.rpartition("/api/")[2] for one in jiras.requests(instance, since)]
    assert sum("search" in path and "project" not in path for path in asked) == 1
    after = jiras.rows()
    assert {key: {**row, "read_at": None} for key, row in after.items()} == {
        key: {**row, "read_at": None} for key, row in before.items()
    }


@each_instance
def test_a_change_is_read_by_the_next_run_wherever_the_user_lives(jiras: Jiras, instance: str) -> None:
    jiras[instance].options.time_zone = "Pacific/Auckland"
    jiras.read()
    for issue, minutes in ((10_001, 60), (10_003, 3), (10_005, 1)):
        jiras[instance].advance(minutes=minutes)
        jiras[instance].edit(issue, summary=f"after {minutes} minutes")
        jiras.read(keys=(f"{instance}|OPS",))
        assert jiras.row(instance, issue)["summary"] == f"after {minutes} minutes"


@each_instance
def test_pages_shorter_than_asked_for_are_not_the_end(jiras: Jiras, instance: str) -> None:
    jiras[instance].options.most_per_page, jiras[instance].options.short_pages = 5, True

    jiras.read()

    assert len(jiras.rows(instance)) == 24


@each_instance
def test_an_issue_that_slips_between_two_pages_is_read_all_the_same(make_jiras: MakeJiras, instance: str) -> None:
    """One on the first page is deleted once it was listed: what begins the second page moves to the first."""
    jiras = make_jiras(issues=30)
    jira = jiras[instance]
    jira.options.most_per_page, jira.options.id_by_number = 10, instance == "data_center"
    own = sorted(issue.id for issue in jira.issues.values() if issue.project == "OPS")
    if instance == "data_center":  # the lowest id gets the greatest number in its key
        jira.move(own[0], "TO")
        jira.move(own[0], "OPS")
    deleted: list[int] = []

    def delete_one() -> None:
        if not deleted:
            deleted.append(own[3])
            jira.delete(own[3])

    with jiras.session() as session:
        session.refresh_partitions()
        client = session.scope(instance).client
        first = client.pages

        def pages(where: str, fields: list[str]):
            for page in first(where, fields):
                yield page
                delete_one()

        client.pages = pages  # type: ignore[method-assign,assignment]
        assert not errors(session.read("issues", [f"{instance}|OPS"]))
    assert {issue for _, issue in jiras.rows(instance)} >= set(own) - set(deleted)


def test_the_read_begins_again_once_when_a_page_token_is_no_longer_good(jiras: Jiras) -> None:
    jiras.cloud.options.most_per_page = 5
    jiras.fault(kind="status", status=400, system="jira_cloud", path_regex="search/jql", nth=3)
    assert not errors(jiras.read(keys=("cloud|OPS",)))
    assert len(jiras.rows("cloud")) == 12

    jiras.cloud.options.token_uses = 1
    jiras.cloud.advance(minutes=20)
    found = jiras.read(keys=("cloud|TO",))
    assert "400" in errors(found)["cloud|TO"]
    with jiras.session() as session:
        assert session.book.partition("cloud", "TO")["watermark"] is None


@each_instance
def test_the_watermark_stops_where_the_read_began_so_that_what_changed_meanwhile_is_read_next(
    jiras: Jiras, instance: str
) -> None:
    jira = jiras[instance]
    jira.options.most_per_page = 5
    own = sorted(issue.id for issue in jira.issues.values() if issue.project == "OPS")
    with jiras.session() as session:
        session.refresh_partitions()
        client = session.scope(instance).client
        whole = client.pages

        def pages(where: str, fields: list[str]):
            for number, page in enumerate(whole(where, fields)):
                yield page
                if number == 0:
                    jira.advance(minutes=1)
                    jira.edit(own[0], summary="changed once it was read")
                    jira.advance(minutes=30)
                    jira.edit(own[-1], summary="changed before it was read")

        client.pages = pages  # type: ignore[method-assign,assignment]
        session.read("issues", [f"{instance}|OPS"])
    assert jiras.row(instance, own[-1])["summary"] == "changed before it was read"

    jiras.read(keys=(f"{instance}|OPS",))

    assert jiras.row(instance, own[0])["summary"] == "changed once it was read"


@each_instance
@each_faulty
def test_a_fault_in_any_call_costs_at_most_one_more_run(jiras: Jiras, instance: str, kind: str) -> None:
    jiras[instance].options.most_per_page = 5
    for nth in (2, 6):
        jiras.box.faults.clear()
        jiras.fault(kind=kind, system=f"jira_{instance}", nth=nth, times=9)
        outcome = errors(jiras.read(keys=(f"{instance}|OPS",)))
        assert all("jira" in text.lower() for text in outcome.values())
    jiras.box.faults.clear()

    assert not errors(jiras.read())

    assert len(jiras.rows(instance)) == 24


@pytest.mark.parametrize("is_mute", [False, True])
@each_instance
def test_a_limit_with_or_without_retry_after_is_waited_for(make_jiras: MakeJiras, instance: str, is_mute: bool) -> None:
    jiras = make_jiras()
    options = jiras[instance].options
    options.calls, options.period, options.is_mute, options.most_per_page = 3, 0.5, is_mute, 2

    for _ in range(9):  # a busy machine may be slower than the limit
        for project in ("OPS", "TO"):  # two at once could take all of so small a limit from each other
            assert not errors(jiras.read(keys=(f"{instance}|{project}",)))
        if limited := 429 in {one.status for one in jiras.requests(instance)}:
            break

    assert limited
    assert len(jiras.rows(instance)) == 24


@each_instance
def test_a_project_that_is_no_longer_visible_is_an_error_and_its_rows_stay(jiras: Jiras, instance: str) -> None:
    jiras.read()
    jiras[instance].hide_project("OPS")

    found = jiras.read("issues", "presence")
    assert not errors({key: value for key, value in found.items() if "TO" in key})
    assert "not visible" in errors(jiras.read())[f"{instance}|OPS"]

    assert [row for row in jiras.rows().values() if row["gone_at"] is not None] == []
    assert found[f"{instance}|OPS"]["not_visible"] == 12  # type: ignore[index]


def test_one_instance_that_is_down_or_refuses_the_login_leaves_the_other_alone(jiras: Jiras) -> None:
    jiras.cloud.options.token = "another"

    found = jiras.read()

    assert "401" in errors(found)["cloud"]
    assert len(jiras.rows("data_center")) == 24


def test_a_cloud_read_as_a_data_center_says_what_to_set(make_jiras: MakeJiras) -> None:
    jiras = make_jiras()
    about = json.loads(jiras.box.environment["JIRA_INSTANCES"])
    about[0]["kind"] = "data_center"
    jiras.settings = load_settings({**jiras.box.environment, "JIRA_INSTANCES": json.dumps(about)}, env_file=None)

    assert 'set "kind": "cloud"' in errors(jiras.read())["cloud|OPS"]


def test_an_older_reading_never_replaces_a_newer_one(jiras: Jiras) -> None:
    jiras.read()
    with jiras.session() as session:
        session.refresh_partitions()
        scope = session.scope("cloud")
        old = scope.client.by_ids([10_001], scope.fields)
        jiras.cloud.edit(10_001, summary="newer")
        session.read("issues", ["cloud|OPS"])
        scope.client.pages = lambda *_: iter([list(old.values())])  # type: ignore[method-assign]
        figures = session.read("issues", ["cloud|OPS"])["cloud|OPS"]
    assert figures["older"] == 1  # type: ignore[index]
    assert jiras.row("cloud", 10_001)["summary"] == "newer"


@each_instance
def test_a_window_reads_its_time_alone_and_moves_no_watermark(jiras: Jiras, instance: str) -> None:
    jiras.read()
    with jiras.session() as session:
        before = session.book.partition(instance, "OPS")["watermark"]
    jiras[instance].advance(minutes=60)
    jiras[instance].edit(10_001, summary="in the window")
    now = jiras[instance].now()

    found = jiras.read(keys=(f"{instance}|OPS",), window=Window(now - timedelta(minutes=1), now + timedelta(minutes=1)))

    assert found[f"{instance}|OPS"]["read"] == 1  # type: ignore[index]
    assert jiras.row(instance, 10_001)["summary"] == "in the window"
    with jiras.session() as session:
        assert session.book.partition(instance, "OPS")["watermark"] == before
    past = Window(now - timedelta(days=900), now - timedelta(days=800))
    assert jiras.read(keys=(f"{instance}|OPS",), window=past)[f"{instance}|OPS"]["read"] == 0  # type: ignore[index]


@each_instance
def test_a_new_column_or_rule_is_filled_by_one_whole_read_and_a_removed_column_keeps_its_data(
    jiras: Jiras, instance: str
) -> None:
    few = {name: COLUMNS[name] for name in ("summary", "status", "region")}
    jiras.map(few)
    jiras.read()
    regions = {key: row["region"] for key, row in jiras.rows().items()}

    jiras.map({**{name: few[name] for name in ("summary", "status")}, "labels": COLUMNS["labels"]})
    first = jiras.read()[f"{instance}|OPS"]
    second = jiras.read()[f"{instance}|OPS"]

    assert (first["whole"], second["whole"]) == (True, False)  # type: ignore[index]
    wanted = {key: jiras[key[0]].issues[key[1]].values["labels"] or None for key in jiras.rows()}
    assert {key: row["labels"] for key, row in jiras.rows().items()} == wanted
    jiras.map({**few, "labels": COLUMNS["labels"]})
    assert {key: row["region"] for key, row in jiras.rows().items()} == regions
    described = {**few, "labels": {**COLUMNS["labels"], "description": "Only words change"}}
    jiras.read()
    jiras.map(described)
    assert jiras.read()[f"{instance}|OPS"]["whole"] is False  # type: ignore[index]


@each_instance
def test_a_field_that_is_no_longer_shown_keeps_what_the_column_has_and_is_counted(jiras: Jiras, instance: str) -> None:
    jiras.read()
    before = jiras.row(instance, 10_001)["region"]
    jiras[instance].hide_field("region")
    jiras[instance].edit(10_001, summary="changed")

    found = jiras.read(keys=(f"{instance}|OPS",))[f"{instance}|OPS"]

    assert jiras.row(instance, 10_001)["region"] == before
    assert jiras.row(instance, 10_001)["summary"] == "changed"
    assert found["absent"] == {"region": found["read"]}  # type: ignore[index]


@each_instance
def test_what_cannot_be_typed_is_empty_and_listed_and_its_issue_goes_in_all_the_same(
    jiras: Jiras, instance: str
) -> None:
    jiras[instance].edit(10_001, order="PO 1 of 2", summary="read")

    assert jiras.read()[f"{instance}|OPS"]["untyped"] == 1  # type: ignore[index]

    row = jiras.row(instance, 10_001)
    assert (row["order_number"], row["order_no"], row["summary"]) == (None, "PO 1 of 2", "read")


@each_instance
def test_a_moved_issue_is_one_row_with_its_new_key_and_knows_the_old_one(jiras: Jiras, instance: str) -> None:
    jiras.read()
    jiras[instance].move(10_001, "TO")

    jiras.read()

    row = jiras.row(instance, 10_001)
    assert (row["issue_key"], row["project_key"], row["old_keys"]) == ("TO-13", "TO", ["OPS-1"])


def test_a_partition_that_is_being_read_is_refused_to_a_second_reader(jiras: Jiras) -> None:
    with jiras.session() as session:
        session.refresh_partitions()
        session.ledger.acquire_lease("jira/cloud|OPS", "another run", 90)
        found = session.read("issues", ["cloud|OPS", "cloud|TO"])
    assert "another run" in errors(found)["cloud|OPS"]
    assert "cloud|TO" not in errors(found)


def test_a_pause_stops_between_two_pages_and_is_no_failure(jiras: Jiras) -> None:
    jiras.cloud.options.most_per_page = 5
    with jiras.session() as session:
        session.refresh_partitions()
        client = session.scope("cloud").client
        whole = client.pages

        def pages(where: str, fields: list[str]):
            for page in whole(where, fields):
                yield page
                session.book.pause("Ada", "maintenance")

        client.pages = pages  # type: ignore[method-assign,assignment]
        found = session.read("issues", ["cloud|OPS"])
        assert "maintenance" in errors(found)["cloud|OPS"]
        assert session.book.runs()[0]["status"] == "stopped"
        assert session.book.partition("cloud", "OPS")["watermark"] is None
        assert 0 < len(jiras.rows("cloud")) < 12
        session.book.resume("Ada")
    assert not errors(jiras.read())
    assert len(jiras.rows("cloud")) == 24


def test_a_mapping_saved_while_a_run_goes_on_counts_from_the_next_one(jiras: Jiras) -> None:
    with jiras.session() as session:
        before = session.scope("cloud").active.version
        session.read("issues", ["cloud|OPS"])
        jiras.map({**COLUMNS, "more": COLUMNS["summary"]})
        session.read("issues", ["cloud|TO", "data_center|OPS"])
    assert {row["mapping_version"] for row in jiras.rows().values()} == {before}
    jiras.read()
    assert {row["mapping_version"] for row in jiras.rows().values()} == {before + 1}


def test_the_overlap_is_as_long_as_jiras_index_may_lag() -> None:
    assert timedelta(minutes=5) <= OVERLAP
    assert issubclass(ReadError, SyncError)
