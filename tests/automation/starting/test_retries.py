"""A marking for retry starts the sync of its entity once, and waits while nothing may start."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_entries import refuse

from safetyamp_pipelines.automation.starting.retry_sensor import marked, next_retry, retry_sensor
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.resources.run_console import CONSOLE
from safetyamp_pipelines.resources.systems import LedgerResource, SettingsResource
from safetyamp_pipelines.settings.loading import timing_settings
from safetyamp_pipelines.sync.model.plan import Action
from safetyamp_pipelines.sync.model.remembered import Failure

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
REFUSED = Failure(
    source_key="welder",
    action=Action.CREATE,
    payload_hash="p",
    fields={},
    cause={},
    http_status=422,
    first_seen=NOW,
    last_seen=NOW,
    attempts=1,
    expires_at=NOW,
    state="retry",
)


def test_only_what_is_marked_counts_and_each_refusal_makes_another_marking():
    dismissed, again = replace(REFUSED, state="dismissed"), replace(REFUSED, attempts=2)

    assert marked([("titles", REFUSED), ("jobs", dismissed)]) == {"titles": ["welder/1"]}
    assert marked([("titles", again)]) == {"titles": ["welder/2"]}


def test_one_entity_is_told_at_a_time_in_the_order_of_the_syncs():
    standing = {"jobs": ["24113./1"], "titles": ["welder/1"]}

    first, told = next_retry(standing, {})
    second, told = next_retry(standing, told)
    third, told = next_retry(standing, told)

    assert (first, second, third) == ("jobs", "titles", None)
    assert told == standing


def test_what_stands_no_more_is_forgotten_and_told_anew_when_it_is_marked_again():
    _, told = next_retry({"titles": ["welder/1"]}, {})
    assert next_retry({}, told) == (None, {})
    assert next_retry({"titles": ["welder/2"]}, told) == ("titles", {"titles": ["welder/2"]})


marks = st.dictionaries(
    st.sampled_from(["jobs", "titles", "employees"]),
    st.lists(st.sampled_from(["a/1", "a/2", "b/1", "c/1"]), unique=True, min_size=1),
)


@given(st.lists(marks, max_size=8))
def test_every_marking_is_told_and_none_twice_while_it_stands(looks):
    told = {}
    for standing in looks:
        asked = []
        while (answer := next_retry(standing, told))[0] is not None:
            entity, told = answer
            asked.append(entity)
        told = answer[1]
        assert len(asked) == len(set(asked))
        assert {entity: set(found) for entity, found in told.items()} == {
            entity: set(found) for entity, found in standing.items()
        }


# --- the sensor ---


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


@pytest.fixture
def instance(memory_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return memory_instance


def look(instance: dg.DagsterInstance, tmp_path: Path, cursor: str | None) -> tuple[list[dg.RunRequest], str, str]:
    """The runs the sensor asks for, why it asks for none, and its cursor after that."""
    source = SettingsResource.of({"LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db"})
    with dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={"sync_settings": source, "ledger": LedgerResource(settings=source)},
        repository_def=None,
    ) as context:
        found = retry_sensor(timing_settings({}, None)).evaluate_tick(context)
    return list(found.run_requests), str(found.skip_message), str(found.cursor)


def test_a_marking_starts_its_sync_once_and_not_while_syncing_is_paused(instance, ledger, tmp_path):
    nothing, why_nothing, cursor = look(instance, tmp_path, None)
    refuse(ledger, "titles", "welder")
    ledger.mark_failure("titles", "welder", "retry")
    ledger.pause("Kim", "stock-taking")
    paused, why_paused, after_pause = look(instance, tmp_path, cursor)
    ledger.resume("Kim")
    (started,), _, cursor = look(instance, tmp_path, cursor)
    again, _, _ = look(instance, tmp_path, cursor)

    assert (nothing, why_nothing) == ([], "no failure was newly marked for retry")
    assert paused == []
    assert "paused by Kim" in why_paused
    assert after_pause in ("{}", "None"), "what was not told stays to be told"
    assert (started.job_name, started.tags["safetyamp/cause"]) == ("sync_titles", "retry")
    assert started.run_config == CONSOLE
    assert started.run_key.startswith("titles ")
    assert again == []
