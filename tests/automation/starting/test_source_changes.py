"""A change in Viewpoint or Entra starts the sync early, once; the cursor holds hashes and no value."""

from collections.abc import Iterator

import dagster as dg
import pytest
from commands import small_world

from safetyamp_pipelines.automation.starting.source_changes import changed_tables, source_sensor
from safetyamp_pipelines.definitions import resources_for
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.resources.run_console import CONSOLE
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sandbox import Sandbox
from safetyamp_pipelines.settings.loading import timing_settings


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with small_world() as started:
        yield started


@pytest.fixture
def instance(memory_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return memory_instance


def look(instance: dg.DagsterInstance, box: Sandbox, cursor: str | None) -> tuple[list[dg.RunRequest], str, str | None]:
    resources = resources_for(SettingsResource.of(box.environment))
    wanted = {name: resources[name] for name in ("sync_settings", "ledger", "viewpoint", "graph")}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=wanted) as context:
        found = source_sensor(timing_settings({}, None)).evaluate_tick(context)
    return list(found.run_requests), str(found.skip_message), found.cursor


def test_a_change_starts_the_sync_once_and_the_first_look_only_remembers(instance, box):
    first, _, cursor = look(instance, box, None)
    unchanged, why, cursor = look(instance, box, cursor)
    number = box.sources.hire()
    (hired,), _, cursor = look(instance, box, cursor)
    again, _, cursor = look(instance, box, cursor)
    box.sources.entra_add(employeeId="999999", mail="someone@example.com")
    (joined,), _, cursor = look(instance, box, cursor)

    assert (first, unchanged, again) == ([], [], [])
    assert why == "nothing has changed at the source"
    assert (hired.tags["safetyamp/cause"], hired.run_config) == ("source_change", CONSOLE)
    assert "viewpoint/employees" in hired.tags["safetyamp/changed"]
    assert joined.tags["safetyamp/changed"] == "entra/users"
    assert str(number) not in cursor
    assert box.requests("safetyamp") == []


def test_while_nothing_may_start_no_source_is_asked_and_the_change_is_found_later(instance, box):
    _, _, cursor = look(instance, box, None)
    box.sources.hire()
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        ledger.pause("Kim", "stock-taking")
        since = len(box.requests())
        paused, why, _ = look(instance, box, cursor)
        asked = box.requests(since=since)
        ledger.resume("Kim")
    later, _, _ = look(instance, box, cursor)

    assert (paused, asked) == ([], [])
    assert "paused by Kim" in why
    assert len(later) == 1


def test_a_table_that_was_never_looked_at_has_not_changed():
    assert changed_tables({}, {"entra/users": "a"}) == []
    assert changed_tables({"entra/users": "a", "gone": "x"}, {"entra/users": "b", "viewpoint/jobs": "c"}) == [
        "entra/users"
    ]
