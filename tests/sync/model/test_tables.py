"""SafetyAmp's tables by natural key: what counts as the same key, and which of two rows answers to it."""

from __future__ import annotations

import pytest
from small_worlds import CIVIL, ROOT, SOUTH, YARD, asset_type, cluster, site, title, user

from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.tables import at_path, fold, has_path, set_path


@pytest.mark.parametrize(
    ("record", "path", "value", "speaks"),
    [
        ({"a": 1}, "a", 1, True),
        ({"a": None}, "a", None, True),
        ({}, "a", None, False),
        ({"t": {"id": 7}}, "t.id", 7, True),
        ({"t": None}, "t.id", None, True),
        ({}, "t.id", None, False),
        ({"roles": [{"id": 3}, {"id": 4}]}, "roles.id", 3, True),
        ({"roles": []}, "roles.id", None, True),
        ({"t": {}}, "t.id", None, False),
        ({"t": "Fitter"}, "t.id", None, False),
    ],
)
def test_a_path_is_read_and_silence_is_told_from_null(record, path, value, speaks) -> None:
    assert at_path(record, path) == value
    assert has_path(record, path) is speaks


@pytest.mark.parametrize("value", [7, None])
def test_what_is_written_at_a_path_is_read_there(value) -> None:
    record = {"t": {"id": 1, "name": "old"}}

    set_path(record, "t.id", value)
    set_path(record, "name", value)

    assert at_path(record, "t.id") == value
    assert record["name"] == value


def test_keys_are_compared_trimmed_and_where_asked_without_case_or_leading_zeros() -> None:
    assert fold(" 24113. ") == "24113."
    assert fold("South", case=True) == fold("SOUTH", case=True)
    assert fold("00482", numeric=True) == fold(482, numeric=True)


def test_clusters_and_titles_are_found_without_regard_to_case_and_sites_are_not() -> None:
    tables = references(
        {"site_clusters": [ROOT, SOUTH], "user_titles": [title(7, "Fitter")], "sites": [site(20, "x", 2, "Ab.")]}
    )

    assert tables["site_clusters"].id_of("south ") == 2
    assert tables["user_titles"].id_of("FITTER") == 7
    assert tables["sites"].id_of("Ab.") == 20
    assert tables["sites"].id_of("ab.") is None


def test_of_two_rows_with_one_key_the_older_answers_and_each_keeps_a_key_of_its_own() -> None:
    titles = references({"user_titles": [title(30, "Fitter"), title(7, "fitter"), title(100, "FITTER")]})["user_titles"]

    assert titles.id_of("Fitter") == 7
    assert [titles.key_of(row_id) for row_id in (7, 30, 100)] == ["fitter", "Fitter [30]", "FITTER [100]"]


def test_user_ids_are_told_apart_by_case_and_rows_without_a_key_have_one_of_their_own() -> None:
    users = references({"users": [user("aB3dE", "00482"), user("ab3de", None)]})["users"]

    assert users.id_of("482") == "aB3dE"
    assert users.key_of("ab3de") == "users [ab3de]"
    assert users.key_of("AB3DE") is None


def test_a_site_without_a_code_is_known_by_its_name_and_cluster_and_its_asset_types_by_that() -> None:
    tables = references(
        {
            "site_clusters": [ROOT, SOUTH],
            "sites": [site(20, "Yard", 2), site(21, "Yard", 99)],
            "asset_types": [asset_type(40, 20), asset_type(41, 99)],
        }
    )

    assert tables["sites"].key_of(20) == "Yard @ South"
    assert tables["sites"].key_of(21) == "Yard @ no cluster"
    assert tables["asset_types"].id_of("Vehicle @ Yard @ South") == 40
    assert tables["asset_types"].key_of(41) == "Vehicle @ no site"


def test_a_linked_row_goes_by_the_key_of_its_link_and_so_does_what_stands_on_it() -> None:
    tables = references(
        {
            "site_clusters": [ROOT, SOUTH, CIVIL],
            "sites": [site(22, "24113. - Works", 3), YARD],
            "asset_types": [asset_type(40, 22)],
        }
    )

    renamed = tables.renamed({"sites": {22: "24113."}})

    assert tables["asset_types"].id_of("Vehicle @ 24113.") is None
    assert renamed["asset_types"].id_of("Vehicle @ 24113.") == 40
    assert renamed["sites"].id_of("24113.") == 22
    assert renamed["sites"].id_of("YARD") == 20


def test_a_linked_row_answers_before_an_older_one_with_the_same_key() -> None:
    clusters = references({"site_clusters": [cluster(5, "x", None, "10"), cluster(9, "y", None, "11")]})

    renamed = clusters.renamed({"site_clusters": {9: "10"}})["site_clusters"]

    assert renamed.id_of("10") == 9
    assert renamed.key_of(5) == "10 [5]"
