"""What a write leaves behind in SafetyAmp, and what it answers."""

from __future__ import annotations

import re

import pytest

NORA = {"first_name": "Nora", "last_name": "Núñez", "email": "nora@example.com"}
ANA = {"first_name": "Ana", "last_name": "Test", "email": "ana@example.com"}


def row(api, table, id_):
    return next(row for row in api.state.tables()[table] if row["id"] == id_)


def test_a_user_is_written_under_other_names_than_it_is_read(api):
    # when
    response = api.post(
        "users",
        **ANA,
        emp_id="000123",
        gender=0,
        date_of_birth="1990-02-03",
        mobile_phone="+15045550177",
        home_site_id=102,
        current_title_id=72,
        current_supervisor_id="aB3dE",
        roles=[{"id": 3}, {"id": 4}],
        sites=[{"id": 101}],
        system_access=1,
        text_opt_out=1,
        timezone="America/Chicago",
    )

    # then the answer has the shape of a listing, and the listing says the same
    assert response.status_code == 201
    user = response.json()["data"]
    assert user["current_title"] == {"id": 72, "name": "Welder"}
    assert [role["name"] for role in user["roles"]] == ["Field", "Supervisor"]
    assert user["home_site"]["name"] == "South yard"
    assert user["sites"][0]["ext_id"] == "24113."
    assert (user["system_access"], user["text_opt_out"]) == (True, 1)
    assert user["emp_id"] == "000123"
    assert api.get(f"users/{user['id']}").json()["data"] == user
    # and the supervisor, which SafetyAmp does not show, is known to the referee
    assert "current_supervisor_id" not in user
    assert row(api, "users", user["id"])["current_supervisor_id"] == "aB3dE"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_update_changes_what_it_carries_and_keeps_the_rest(api, method):
    response = api.send(method, "users/aB3dE", {**NORA, "current_title_id": 72, "system_access": 0})

    assert response.status_code == 200
    user = response.json()["data"]
    assert user["current_title"]["id"] == 72
    assert user["system_access"] is False
    assert (user["emp_id"], user["mobile_phone"], user["home_site_id"]) == ("100482", "+15045550123", 101)


def test_put_may_clear_what_it_does_not_carry(serve):
    api = serve(put_clears_omitted=True)

    put = api.put("users/aB3dE", **NORA, emp_id="100482").json()["data"]

    assert (put["emp_id"], put["mobile_phone"], put["home_site_id"], put["current_title"]) == (
        "100482",
        None,
        None,
        None,
    )
    assert put["roles"]  # a list is not an optional text
    assert api.patch("users/aB3dE", **NORA).json()["data"]["emp_id"] == "100482"


def test_null_clears_an_optional_field_and_an_empty_list_the_roles(api):
    user = api.patch("users/aB3dE", **NORA, mobile_phone=None, current_title_id=None, roles=[]).json()["data"]

    assert (user["mobile_phone"], user["current_title"], user["roles"]) == (None, None, [])


def test_unknown_fields_are_ignored_with_200(api):
    before = row(api, "sites", 101)

    response = api.put("sites/101", zip="12345", external_code="24113", cluster="x")

    assert response.status_code == 200
    after = row(api, "sites", 101)
    assert {**after, "updated_at": None, "updated_by": None} == {**before, "updated_at": None, "updated_by": None}


@pytest.mark.parametrize("field", ["activated", "owner", "id", "type", "current_title", "home_site"])
def test_read_only_fields_are_ignored_with_200(api, field):
    before = row(api, "users", "aB3dE")

    assert api.patch("users/aB3dE", **NORA, **{field: "changed"}).status_code == 200
    assert row(api, "users", "aB3dE")[field] == before[field]


def test_a_field_can_be_told_not_to_be_stored(serve):
    api = serve(ignored_fields={"sites": ["zip_code"], "users": ["work_phone"]})

    created = api.post("sites", name="New", cluster_id=4, zip_code="00501", city="Holtsville")
    updated = api.put("sites/101", zip_code="00501")

    assert (created.status_code, updated.status_code) == (201, 200)
    assert (created.json()["data"]["zip_code"], created.json()["data"]["city"]) == (None, "Holtsville")
    assert updated.json()["data"]["zip_code"] == "00701"


