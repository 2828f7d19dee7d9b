"""Whatever is wrong outside: one clear message, exit code 2, and nothing is written."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import as_process, assert_nothing_leaks, assert_refused, in_this_process, small_world

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import FaultRule, Sandbox


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    """One world for all tests here: none of them may change SafetyAmp."""
    with small_world() as box:
        before = box.safetyamp.tables(hidden=True)
        yield box
        assert box.safetyamp.tables(hidden=True) == before


@pytest.fixture
def box(world: Sandbox) -> Iterator[Sandbox]:
    yield world
    world.faults.clear()


@pytest.fixture(scope="module")
def nowhere() -> Iterator[str]:
    """Host and port where nobody listens; the port stays taken, so that nobody will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


# --- a system that cannot be reached, or does not know us ---


def test_a_safetyamp_that_cannot_be_reached_is_one_message_and_one_json_document(box: Sandbox, nowhere: str) -> None:
    answer = in_this_process(box, "sync", "--json", SAFETYAMP_BASE_URL=f"http://{nowhere}")

    assert answer.exit_code == 2
    (error,) = answer.document()["errors"]
    assert "no connection could be made" in error["error"]
    assert "SAFETYAMP_BASE_URL" in error["error"]
    assert len(error["steps"]) == 7  # every table of SafetyAmp failed, for one reason
    assert (answer.document()["writes"], answer.document()["exit_code"]) == (0, 2)
    assert answer.told == [error["error"], "Nothing was written to SafetyAmp."]
    assert_nothing_leaks(box, answer)


@pytest.mark.parametrize(
    ("entity", "variable", "url", "system"),
    [
        ("titles", "VIEWPOINT_URL", "sqlite:////nowhere/viewpoint.db", "Viewpoint"),
        ("vehicles", "SAMSARA_BASE_URL", "http://{nowhere}", "Samsara"),
    ],
)
def test_a_source_that_cannot_be_reached_is_named_with_the_variable_to_check(
    box: Sandbox, nowhere: str, entity: str, variable: str, url: str, system: str
) -> None:
    answer = in_this_process(box, "sync", entity, **{variable: url.format(nowhere=nowhere)})

    assert_refused(box, answer, system, variable)


@pytest.mark.parametrize(
    ("entity", "variable", "system"),
    [
        ("vehicles", "SAFETYAMP_TOKEN", "SafetyAmp"),
        ("vehicles", "SAMSARA_API_KEY", "Samsara"),
    ],
)
def test_a_wrong_token_is_one_message_that_names_the_variable_and_not_the_token(
    box: Sandbox, entity: str, variable: str, system: str
) -> None:
    answer = in_this_process(box, "sync", entity, **{variable: "entirely-wrong"})

    assert_refused(box, answer, system, variable)
    assert "entirely-wrong" not in answer.stderr


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MS_GRAPH_BASE_URL", "https://{nowhere}/v1.0", ("Microsoft Graph", "MS_GRAPH_BASE_URL")),
        ("MS_GRAPH_AUTHORITY", "https://{nowhere}", ("Microsoft login", "MS_GRAPH_AUTHORITY")),
        ("MS_GRAPH_CLIENT_SECRET", "entirely-wrong", ("Microsoft login", "MS_GRAPH_CLIENT_SECRET")),
        ("", "", ("Microsoft Graph", "not JSON")),
    ],
)
def test_entra_that_fails_is_one_message_and_the_employees_go_on_without_it(
    nowhere: str, variable: str, value: str, words: tuple[str, ...]
) -> None:
    with small_world() as box:
        if not variable:
            box.faults.add(FaultRule("cut_json", system="graph", path_regex="users", times=None))

        answer = in_this_process(
            box, "sync", "employees", **({variable: value.format(nowhere=nowhere)} if variable else {})
        )

        assert answer.exit_code == 1, answer.stdout + answer.stderr
        message, last = answer.told
        assert last.startswith("Nevertheless, done: employees ")
        assert [word for word in words if word not in message] == []
        assert "entirely-wrong" not in answer.stderr
        assert answer.writes, "who has left is switched off"


def test_a_tenant_that_safetyamp_does_not_know_is_refused_like_a_wrong_token(box: Sandbox) -> None:
    answer = in_this_process(box, "sync", "titles", SAFETYAMP_FQDN="other.safetyamp.com")

    assert_refused(box, answer, "SafetyAmp", "SAFETYAMP_FQDN")


# --- a read that is not whole ---


@pytest.mark.parametrize(
    ("kind", "entity", "system", "path", "words"),
    [
        ("html", "titles", "safetyamp", "/api/user_titles", ("SafetyAmp", "HTML")),
        ("truncate", "titles", "safetyamp", "/api/user_titles", ("SafetyAmp", "cut off")),
        ("repeat_page", "employees", "safetyamp", "/api/users", ("safetyamp_observed/users", "not read whole")),
        ("status", "titles", "safetyamp", "/api/user_titles", ("SafetyAmp", "503", "later")),
    ],
)
def test_a_listing_that_stays_broken_is_one_message(
    box: Sandbox, kind: str, entity: str, system: str, path: str, words: tuple[str, ...]
) -> None:
    box.faults.add(FaultRule(kind, system=system, method="GET", path_regex=path, times=None))

    assert_refused(box, in_this_process(box, "sync", entity), *words)


def test_an_answer_that_is_broken_once_is_asked_again_and_not_told(box: Sandbox) -> None:
    box.faults.add(FaultRule("html", system="safetyamp", method="GET", path_regex="/api/user_titles"))

    answer = in_this_process(box, "plan", "titles", "--json")

    assert answer.exit_code == 0
    assert (answer.document()["errors"], answer.told) == ([], [])


