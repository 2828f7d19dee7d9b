"""Natural keys while a push runs: links go before rows, fresh ones before all, and dead ones count for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from small_worlds import CIVIL, ROOT, SOUTH, YARD, asset_type, site

from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.pushing.sight import Names

READ = datetime(2026, 11, 20, 10, tzinfo=UTC)
BEFORE, AFTER = READ - timedelta(days=1), READ + timedelta(minutes=1)
OBSERVED = references(
    {
        "site_clusters": [ROOT, SOUTH, CIVIL],
        "sites": [YARD, site(21, "1. - Works", 3), site(22, "x", 3, "2.")],
        "asset_types": [asset_type(41, 21)],
    }
)


@dataclass(frozen=True)
class Pair:
    natural_key: str
    target_id: Id
    updated_at: datetime
    source_key: str = "any"


def names(*pairs: Pair) -> Names:
    return Names(OBSERVED, {"sites": pairs}, since=READ)


def test_without_links_the_observed_rows_speak_for_themselves() -> None:
    assert names().id_of("sites", "2.") == 22
    assert names().id_of("site_clusters", "SOUTH") == 2
    assert names().id_of("sites", "9.") is None


def test_a_row_goes_by_the_key_of_its_link_and_what_stands_on_it_too() -> None:
    known = names(Pair("1.", 21, AFTER))

    assert known.id_of("sites", "1.") == 21
    assert known.id_of("asset_types", "Vehicle @ 1.") == 41


def test_a_row_created_since_the_tables_were_read_is_known_by_its_link() -> None:
    assert names(Pair("9.", 90, AFTER)).id_of("sites", "9.") == 90


def test_a_link_to_a_row_that_is_gone_does_not_hide_the_row_that_took_its_place() -> None:
    assert names(Pair("2.", 5, BEFORE)).id_of("sites", "2.") == 22
    assert names(Pair("9.", 5, BEFORE)).id_of("sites", "9.") is None


def test_of_two_links_with_one_key_the_newer_counts() -> None:
    assert names(Pair("9.", 91, AFTER + timedelta(1)), Pair("9.", 90, AFTER)).id_of("sites", "9.") == 91


def test_what_this_push_creates_is_known_from_then_on() -> None:
    known = names()

    known.learn("user_titles", "Welder", 77)

    assert known.id_of("user_titles", "welder ") == 77
