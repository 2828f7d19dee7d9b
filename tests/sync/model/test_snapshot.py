"""Snapshots: their certificate fits, or they are refused; the same rows give the same certificate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_worlds import READ_AT

from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.errors import SnapshotError
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.remembered import Memory
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot, canonical_json, content_hash
from safetyamp_pipelines.sync.rules.config import SyncConfig

ROWS = st.lists(st.fixed_dictionaries({"id": st.integers(0, 5), "name": st.text(max_size=5)}), max_size=6)


def certified(rows: list[Record]) -> Snapshot:
    return Snapshot.certified("viewpoint/jobs", rows, key=lambda row: row["id"], pages=2, read_at=READ_AT)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_in_which_rows_were_read_does_not_show(rows: list[Record], dice) -> None:
    assert certified(dice.sample(rows, len(rows))) == certified(rows)


@given(ROWS)
def test_a_certified_snapshot_is_verified_and_counts_its_rows_and_keys(rows: list[Record]) -> None:
    snapshot = certified(rows).verified()

    assert snapshot.certificate is not None
    assert snapshot.certificate.rows == len(rows)
    assert snapshot.certificate.unique_keys == len({row["id"] for row in rows})
    assert snapshot.manifest()["certificate"]["content_hash"] == content_hash(snapshot.records)


@pytest.mark.parametrize("torn", [(), ({"id": 1, "name": "a"},), ({"id": 1, "name": "a"}, {"id": 2, "name": "B"})])
def test_records_that_do_not_fit_the_certificate_are_refused(torn: tuple[Record, ...]) -> None:
    whole = certified([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])

    with pytest.raises(SnapshotError, match="viewpoint/jobs: the snapshot does not match its certificate"):
        replace(whole, records=torn).verified()


def test_a_planner_takes_no_snapshot_without_a_fitting_certificate() -> None:
    uncertified = Snapshot("viewpoint/jobs", ({"id": 1},), None)

    with pytest.raises(SnapshotError, match="has no certificate"):
        Inputs({"viewpoint/jobs": uncertified}, references({}), Memory(), SyncConfig())


def test_a_planner_names_the_snapshot_it_was_not_given() -> None:
    inputs = Inputs({}, references({}), Memory(), SyncConfig())

    with pytest.raises(SnapshotError, match="viewpoint/jobs: the plan needs this snapshot"):
        inputs.snapshot("viewpoint/jobs")


def test_today_is_the_day_of_the_reading_where_the_employees_are() -> None:
    late = Snapshot.certified("viewpoint/employees", [], key=str, pages=1, read_at="2026-11-20T03:00:00Z")

    day = Inputs({late.table: late}, references({}), Memory(), SyncConfig()).today(late.table)

    assert day.isoformat() == "2026-11-19"


def test_canonical_json_is_one_text_for_equal_values_and_refuses_what_is_no_json() -> None:
    assert canonical_json({"b": [1, None], "a": "Łukasz"}) == '{"a":"Łukasz","b":[1,null]}'
    with pytest.raises(ValueError):
        canonical_json(float("nan"))
