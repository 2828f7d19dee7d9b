"""The keyed hash is this ledger's own, and the sizes of tables are remembered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from safetyamp_pipelines.ledger import Ledger


def test_the_hash_is_the_same_whenever_the_ledger_is_opened(url: str) -> None:
    with Ledger.open(url) as first:
        before = first.keyed_hash("nora@example.com")
    with Ledger.open(url) as second:
        assert second.keyed_hash("nora@example.com") == before


def test_two_ledgers_hash_differently(new_url: Callable[[], str]) -> None:
    with Ledger.open(new_url()) as one, Ledger.open(new_url()) as other:
        assert one.keyed_hash("nora@example.com") != other.keyed_hash("nora@example.com")


def test_equal_json_values_hash_equally_and_others_do_not(ledger: Ledger) -> None:
    assert ledger.keyed_hash({"a": 1, "b": None}) == ledger.keyed_hash({"b": None, "a": 1})
    hashes = {ledger.keyed_hash(value) for value in ("1", 1, None, "", [], "1 ", {"a": 1}, True)}
    assert len(hashes) == 8
    assert all(len(found) == 64 for found in hashes)


def test_the_key_shows_nowhere(ledger: Ledger) -> None:
    with ledger._engine.connect() as connection:
        key = bytes(connection.execute(text("SELECT secret FROM ledger_keys")).scalar_one())
    assert len(key) == 32
    assert key.hex() not in ledger.keyed_hash("x")
    assert repr(key) not in f"{ledger!r} {ledger}"


def test_a_ledger_tells_itself_without_its_password(ledger: Ledger) -> None:
    assert repr(ledger).startswith("<the ledger ")
    assert "://" not in repr(ledger)


def test_the_last_whole_read_counts(ledger: Ledger, clock) -> None:
    assert ledger.previous_rows("users") is None

    ledger.record_observation("users", 2000, clock.now)
    ledger.record_observation("sites", 946, clock.now)
    ledger.record_observation("users", 1998, clock.now + timedelta(minutes=15))
    # one that is written late, by a slower run, is not the last
    ledger.record_observation("users", 5, clock.now + timedelta(minutes=5))

    assert ledger.previous_rows("users") == 1998
    assert ledger.previous_rows("sites") == 946


def test_an_empty_table_is_not_an_unknown_one(ledger: Ledger, clock) -> None:
    ledger.record_observation("assets", 0, clock.now)
    assert ledger.previous_rows("assets") == 0


def test_the_last_reads_of_many_tables_are_one_question(ledger: Ledger, clock) -> None:
    # given several reads of SafetyAmp's tables and of the sources, one of them written late
    for minutes, table, rows in [
        (0, "users", 2000),
        (15, "users", 1998),
        (5, "users", 5),
        (0, "viewpoint/employees", 2100),
        (15, "viewpoint/employees", 0),
        (0, "entra/users", 900),
    ]:
        ledger.record_observation(table, rows, clock.now + timedelta(minutes=minutes))

    # then each table has its last one, and one that was never read none
    asked = ["viewpoint/employees", "users", "users", "samsara/vehicles"]
    assert ledger.previous_rows_of(asked) == {"users": 1998, "viewpoint/employees": 0}
    assert ledger.previous_rows_of(iter(["entra/users"])) == {"entra/users": 900}
    assert ledger.previous_rows_of([]) == {}


def test_times_of_any_zone_are_the_same_moment(ledger: Ledger, clock) -> None:
    chicago = timezone(timedelta(hours=-6))
    ledger.record_observation("users", 1, clock.now)
    ledger.record_observation("users", 2, (clock.now + timedelta(seconds=1)).astimezone(chicago))
    assert ledger.previous_rows("users") == 2


def test_a_time_without_a_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(StatementError, match="aware times only"):
        ledger.record_observation("users", 1, datetime(2026, 11, 20, 10, 0))
