"""What people see of a snapshot in Dagster, and that a red one stops what depends on it while a yellow one does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from check_run import PROMISED, Checked, checked, snapshot_of
from small_worlds import department

from safetyamp_pipelines.checks.snapshot_checks import CHECKS, snapshot_checks
from safetyamp_pipelines.sync.model.snapshot import Record

TABLE = "viewpoint/departments"
ROWS = [department(str(code)) for code in range(10, 40)]
Look = Callable[..., Checked]


@pytest.fixture
def look(memory_instance: dg.DagsterInstance, tmp_path: Path) -> Look:
    """Snapshots the records and checks them, one run after the other on one instance."""

    def look(records: list[Record], notices: tuple[str, ...] = ()) -> Checked:
        made = snapshot_of(TABLE, records, notices)
        return checked(snapshot_checks(TABLE), {TABLE: made}, home=tmp_path, instance=memory_instance)

    return look


def test_a_sound_snapshot_is_green_and_says_what_was_measured(look: Look) -> None:
    found = look(ROWS)

    assert (found.is_green, found.went_on) == (True, True)
    assert found.levels() == dict.fromkeys(CHECKS, "fine")
    assert [name for name in CHECKS if PROMISED - set(found.told(name))] == []
    assert found.told("certificate")["measured"] == "30 different keys in 30 rows"


SPOILT: dict[str, tuple[Callable[[], list[dict[str, Any]]], dict[str, str]]] = {
    "a column is gone": (
        lambda: [{name: value for name, value in row.items() if name != "Description"} for row in ROWS],
        {"schema": "ERROR"},
    ),
    "a type has changed": (lambda: [{**row, "Description": 7} for row in ROWS], {"schema": "ERROR"}),
    "a key is null": (lambda: [{**ROWS[0], "PRDept": None}, *ROWS[1:]], {"schema": "ERROR"}),
    "two records share a key": (lambda: [*ROWS, {**ROWS[0]}], {"certificate": "ERROR"}),
    "nothing is left": (lambda: [], {"row_count": "ERROR"}),
    "half is gone": (lambda: ROWS[:15], {"row_count": "WARN"}),
    "twice as many": (lambda: ROWS + [department(str(code)) for code in range(40, 70)], {"row_count": "WARN"}),
    "a column of the site's own is empty": (lambda: [{**row, "udRegion": None} for row in ROWS], {"schema": "WARN"}),
    "a column is new": (lambda: [{**row, "Colour": "vermilion"} for row in ROWS], {}),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_snapshot_stops_or_warns_and_every_check_keeps_its_result(look: Look, how: str) -> None:
    # given a snapshot as it should be
    look(ROWS)
    records, levels = SPOILT[how]

    # when the source is spoilt
    found = look(records())

    # then what is wrong is told by its own check, and only an error stops
    assert found.levels() == {**dict.fromkeys(CHECKS, "fine"), **levels}
    stops = "ERROR" in levels.values()
    assert (found.is_green, found.went_on) == (not stops, not stops)


def test_the_keys_and_the_news_are_told(look: Look) -> None:
    twice = look([*ROWS, {**ROWS[0], "Description": "another"}])
    assert twice.told("certificate")["keys"] == "1/10"

    new = look([{**row, "Colour": "vermilion"} for row in ROWS])
    assert new.told("schema")["new_columns"] == "Colour"
    assert "vermilion" not in repr(new.said)


def test_an_empty_table_that_was_always_empty_is_fine(look: Look) -> None:
    look([])
    assert look([]).levels() == dict.fromkeys(CHECKS, "fine")


def test_what_the_reader_noticed_is_told_with_the_certificate(look: Look) -> None:
    found = look(ROWS, ("bPRDP has no column udRegion: read as empty",))
    assert "udRegion" in found.told("certificate")["notices"]