def test_a_missing_table_in_viewpoint_is_named_with_the_key_of_sync_yaml(box: Sandbox, tmp_path: Path) -> None:
    source = Path(box.environment["VIEWPOINT_URL"].removeprefix("sqlite:///"))
    with sqlite3.connect(source) as intact, sqlite3.connect(tmp_path / "viewpoint.db") as copy:
        intact.backup(copy)
        copy.execute("DROP TABLE bPRDP")
    intact.close()
    copy.close()

    answer = in_this_process(box, "sync", "titles", VIEWPOINT_URL=f"sqlite:///{tmp_path / 'viewpoint.db'}")

    assert_refused(box, answer, "bPRDP", "viewpoint.tables.departments", "sync.yaml")


# --- settings ---


def test_wrong_settings_are_told_together_each_with_what_to_do(box: Sandbox, tmp_path: Path) -> None:
    rules = tmp_path / "sync.yaml"
    rules.write_text("companies: []\njobs:\n  open_status: [1]\n", encoding="utf-8")

    answer = as_process(
        box,
        "sync",
        cwd=tmp_path,
        SAFETYAMP_BASE_URL="http://example.com",
        HTTP_REQUEST_TIMEOUT="-3",
        LOG_FORMAT="xml",
        SYNC_CONFIG=str(rules),
    )

    assert (answer.exit_code, answer.stdout, answer.calls) == (2, "", [])
    wanted = {
        "SAFETYAMP_BASE_URL": "Use https",
        "HTTP_REQUEST_TIMEOUT": "Give a number",
        "LOG_FORMAT": "Give one of text, json",
        "companies": "must not be empty",
        "jobs.open_status": "known are policies, clears, protected, suppressed, only, except, custom_fields, create, "
        "update, deactivate, reactivate, first, in_sync_all, open_statuses, timezone",
    }
    assert len(answer.told) == len(wanted)
    for name, what_to_do in wanted.items():
        assert any(name in line and what_to_do in line for line in answer.told), name
    assert_nothing_leaks(box, answer)


def test_missing_settings_are_told_before_any_call(box: Sandbox) -> None:
    answer = in_this_process(box, "sync", "--json", SAFETYAMP_TOKEN=None, SAMSARA_API_KEY=None)

    assert (answer.exit_code, answer.calls) == (2, [])
    errors = [entry["error"] for entry in answer.document()["errors"]]
    assert [error.partition(":")[0] for error in errors] == ["SAFETYAMP_TOKEN", "SAMSARA_API_KEY"]
    assert answer.told == errors


def test_only_the_systems_of_the_named_entities_need_settings(box: Sandbox) -> None:
    answer = in_this_process(box, "plan", "titles", "--json", SAMSARA_API_KEY=None, MS_GRAPH_CLIENT_SECRET=None)

    assert answer.exit_code == 0
    assert list(answer.document()["entities"]) == ["titles"]


def test_an_unknown_entity_is_refused_with_the_known_ones(box: Sandbox) -> None:
    answer = in_this_process(box, "sync", "jobs", "people", "--json")

    assert (answer.exit_code, answer.calls) == (2, [])
    (error,) = answer.document()["errors"]
    assert error["error"] == "no such entity: people. There are departments, jobs, titles, employees, vehicles"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LEDGER_URL", "sqlite:////proc/none/ledger.db"),
        ("SNAPSHOT_URL", "file:///proc/none/snapshots"),
        ("DAGSTER_HOME", "/proc/none"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_named(box: Sandbox, variable: str, value: str) -> None:
    answer = in_this_process(box, "sync", "titles", **{variable: value})

    assert (answer.exit_code, answer.stdout, answer.writes) == (2, "", [])
    assert variable in answer.told[0]
    assert len([line for line in answer.told if line != "Nothing was written to SafetyAmp."]) == 1
    assert_nothing_leaks(box, answer)


# --- what stands in the way of a push ---


@pytest.fixture
def ledger(box: Sandbox) -> Iterator[Ledger]:
    with Ledger.open(box.environment["LEDGER_URL"]) as opened:
        yield opened


def test_while_syncing_is_paused_a_sync_is_refused_with_who_and_why(box: Sandbox, ledger: Ledger) -> None:
    ledger.pause("Pat", "audit of the sites")

    answer = in_this_process(box, "sync", "titles")

    ledger.resume("Pat")
    assert_refused(box, answer, "paused by Pat", "audit of the sites", "safetyamp resume")


def test_while_another_push_runs_a_sync_is_refused_with_who_and_since_when(box: Sandbox, ledger: Ledger) -> None:
    lease = ledger.acquire_lease("push", "run 4711 on another host", 120.0)

    answer = in_this_process(box, "sync", "titles")
    as_json = in_this_process(box, "sync", "titles", "--json").document()

    ledger.release(lease)
    assert_refused(box, answer, "held by run 4711 on another host", "since 20")
    # What was planned and not done is not reported as done.
    assert "created" not in as_json["entities"]["titles"]
    assert as_json["entities"]["titles"]["not_attempted"] > 0


Roots = Callable[[Sandbox], None]


def second_root(box: Sandbox) -> None:
    box.safetyamp.insert("site_clusters", name="Second", parent_cluster_id=None, depth=0, osha_establishment=0)


def no_root(box: Sandbox) -> None:
    box.faults.add(FaultRule("empty_page", system="safetyamp", path_regex="/api/site_clusters", times=None))


@pytest.mark.parametrize(("roots", "number"), [(second_root, "2 were found"), (no_root, "0 were found")])
def test_without_exactly_one_root_cluster_the_way_out_is_told(roots: Roots, number: str) -> None:
    with small_world() as box:
        roots(box)

        answer = in_this_process(box, "sync", "departments")

        assert_refused(box, answer, "exactly one root site cluster", number, "departments.root_cluster")
