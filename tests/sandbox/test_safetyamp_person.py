"""What a person does at SafetyAmp's screens, and what a SafetyAmp can be made of."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from safetyamp_pipelines.sandbox.safetyamp_options import TargetOptions
from safetyamp_pipelines.sandbox.safetyamp_state import SafetyAmpState


@pytest.fixture
def state(api):
    return api.state


def user(state, id_, **kwargs):
    return next(row for row in state.tables(**kwargs)["users"] if row["id"] == id_)


def test_an_edit_is_seen_by_the_api_and_signed_by_the_person(api):
    edited = api.state.edit("users", "aB3dE", system_access=False, current_title_id=72, emp_id=None)

    assert api.get("users/aB3dE").json()["data"]["current_title"] == {"id": 72, "name": "Welder"}
    assert (edited["system_access"], edited["emp_id"]) == (False, None)
    by_person = api.state.edit("sites", 101, name="By hand")["updated_by"]
    assert by_person != api.put("sites/101", name="By the API").json()["data"]["updated_by"]


def test_an_edit_takes_the_shape_of_a_listing_too(state):
    edited = state.edit(
        "users", "aB3dE", current_title={"id": 72}, roles=[{"id": 4, "name": "Supervisor"}], sites=[101]
    )

    assert edited["current_title"]["name"] == "Welder"
    assert [role["id"] for role in edited["roles"]] == [4]
    assert [site["id"] for site in edited["sites"]] == [101]


@pytest.mark.parametrize(
    ("table", "id_", "fields"),
    [
        ("users", "aB3dE", {"frist_name": "Typo"}),
        ("sites", 101, {"external_code": "24113"}),
        ("users", "aB3dE", {"home_site_id": 999}),
        ("users", "aB3dE", {"mobile_phone": "555"}),
        ("users", "aB3dE", {"roles": [99]}),
        ("assets", 901, {"site_id": 102}),
        ("site_clusters", 2, {"parent_cluster_id": 4}),
    ],
)
def test_an_edit_that_cannot_be_is_a_loud_error_and_changes_nothing(state, table, id_, fields):
    before = state.tables()

    with pytest.raises(ValueError):
        state.edit(table, id_, **fields)

    assert state.tables() == before


def test_an_edit_of_nobody_is_a_key_error(state):
    with pytest.raises(KeyError):
        state.edit("users", "ab3de", first_name="X")
    with pytest.raises(KeyError):
        state.hide("users", "ab3de")


def test_an_insert_needs_no_more_than_a_name(api):
    inserted = api.state.insert("users", first_name="Added", last_name="By hand", email="by.hand@example.com")

    assert api.get(f"users/{inserted['id']}").json()["data"]["email"] == "by.hand@example.com"
    assert (inserted["roles"], inserted["system_access"], inserted["activated"]) == ([], False, True)


def test_an_insert_may_choose_its_id_but_not_a_used_one(state):
    assert state.insert("sites", id=500, name="Chosen", cluster_id=4)["id"] == 500
    with pytest.raises(ValueError, match="has the id 500 already"):
        state.insert("sites", id=500, name="Again", cluster_id=4)


def test_a_hidden_user_leaves_the_listing_but_not_the_truth(api):
    api.state.hide("users", "aB3dE")

    assert [row["id"] for row in api.get("users").json()["data"]] == ["Ab3De"]
    assert {row["id"] for row in api.state.tables()["users"]} == {"Ab3De"}
    assert user(api.state, "aB3dE", hidden=True)["deleted_at"] is not None


def test_tables_are_copies(state):
    state.tables()["users"][0]["roles"].clear()
    state.shown("users", state.row("users", "aB3dE"))["roles"].clear()

    assert user(state, "aB3dE")["roles"]


def test_clusters_are_flat_in_the_truth(state):
    clusters = state.tables()["site_clusters"]

    assert [(row["id"], row["depth"], row["path"]) for row in clusters] == [
        (1, 0, "/1/"),
        (2, 1, "/1/2/"),
        (4, 2, "/1/2/4/"),
        (3, 1, "/1/3/"),
    ]
    assert not any("children" in row for row in clusters)


def test_a_listing_can_be_the_seed_of_the_next_state(api):
    listed = {table: api.get(table, limit=100).json()["data"] for table in api.state.tables()}

    again = SafetyAmpState(listed).tables()

    assert again == api.state.tables()


def test_a_dump_makes_an_equal_state_with_its_deleted_users_and_supervisors(state):
    state.edit("users", "Ab3De", current_supervisor_id="aB3dE")

    again = SafetyAmpState(state.dump())

    assert again.tables(hidden=True) == state.tables(hidden=True)
    assert user(again, "Ab3De")["current_supervisor_id"] == "aB3dE"


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ({"users": [{"first_name": "A", "home_site_id": 7}]}, "home_site_id leads to no record of sites"),
        ({"users": [{"first_name": "A", "roles": [{"id": 7}]}]}, "roles leads to no record of roles"),
        ({"user_titles": [{"id": 1, "name": "A"}, {"id": 1, "name": "B"}]}, "has the id 1 already"),
        ({"sites": [{"name": "A", "external_code": "24113"}]}, "sites has no field 'external_code'"),
        ({"site_clusters": [{"id": 1, "parent_cluster_id": 2}, {"id": 2, "parent_cluster_id": 1}]}, "below itself"),
    ],
)
def test_a_seed_that_does_not_hang_together_is_refused(seed, message):
    with pytest.raises(ValueError, match=message):
        SafetyAmpState(seed)


def test_the_clock_can_be_given():
    state = SafetyAmpState({}, TargetOptions(), clock=lambda: datetime(2026, 11, 20, 9, 30, tzinfo=UTC))

    assert state.insert("user_titles", name="Rigger")["created_at"] == "2026-11-20 09:30:00"


def test_many_callers_at_once_get_ids_of_their_own():
    state = SafetyAmpState({})

    def add(worker: int) -> None:
        for n in range(50):
            state.create("users", {"first_name": "A", "last_name": "B", "email": f"u{worker}.{n}@example.com"})

    workers = [threading.Thread(target=add, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len({row["id"] for row in state.tables()["users"]}) == 200
