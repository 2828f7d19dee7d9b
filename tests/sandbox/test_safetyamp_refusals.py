"""What SafetyAmp refuses with 422, under which field and in which words; a refused write changes nothing."""

from __future__ import annotations

import pytest

NORA = {"first_name": "Nora", "last_name": "Núñez", "email": "nora@example.com"}
ANA = {"first_name": "Ana", "last_name": "Test", "email": "ana@example.com"}
CLUSTER = {"name": "20 - Steel", "parent_cluster_id": 2, "osha_establishment": 0}
UNIT = {"name": "Unit", "site_id": 101, "asset_type_id": 11}
TAKEN = "The {} has already been taken."


@pytest.fixture(autouse=True)
def nothing_changes(api):
    """A refused write leaves every table as it was."""
    before = api.state.tables(hidden=True)
    yield
    assert api.state.tables(hidden=True) == before


def refusal(response) -> dict[str, list[str]]:
    """The errors of a 422, whose message must be their summary."""
    assert response.status_code == 422, response.text
    body = response.json()
    assert set(body) == {"message", "errors"}
    texts = [text for texts in body["errors"].values() for text in texts]
    assert body["message"].startswith(texts[0])
    return body["errors"]


def test_the_message_is_the_first_text_and_the_number_of_the_others(api):
    one = api.post("users", first_name="A", last_name="B").json()
    two = api.post("users", first_name="A").json()
    three = api.put("users/aB3dE", current_title_id=72).json()

    assert one["message"] == "The email field is required."
    assert two["message"] == "The last name field is required. (and 1 more error)"
    assert three == {
        "message": "The first name field is required. (and 2 more errors)",
        "errors": {
            "first_name": ["The first name field is required."],
            "last_name": ["The last name field is required."],
            "email": ["The email field is required."],
        },
    }


@pytest.mark.parametrize(
    ("method", "path", "required"),
    [
        ("POST", "users", {"first_name", "last_name", "email"}),
        ("PUT", "users/aB3dE", {"first_name", "last_name", "email"}),
        ("PATCH", "users/aB3dE", {"first_name", "last_name", "email"}),
        ("POST", "site_clusters", {"name", "parent_cluster_id"}),
        ("PUT", "site_clusters/4", {"name", "parent_cluster_id", "osha_establishment"}),
        ("POST", "sites", {"name", "cluster_id"}),
        ("POST", "user_titles", {"name"}),
        ("POST", "assets", {"name", "site_id", "asset_type_id"}),
        ("PUT", "assets/901", {"site_id"}),
    ],
)
def test_required_fields_are_named_all_at_once(api, method, path, required):
    assert set(refusal(api.send(method, path, {}))) == required


@pytest.mark.parametrize("empty", [None, "", "   "])
def test_a_required_field_cannot_be_emptied(api, empty):
    assert set(refusal(api.patch("users/aB3dE", **{**NORA, "last_name": empty}))) == {"last_name"}
    assert set(refusal(api.put("sites/101", name=empty))) == {"name"}


def test_a_required_field_cannot_be_emptied_where_texts_are_not_trimmed(serve):
    api = serve(trims_text=False)

    assert set(refusal(api.put("sites/101", name=""))) == {"name"}


def test_a_root_cluster_cannot_be_created(api):
    errors = refusal(api.post("site_clusters", name="Acme 2", parent_cluster_id=None, external_code="ACME"))

    assert errors == {"parent_cluster_id": ["The parent cluster id field is required."]}


@pytest.mark.parametrize("field", ["mobile_phone", "work_phone", "home_phone"])
@pytest.mark.parametrize(
    "number", ["555-0123", "(504) 555-0123", "5045550123", "+1504555012", "+10045550123", "+1 504 555 0123"]
)
def test_a_phone_number_must_be_e164_and_the_text_is_untranslated(api, field, number):
    assert refusal(api.post("users", **ANA, **{field: number})) == {field: ["validation.phone"]}


