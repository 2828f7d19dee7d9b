"""What SafetyAmp's listings give: paging with its traps, the cluster tree, the shapes of the records."""

from __future__ import annotations

import re

import pytest


def many_titles(count: int) -> dict[str, list[dict]]:
    return {"user_titles": [{"id": n, "name": f"Title {n}"} for n in range(1, count + 1)]}


def ids(response) -> list:
    assert response.status_code == 200
    return [row["id"] for row in response.json()["data"]]


def test_pages_start_at_zero_and_end_with_an_empty_one(serve):
    api = serve(many_titles(5))

    pages = [ids(api.get("user_titles", page=page, limit=2)) for page in range(5)]

    assert pages == [[1, 2], [3, 4], [5], [], []]


def test_page_without_limit_is_400_even_for_the_tree(api):
    for table in ("users", "site_clusters"):
        response = api.get(table, page=0)
        assert response.status_code == 400
        assert response.json() == {"message": "Bad Request: A limit is required when using page."}


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": -1}, {"page": -1, "limit": 5}, {"page": "one", "limit": 5}])
def test_a_page_that_is_none_is_400(api, params):
    assert api.get("users", **params).status_code == 400


def test_without_paging_25_rows_come(serve):
    api = serve(many_titles(60))

    assert len(ids(api.get("user_titles"))) == 25
    assert len(ids(api.get("user_titles", limit=50))) == 50


def test_a_limit_above_the_cap_is_cut_silently_and_no_row_is_skipped(serve):
    api = serve(many_titles(25), page_cap=10)

    pages = [ids(api.get("user_titles", page=page, limit=20)) for page in range(4)]

    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert [id_ for page in pages for id_ in page] == list(range(1, 26))


def test_the_offset_can_follow_the_asked_limit_so_that_a_capped_listing_skips_rows(serve):
    api = serve(many_titles(25), page_cap=10, offset_from_asked_limit=True)

    assert ids(api.get("user_titles", page=0, limit=20)) == list(range(1, 11))
    assert ids(api.get("user_titles", page=1, limit=20)) == list(range(21, 26))


def test_without_a_cap_any_limit_is_served(serve):
    api = serve(many_titles(300), page_cap=None)

    assert len(ids(api.get("user_titles", page=0, limit=1000))) == 300


def test_beyond_the_end_may_be_404_but_an_empty_table_is_not(serve):
    api = serve(many_titles(2), beyond_the_end="not_found")

    assert ids(api.get("user_titles", page=0, limit=2)) == [1, 2]
    assert api.get("user_titles", page=1, limit=2).status_code == 404
    assert ids(api.get("users", page=0, limit=2)) == []


def test_deleted_records_are_listed_only_where_the_option_says_so(serve):
    api = serve(many_titles(2))
    api.state.hide("user_titles", 1)
    assert ids(api.get("user_titles")) == [2]

    api.state.options.lists_deleted = True

    shown = api.get("user_titles").json()["data"]
    assert [(row["id"], row["deleted_at"] is None) for row in shown] == [(1, False), (2, True)]


def test_newest_first_shifts_the_pages_when_a_record_is_added(serve):
    api = serve(many_titles(4), newest_first=True)
    first = ids(api.get("user_titles", page=0, limit=2))

    api.state.insert("user_titles", name="Title 5")

    assert first == [4, 3]
    assert ids(api.get("user_titles", page=1, limit=2)) == [3, 2]


def test_clusters_come_as_a_whole_tree_whatever_page_is_asked(api):
    whole = api.get("site_clusters").json()["data"]

    assert api.get("site_clusters", page=7, limit=1).json()["data"] == whole
    (root,) = whole
    assert (root["id"], root["parent_cluster_id"], root["depth"], root["path"]) == (1, None, 0, "/1/")
    assert [child["name"] for child in root["children"]] == ["South", "North"]
    (leaf,) = root["children"][0]["children"]
    assert (leaf["external_code"], leaf["depth"], leaf["path"], leaf["children"]) == ("10", 2, "/1/2/4/", [])
    assert leaf["osha_establishment"] == 0


