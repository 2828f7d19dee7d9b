"""The SafetyAmp client against the sandbox's SafetyAmp, sound and at fault."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from safetyamp_pipelines.sandbox import FaultRule, Sandbox, TargetOptions, WorldSpec
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.sync.model.errors import RecordRefused
from safetyamp_pipelines.systems.safetyamp import SafetyAmpClient, safetyamp_client

READ_AT = "2026-11-20T10:00:00Z"
TABLES = ("site_clusters", "sites", "user_titles", "roles", "users", "asset_types", "assets")


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    spec = WorldSpec(seed=7, employees=60, jobs=30, vehicles=12, present=0.4)
    with Sandbox(spec, TargetOptions(calls=100_000, page_cap=7)) as box:
        yield box


@pytest.fixture
def target(box: Sandbox) -> Iterator[SafetyAmpClient]:
    box.faults.clear()
    box.options.offset_from_asked_limit = box.options.lists_deleted = False
    client = safetyamp_client(load_settings(box.environment, env_file=None))
    yield client
    client.close()


def list_of(client: SafetyAmpClient, table: str, previous_rows: int | None = None) -> list[Any]:
    return [row["id"] for row in client.list_table(table, read_at=READ_AT, previous_rows=previous_rows).records]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_of_the_sandbox_is_read_whole(table: str, box: Sandbox, target: SafetyAmpClient) -> None:
    truth = box.safetyamp.tables()[table]

    snapshot = target.list_table(table, read_at=READ_AT, previous_rows=len(truth))

    assert {row["id"] for row in snapshot.records} == {row["id"] for row in truth}
    assert not any("children" in row for row in snapshot.records)
    assert target.http.calls == len(box.requests("safetyamp")[-target.http.calls :])


@pytest.mark.parametrize("offset_from_asked_limit", [False, True])
def test_the_sandbox_is_read_whole_however_it_counts_its_pages(
    offset_from_asked_limit: bool, box: Sandbox, target: SafetyAmpClient
) -> None:
    box.options.offset_from_asked_limit = offset_from_asked_limit

    assert len(list_of(target, "users")) == len(box.safetyamp.tables()["users"])


@pytest.mark.parametrize("table", ["users", "sites", "site_clusters"])
def test_records_marked_as_deleted_are_left_out_should_a_listing_show_them(
    table: str, box: Sandbox, target: SafetyAmpClient
) -> None:
    truth = box.safetyamp.tables()[table]
    gone = truth[-1]["id"]
    box.safetyamp.hide(table, gone)
    box.options.lists_deleted = True

    snapshot = target.list_table(table, read_at=READ_AT, previous_rows=len(truth))

    assert {row["id"] for row in snapshot.records} == {row["id"] for row in truth} - {gone}
    hidden = len(box.safetyamp.tables(hidden=True)[table]) - len(truth) + 1
    assert snapshot.notices == (f"left out: {hidden} marked as deleted",)


@pytest.mark.parametrize("kind", ["status", "cut_before", "cut_after", "truncate", "cut_json", "html", "repeat_page"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_fault_on_a_page_leaves_the_listing_whole(kind: str, nth: int, box: Sandbox, target: SafetyAmpClient) -> None:
    box.faults.add(FaultRule(system="safetyamp", path_regex="/api/users", nth=nth, kind=kind))

    assert len(list_of(target, "users")) == len(box.safetyamp.tables()["users"])


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_empty_page_where_rows_were_known_leaves_the_listing_whole(
    nth: int, box: Sandbox, target: SafetyAmpClient
) -> None:
    known = len(box.safetyamp.tables()["users"])
    box.faults.add(FaultRule(system="safetyamp", path_regex="/api/users", nth=nth, kind="empty_page"))

    assert len(list_of(target, "users", previous_rows=known)) == known


def test_a_write_reaches_the_sandbox_and_a_refused_one_names_its_fields(box: Sandbox, target: SafetyAmpClient) -> None:
    created = target.create("user_titles", {"name": "Rigger of tests"})
    assert created["id"] in list_of(target, "user_titles")

    with pytest.raises(RecordRefused) as caught:
        target.update("users", box.safetyamp.tables()["users"][0]["id"], {"first_name": None}, "PATCH")
    assert caught.value.errors


def test_clients_may_be_shared_by_threads(box: Sandbox, target: SafetyAmpClient) -> None:
    sizes: list[int] = []
    threads = [threading.Thread(target=lambda: sizes.append(len(list_of(target, "sites")))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sizes == [len(box.safetyamp.tables()["sites"])] * 3