@pytest.mark.parametrize("field", ["date_of_birth", "current_hire_date", "rehire_date"])
@pytest.mark.parametrize("date", ["1990-02-03 00:00:00", "02/03/1990", "1990-2-3", "1990-02-30", "soon", "19900203"])
def test_a_date_is_year_month_day_and_nothing_else(api, field, date):
    label = field.replace("_", " ")

    assert refusal(api.post("users", **ANA, **{field: date})) == {
        field: [f"The {label} does not match the format Y-m-d."]
    }


@pytest.mark.parametrize("gender", [2, -1, "F", "1", True, 0.5])
def test_gender_is_the_number_0_or_1(api, gender):
    assert refusal(api.post("users", **ANA, gender=gender)) == {"gender": ["The selected gender is invalid."]}


@pytest.mark.parametrize(
    "email", ["nora", "nora@", "@example.com", "nora@example", "a b@example.com", "a@x.com;b@x.com"]
)
def test_an_email_must_look_like_one(api, email):
    errors = refusal(api.post("users", **{**ANA, "email": email}))

    assert errors == {"email": ["The email must be a valid email address."]}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("users", {**ANA, "home_site_id": 999}, "home_site_id"),
        ("users", {**ANA, "home_site_id": "24113."}, "home_site_id"),
        ("users", {**ANA, "current_title_id": 999}, "current_title_id"),
        ("users", {**ANA, "current_title_id": {"id": 71}}, "current_title_id"),
        ("users", {**ANA, "current_title_id": True}, "current_title_id"),
        ("users", {**ANA, "current_supervisor_id": "ab3de"}, "current_supervisor_id"),
        ("users", {**ANA, "current_supervisor_id": "gONe1"}, "current_supervisor_id"),
        ("sites", {"name": "New", "cluster_id": 999}, "cluster_id"),
        ("site_clusters", {**CLUSTER, "parent_cluster_id": 999}, "parent_cluster_id"),
        ("assets", {**UNIT, "site_id": 999}, "site_id"),
        ("assets", {**UNIT, "asset_type_id": 999}, "asset_type_id"),
        ("assets", {**UNIT, "current_user_id": 100482}, "current_user_id"),
        (
            "assets",
            {**UNIT, "current_user_id": "AB3DE"},
            "current_user_id",
        ),
        ("assets", {**UNIT, "location_id": 1}, "location_id"),
        ("assets", {**UNIT, "status": 2}, "status"),
    ],
)
def test_a_reference_to_nothing_is_invalid(api, path, body, field):
    label = field.replace("_", " ")

    assert refusal(api.post(path, **body)) == {field: [f"The selected {label} is invalid."]}


@pytest.mark.parametrize(
    ("roles", "key"),
    [
        ([{"id": 3}, {"id": 99}], "roles.1.id"),
        ([3], "roles.0.id"),
        ([{}], "roles.0.id"),
        ("Field", "roles"),
        ({"id": 3}, "roles"),
    ],
)
def test_roles_are_a_list_of_objects_with_known_ids(api, roles, key):
    assert set(refusal(api.post("users", **ANA, roles=roles))) == {key}


def test_the_asset_type_must_belong_to_the_assets_site(api):
    created = api.post("assets", name="Unit", site_id=101, asset_type_id=12)
    moved = api.put("assets/901", site_id=102)
    retyped = api.put("assets/901", site_id=101, asset_type_id=12)

    for response in (created, moved, retyped):
        assert refusal(response) == {"asset_type_id": ["The selected asset type id is invalid."]}


@pytest.mark.parametrize("parent", [2, 4])
def test_a_cluster_cannot_stand_below_itself(api, parent):
    errors = refusal(api.put("site_clusters/2", **{**CLUSTER, "parent_cluster_id": parent}))

    assert errors == {"parent_cluster_id": ["The selected parent cluster id is invalid."]}