def test_a_user_shows_objects_where_ids_are_written(api):
    user = api.get("users/aB3dE").json()["data"]

    assert user["home_site_id"] == 101
    assert user["home_site"] == {
        "id": 101,
        "name": "Job 24113",
        "street": None,
        "street2": None,
        "city": None,
        "state": None,
        "country": None,
        "zip_code": "00701",
    }
    assert user["current_title"] == {"id": 71, "name": "Fitter"}
    (role,) = user["roles"]
    assert (role["id"], role["name"], role["guard_name"], role["account_default"]) == (3, "Field", "api", 1)
    assert user["system_access"] is True
    assert user["text_opt_out"] == 0
    assert user["nickname"] is None
    assert not {"current_title_id", "current_supervisor_id", "current_supervisor"} & set(user)


def test_every_field_of_the_contract_is_in_a_user(api):
    names = """
        id emp_id first_name last_name middle_name nickname email gender date_of_birth current_hire_date rehire_date
        mobile_phone work_phone home_phone extension street street2 city state zip_code country home_site_id
        home_site current_title current_department roles sites system_access activated owner bypass_sso text_opt_out
        type timezone avatar_location last_logged_in deleted_at
    """

    assert set(api.get("users/aB3dE").json()["data"]) == set(names.split())


def test_an_asset_shows_its_type_site_and_user(api):
    api.state.edit("assets", 901, current_user_id="aB3dE")

    (asset,) = api.get("assets").json()["data"]

    assert asset["asset_type"] == {
        "id": 11,
        "name": "Vehicle",
        "site_id": 101,
        "asset_category_id": 1,
        "templates": [],
    }
    assert asset["site"]["ext_id"] == "24113."
    assert asset["current_user"]["id"] == "aB3dE"
    assert asset["current_user"]["current_title"] == "Fitter"
    assert asset["location"] is None
    assert not {"vin", "year", "make"} & set(asset)


def test_dates_are_without_zone_except_for_roles(api):
    (site, _) = api.get("sites").json()["data"]
    role = api.get("roles").json()["data"][0]

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", site["created_at"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", role["created_at"])
    assert role["created_by"] == 1


def test_a_site_has_ext_id_and_no_external_code(api):
    (site, _) = api.get("sites").json()["data"]

    assert site["ext_id"] == "24113."
    assert "external_code" not in site


def test_deleted_users_are_not_listed_nor_found(api):
    assert "gONe1" not in ids(api.get("users"))
    assert api.get("users/gONe1").status_code == 404
    assert api.put("users/gONe1", first_name="a", last_name="b", email="c@example.com").status_code == 404


def test_user_ids_that_differ_by_case_are_two_users(api):
    assert api.get("users/aB3dE").json()["data"]["first_name"] == "Nora"
    assert api.get("users/Ab3De").json()["data"]["first_name"] == "Łukasz"
    assert api.get("users/ab3de").status_code == 404


def test_new_user_ids_are_five_letters_and_digits_and_some_differ_by_case_only(serve):
    seed = {"users": [{"first_name": "A", "last_name": "B", "email": f"u{n}@example.com"} for n in range(30)]}

    first, second = (serve(seed).get("users", page=0, limit=100) for _ in range(2))

    given = ids(first)
    assert all(re.fullmatch(r"[A-Za-z0-9]{5}", id_) for id_ in given)
    assert len(set(given)) == 30
    assert len({id_.lower() for id_ in given}) < 30
    assert ids(second) == given


def test_the_supervisor_is_shown_only_when_it_is_said_to_be_readable(serve):
    api = serve(supervisor_readable=True)
    api.state.edit("users", "Ab3De", current_supervisor_id="aB3dE")

    boss = api.get("users/Ab3De").json()["data"]["current_supervisor"]

    assert boss == {"id": "aB3dE", "first_name": "Nora", "last_name": "Núñez"}
    assert api.get("users/aB3dE").json()["data"]["current_supervisor"] is None


def test_all_tables_of_the_contract_are_listed(api):
    for table in (
        "site_clusters",
        "sites",
        "user_titles",
        "roles",
        "users",
        "asset_types",
        "asset_categories",
        "assets",
    ):
        assert ids(api.get(table, page=0, limit=25)), table
