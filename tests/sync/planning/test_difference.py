"""The difference of one record: what counts as the same, and whose value stands under each policy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_worlds import FIELD_ROLE, FITTER, Remembered, title, user

from safetyamp_pipelines.sync.entities.employees import SPEC
from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.spec import Field, Policy
from safetyamp_pipelines.sync.planning.difference import diff_record, observed_value, offered

TABLES = references({"user_titles": [FITTER, title(8, "Welder")], "users": [user("boss1", "9")], "roles": [FIELD_ROLE]})
NAME = Field("name", "Name", (), "name")
VALUES = st.sampled_from(["a", "b", "c", None])


def difference(field: Field, after: Any, row: dict[str, Any], link: Remembered | None = None):
    return diff_record((field,), {field.name: after}, row, TABLES, link)


def with_policy(policy: str) -> Field:
    return Field("name", "Name", (), "name", policy=Policy(policy))


@pytest.mark.parametrize(
    ("name", "row", "after"),
    [
        ("first_name", {"first_name": " Nora "}, "Nora"),
        ("email", {"email": "Nora@Example.com"}, "nora@example.com"),
        ("gender", {"gender": 0}, 0),
        ("system_access", {"system_access": True}, 1),
        ("current_hire_date", {"current_hire_date": "2020-01-06 00:00:00"}, "2020-01-06"),
        ("current_title_id", {"current_title": {"id": 7, "name": "fitter"}}, "FITTER"),
        ("roles", {"roles": [{"id": 3}]}, "Field"),
    ],
)
def test_the_same_in_other_words_is_no_change(name: str, row: dict[str, Any], after: Any) -> None:
    found = difference(SPEC.field(name), after, row)

    assert found.changed == {}
    assert found.agreed == {name: after}


@pytest.mark.parametrize(
    ("name", "row", "after", "before"),
    [
        ("first_name", {"first_name": "nora"}, "Nora", "nora"),
        ("gender", {"gender": None}, 0, None),
        ("street", {"street": ""}, "1 Main St", None),
        ("system_access", {"system_access": False}, 1, 0),
        ("current_title_id", {"current_title": {"id": 8}}, "Fitter", "Welder"),
        ("current_title_id", {"current_title": {"id": 99}}, "Fitter", "[99]"),
        ("current_title_id", {"current_title": None}, "Fitter", None),
    ],
)
def test_a_difference_shows_before_and_after_in_names(name: str, row: dict[str, Any], after: Any, before: Any) -> None:
    assert difference(SPEC.field(name), after, row).changed == {name: (before, after)}


@given(VALUES, VALUES, VALUES, st.sampled_from(list(Policy)))
def test_an_empty_source_never_blanks_a_value(shown: Any, pushed: Any, after: Any, policy: Policy) -> None:
    found = difference(with_policy(policy), None, {"name": shown}, Remembered(1, {"name": pushed}))

    assert found.changed == {}


@given(VALUES, VALUES)
def test_the_source_wins_unless_declared_otherwise(shown: Any, after: Any) -> None:
    found = difference(with_policy("source"), after, {"name": shown})

    assert found.changed == ({"name": (shown, after)} if after is not None and after != shown else {})


@given(VALUES, VALUES)
def test_an_initial_value_is_never_changed_afterwards(shown: Any, after: Any) -> None:
    assert difference(with_policy("initial"), after, {"name": shown}).changed == {}


@given(VALUES, VALUES)
def test_fill_writes_only_where_safetyamp_has_nothing(shown: Any, after: Any) -> None:
    found = difference(with_policy("fill"), after, {"name": shown})

    assert bool(found.changed) == (shown is None and after is not None)


@pytest.mark.parametrize(
    ("pushed", "shown", "after", "changes", "note"),
    [
        ("a", "a", "b", True, None),
        ("a", "b", "a", False, None),
        ("a", "b", "c", False, "Name: held: it changed in the source and in SafetyAmp; a person must decide"),
        ("a", "b", "b", False, None),
        (None, "b", "c", True, None),
    ],
)
def test_merge_compares_three_ways_with_what_was_last_pushed(pushed, shown, after, changes, note) -> None:
    link = Remembered(1, {"name": pushed}) if pushed else None

    found = difference(with_policy("merge"), after, {"name": shown}, link)

    assert bool(found.changed) is changes
    assert found.notes == ([note] if note else [])


def test_a_field_safetyamp_never_shows_is_what_was_last_pushed() -> None:
    supervisor = SPEC.field("current_supervisor_id")

    assert observed_value(supervisor, user("u1", "1"), TABLES, {"current_supervisor_id": "9"}) == "9"
    assert difference(supervisor, "9", user("u1", "1"), Remembered("u1", {"current_supervisor_id": "9"})).changed == {}
    assert difference(supervisor, "9", user("u1", "1")).changed == {"current_supervisor_id": (None, "9")}


def test_a_value_safetyamp_showed_not_to_have_taken_is_not_sent_again() -> None:
    found = difference(NAME, "b", {"name": "a"}, Remembered(1, {}, {"name": offered("b")}))

    assert found.changed == {}
    assert found.notes == ["Name: SafetyAmp did not take this value when it was sent"]
    assert difference(NAME, "c", {"name": "a"}, Remembered(1, {}, {"name": offered("b")})).changed


def test_a_value_safetyamp_kept_silent_about_is_sent_again_once_the_listing_shows_another() -> None:
    link = Remembered(1, {}, {"name": offered("b", "a")})

    assert difference(NAME, "b", {"name": "a"}, link).changed == {}
    assert difference(NAME, "b", {"name": "somebody's edit"}, link).changed


WINS = "somebody changed it in SafetyAmp; the source wins (policy {})"
STANDS = "somebody changed it in SafetyAmp; that edit stands (policy {})"


@pytest.mark.parametrize(
    ("policy", "shown", "after", "told"),
    [
        ("source", "b", "a", WINS),
        ("source", "b", "c", WINS),
        ("source", None, "a", WINS),
        ("initial", "b", "a", STANDS),
        ("fill", "b", "a", STANDS),
        ("fill", None, "a", WINS),
        ("merge", "b", "a", STANDS),
        ("merge", "b", "c", "held: it changed in the source and in SafetyAmp; a person must decide"),
        ("source", "a", "c", None),  # only the source changed
        ("source", " a ", "c", None),
        ("source", "b", "b", None),  # both say the same now
        ("source", "b", None, None),  # the source says nothing
    ],
)
def test_drift_is_told_with_who_wins_and_by_which_policy(policy, shown, after, told) -> None:
    found = difference(with_policy(policy), after, {"name": shown}, Remembered(1, {"name": "a"}))

    assert found.drift == ({} if told is None else {"name": told.format(policy)})


def test_without_a_push_of_ours_there_is_no_drift() -> None:
    assert difference(NAME, "b", {"name": "a"}).drift == {}
    assert difference(NAME, "b", {"name": "a"}, Remembered(1, {"other": "x"})).drift == {}


def test_a_reference_whose_record_was_renamed_is_no_edit_of_the_record_that_refers_to_it() -> None:
    field, row = SPEC.field("current_title_id"), {"current_title": {"id": 8}}

    assert difference(field, "Fitter", row, Remembered(1, {"current_title_id": "Rigger"})).drift == {}
    assert difference(field, "Fitter", row, Remembered(1, {"current_title_id": "FITTER"})).drift != {}


def test_a_value_known_to_be_refused_is_left_out_with_a_note_unless_both_say_the_same_by_now() -> None:
    refused = {"name": "left out, since SafetyAmp refused it: duplicate"}

    left = diff_record((NAME,), {"name": "b"}, {"name": "a"}, TABLES, None, refused)
    same = diff_record((NAME,), {"name": "b"}, {"name": "b"}, TABLES, None, refused)

    assert (left.changed, left.notes) == ({}, ["Name: left out, since SafetyAmp refused it: duplicate"])
    assert (same.agreed, same.notes) == ({"name": "b"}, [])