def test_sites_titles_and_assets_take_partial_updates(api):
    assert api.put("sites/101", name="Renamed").json()["data"]["ext_id"] == "24113."
    assert api.put("user_titles/71", name="Pipe fitter").json()["data"]["name"] == "Pipe fitter"
    asset = api.put("assets/901", site_id=101, current_user_id="aB3dE", status=0).json()["data"]
    assert (asset["status"], asset["serial"], asset["current_user"]["id"]) == (0, "VIN1", "aB3dE")


def test_an_asset_moves_with_the_type_of_its_new_site(api):
    asset = api.put("assets/901", site_id=102, asset_type_id=12).json()["data"]

    assert (asset["site"]["id"], asset["asset_type"]["site_id"]) == (102, 102)


def test_a_moved_cluster_takes_its_children_along(api):
    response = api.put("site_clusters/4", name="10 - Pipe", parent_cluster_id=3, osha_establishment=1)

    assert response.json()["data"]["path"] == "/1/3/4/"
    assert response.json()["data"]["osha_establishment"] == 1
    (root,) = api.get("site_clusters").json()["data"]
    assert [[leaf["id"] for leaf in region["children"]] for region in root["children"]] == [[], [4]]


def test_what_depends_on_a_record_shows_its_new_name(api):
    api.put("user_titles/71", name="Pipe fitter")
    api.put("sites/101", name="Renamed")

    user = api.get("users/aB3dE").json()["data"]

    assert (user["current_title"]["name"], user["home_site"]["name"]) == ("Pipe fitter", "Renamed")


def test_writes_record_when_and_by_whom(api):
    created = api.post("sites", name="New", cluster_id=4).json()["data"]
    updated = api.put("sites/101", name="Renamed").json()["data"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", created["created_at"])
    assert re.fullmatch(r"[A-Za-z0-9]{5}", created["created_by"])
    assert updated["updated_by"] == created["created_by"]
    assert updated["updated_at"] > updated["created_at"]


def test_new_ids_count_on_from_the_highest(api):
    first, second = (api.post("sites", name=name, cluster_id=4).json()["data"]["id"] for name in ("A", "B"))

    assert (first, second) == (103, 104)


@pytest.mark.parametrize(("status", "wrap"), [(200, True), (201, False)])
def test_status_and_wrapping_of_answers_are_a_choice(serve, status, wrap):
    api = serve(create_status=status, wrap_answers=wrap)

    created, updated = api.post("user_titles", name="Rigger"), api.put("user_titles/71", name="Pipe fitter")

    assert (created.status_code, updated.status_code) == (status, 200)
    records = [response.json()["data"] if wrap else response.json() for response in (created, updated)]
    assert [record["name"] for record in records] == ["Rigger", "Pipe fitter"]


def test_blanks_around_a_text_are_dropped_unless_told_otherwise(serve):
    assert serve().post("user_titles", name="  Rigger ").json()["data"]["name"] == "Rigger"
    assert serve(trims_text=False).post("user_titles", name="  Rigger ").json()["data"]["name"] == "  Rigger "


def test_an_empty_text_is_stored_as_null(api):
    assert api.patch("users/aB3dE", **NORA, city="  ").json()["data"]["city"] is None


def test_texts_survive_as_they_are(api):
    name = 'O\'Brien – Łukasz "Luke" Núñez <b>'

    site = api.post("sites", name=name, ext_id="24113.A.", cluster_id=4, zip_code="00501").json()["data"]

    assert (site["name"], site["ext_id"], site["zip_code"]) == (name, "24113.A.", "00501")


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b'"text"', b"null"])
def test_a_body_that_is_no_object_is_400(api, body):
    response = api.session.post(f"{api.url}/api/user_titles", data=body, timeout=60)

    assert response.status_code == 400
    assert len(api.state.tables()["user_titles"]) == 2


@pytest.mark.parametrize("path", ["users/zzzzz", "users/AB3DE", "sites/999", "sites/abc", "assets/-1"])
def test_an_unknown_record_is_404(api, path):
    response = api.put(path, **NORA, site_id=101)

    assert response.status_code == 404
    assert "message" in response.json()


def test_a_record_may_keep_its_own_unique_values(api):
    assert api.patch("users/aB3dE", **NORA, mobile_phone="+15045550123").status_code == 200
    assert api.put("sites/101", ext_id="24113.").status_code == 200


def test_work_phone_emp_id_and_title_names_are_not_unique(api):
    assert api.post("users", **ANA, emp_id="100482", work_phone="+15045550123").status_code == 201
    assert api.post("user_titles", name="Fitter").status_code == 201