@pytest.mark.parametrize(
    ("path", "body", "field", "text"),
    [
        ("users", {**ANA, "email": "NORA@Example.com"}, "email", TAKEN.format("email")),
        ("users", {**ANA, "email": " nora@example.com"}, "email", TAKEN.format("email")),
        ("users", {**ANA, "mobile_phone": "+15045550123"}, "mobile_phone", TAKEN.format("mobile phone")),
        (
            "sites",
            {"name": "X", "cluster_id": 4, "ext_id": "24113."},
            "ext_id",
            "The site code has already been taken.",
        ),
        (
            "site_clusters",
            {**CLUSTER, "external_code": "10"},
            "external_code",
            "The cluster code has already been taken.",
        ),
        (
            "site_clusters",
            {**CLUSTER, "external_code": "south"},
            "external_code",
            "The cluster code has already been taken.",
        ),
    ],
)
def test_unique_values_are_refused_in_the_words_of_the_screens(api, path, body, field, text):
    assert refusal(api.post(path, **body)) == {field: [text]}


def test_uniqueness_holds_for_updates_but_a_record_does_not_clash_with_itself(api):
    clash = api.patch("users/Ab3De", first_name="Ł", last_name="O", email="nora@example.com")

    assert refusal(clash) == {"email": ["The email has already been taken."]}


def test_deleted_users_keep_their_email_and_mobile_number(api):
    errors = refusal(api.post("users", **{**ANA, "email": "left@example.com"}, mobile_phone="+15045550199"))

    assert set(errors) == {"email", "mobile_phone"}


def test_deleted_users_may_let_go_of_them(serve):
    api = serve(hidden_users_reserve=False)

    response = api.post("users", **{**ANA, "email": "left@example.com"}, mobile_phone="+15045550199")

    assert response.status_code == 201


def test_emp_id_and_title_names_can_be_made_unique(serve):
    api = serve(unique_emp_id=True, unique_titles=True)

    assert set(refusal(api.post("users", **ANA, emp_id="100482"))) == {"emp_id"}
    assert set(refusal(api.post("user_titles", name="FITTER"))) == {"name"}


def test_more_fields_can_be_required_on_update(serve):
    api = serve(required_on_update={"users": ["emp_id"], "sites": ["name", "cluster_id"]})

    assert set(refusal(api.patch("users/aB3dE", **NORA))) == {"emp_id"}
    assert set(refusal(api.put("sites/101", city="X"))) == {"name", "cluster_id"}


@pytest.mark.parametrize("value", [501, 501.0, True, ["00501"], {"zip": "00501"}])
def test_a_text_must_be_a_text(api, value):
    errors = refusal(api.post("sites", name="New", cluster_id=4, zip_code=value))

    assert errors == {"zip_code": ["The zip code must be a string."]}


def test_numbers_may_be_taken_for_texts_but_never_lists(serve):
    api = serve(strict_text=False)

    assert api.post("sites", name="New", cluster_id=4, zip_code=501).json()["data"]["zip_code"] == "501"
    assert set(refusal(api.post("sites", name="New", cluster_id=4, zip_code=["501"]))) == {"zip_code"}


def test_a_text_ends_at_255_characters(api):
    assert set(refusal(api.post("sites", name="x" * 256, cluster_id=4))) == {"name"}


@pytest.mark.parametrize("value", ["yes", 2, []])
def test_a_flag_is_0_or_1(api, value):
    errors = refusal(api.post("users", **ANA, system_access=value))

    assert errors == {"system_access": ["The system access field must be true or false."]}


def test_a_time_zone_must_exist(api):
    errors = refusal(api.post("users", **ANA, timezone="Central Standard Time"))

    assert errors == {"timezone": ["The timezone must be a valid zone."]}


def test_every_wrong_field_is_reported_at_once(api):
    response = api.post(
        "users", first_name="", last_name="B", email="nora@example.com", mobile_phone="1", gender=2, home_site_id=9
    )

    assert set(refusal(response)) == {"first_name", "email", "mobile_phone", "gender", "home_site_id"}
