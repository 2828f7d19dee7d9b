"""How a refusal is explained: the category of each field, what to correct where, and what the refusal depends on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from small_worlds import (
    FITTER,
    Refusal,
    Remembered,
    change,
    company,
    config,
    employee,
    pairs,
    plan_of,
    user,
    verdict,
    verdicts,
)

from safetyamp_pipelines.sync.entities.employees import SPEC
from safetyamp_pipelines.sync.entities.registry import ENTITIES
from safetyamp_pipelines.sync.model.errors import RecordRefused
from safetyamp_pipelines.sync.model.plan import Action, Change
from safetyamp_pipelines.sync.model.snapshot import canonical_json
from safetyamp_pipelines.sync.planning.circumstances import Circumstances, mapping_hash
from safetyamp_pipelines.sync.pushing.refusals import Explained, explain_refusal, mend

HIRE = Change(
    Action.CREATE,
    "100482",
    "100482",
    None,
    {"email": (None, "Nora@example.com"), "mobile_phone": (None, "+15045550123"), "current_title_id": (None, "Fitter")},
    "is new",
    "hash",
)


def circumstances(*users: dict[str, Any], title: int | None = 7, mapping: str = "m") -> Circumstances:
    return Circumstances(SPEC, mapping, {row["id"]: row for row in users}, lambda _table, _key: title)


def explained(errors: dict[str, list[str]], now: Circumstances | None = None, **owners: str) -> Explained:
    refusal = RecordRefused("SafetyAmp", "POST", "/api/users", status=422, errors=errors)
    return explain_refusal(HIRE, refusal, now or circumstances(), owners.get)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "text", "category"),
    [
        ("email", "The email has already been taken.", "duplicate"),
        ("ext_id", "The site code is in use.", "duplicate"),
        ("email", "The email field is required.", "missing"),
        ("first_name", "validation.required", "missing"),
        ("mobile_phone", "validation.phone", "format"),
        ("date_of_birth", "The date of birth does not match the format Y-m-d.", "format"),
        ("gender", "The selected gender is invalid.", "format"),
        ("city", "The city may not be greater than 255 characters.", "format"),
        ("email", "The email must be a valid email address.", "format"),
        ("home_site_id", "The selected home site id is invalid.", "reference"),
        ("roles.0.id", "The selected roles.0.id is invalid.", "reference"),
        ("current_title_id", "validation.exists", "reference"),
        ("email", "Nope.", "unknown"),
        ("shoe_size", "The shoe size is invalid.", "format"),
    ],
)
def test_the_category_is_derived_from_the_field_and_the_words(field: str, text: str, category: str) -> None:
    (offence,) = explained({field: [text]}).offences.values()

    assert offence.category == category


def test_a_duplicate_names_who_holds_the_value_when_safetyamp_shows_it() -> None:
    now = circumstances(user("aB3dE", "100311", email="nora@example.com"), user("xY9zZ", None, email="o@example.com"))

    linked = explained({"email": ["taken"]}, now, aB3dE="100311").offences["email"].suggestion
    stranger = explained({"email": ["taken"]}, now).offences["email"].suggestion

    mended = "correct mail of employee 100482 in Entra or Email in Viewpoint"
    assert linked == f"the e-mail is also on user aB3dE, employee 100311: {mended}"
    assert stranger == f"the e-mail is also on user aB3dE: {mended}"


def test_what_an_update_only_repeats_is_mended_in_safetyamp() -> None:
    """Every update carries the e-mail that SafetyAmp holds; no source can mend one that it refuses then."""
    leaves = replace(HIRE, action=Action.DEACTIVATE, target_id="aB3dE", fields={"system_access": (1, 0)})
    refusal = RecordRefused("SafetyAmp", "PATCH", "/api/users/{id}", status=422, errors={"email": ["is invalid"]})

    (offence,) = explain_refusal(leaves, refusal, circumstances(), {}.get).offences.values()

    assert str(offence) == (
        "E-mail: format, SafetyAmp refuses the e-mail that it has itself: correct it there, then "
        "`safetyamp failures retry employees 100482`"
    )


def test_a_duplicate_that_nobody_shows_points_at_deleted_records() -> None:
    assert "perhaps a deleted one" in explained({"email": ["taken"]}).offences["email"].suggestion


@pytest.mark.parametrize(
    ("entity", "field", "words"),
    [
        ("employees", "city", "correct City of employee 7 in Viewpoint"),
        ("employees", "mobile_phone", "correct mobilePhone of employee 7 in Entra or CellPhone or Phone in Viewpoint"),
        ("employees", "country", "correct Country of employee 7 in Viewpoint or employees.country in sync.yaml"),
        ("employees", "timezone", "correct employees.timezone in sync.yaml"),
        ("employees", "home_site_id", "see the rule behind it: `safetyamp explain employee 7`"),
        ("vehicles", "serial", "correct vin or serial of vehicle 7 in Samsara"),
    ],
)
def test_where_to_mend_a_field_comes_from_its_declared_sources(entity: str, field: str, words: str) -> None:
    spec = next(spec for spec in ENTITIES if spec.name == entity)

    assert mend(spec.field(field), f"{spec.noun} 7") == words


def test_nothing_that_is_remembered_holds_a_value_or_safetyamps_text() -> None:
    now = circumstances(user("aB3dE", "100311", email="nora@example.com"))
    told = explained({"email": ["Nora@example.com was taken"], "mobile_phone": ["+15045550123 is bad"]}, now)

    kept = repr(told.offences) + canonical_json(told.cause)
    assert [mark for mark in ("nora", "Nora", "5045550123", "was taken") if mark in kept] == []


def test_the_cause_names_holders_of_duplicates_and_ids_of_refused_references_and_nothing_else() -> None:
    now = circumstances(user("aB3dE", "1", email="nora@example.com", mobile_phone="+15045550123"))

    assert explained({"email": ["taken"]}, now).cause == {
        "mapping": "m",
        "references": {},
        "holders": {"email": ["aB3dE"]},
    }
    assert explained({"current_title_id": ["invalid"]}, now).cause == {
        "mapping": "m",
        "references": {"current_title_id": 7},
        "holders": {},
    }


def test_a_refusal_that_names_no_field_hangs_on_everything_that_was_sent() -> None:
    cause = explained({}).cause

    assert (set(cause["references"]), set(cause["holders"])) == ({"current_title_id"}, {"email", "mobile_phone"})


VALUES = HIRE.after()


@pytest.mark.parametrize(
    ("now", "still"),
    [
        (circumstances(user("aB3dE", "1", email="NORA@example.com")), True),
        (circumstances(user("aB3dE", "1", email="other@example.com")), False),  # the holder changed
        (circumstances(), False),  # the holder is gone
        (circumstances(user("aB3dE", "1", email="nora@example.com"), mapping="n"), False),
    ],
)
def test_a_duplicate_stands_until_the_holder_or_the_mapping_changes(now: Circumstances, still: bool) -> None:
    then = circumstances(user("aB3dE", "1", email="nora@example.com")).cause(["email"], VALUES, None)

    assert now.is_unchanged(then, VALUES, None) is still


def test_a_refused_reference_stands_until_it_leads_to_another_record() -> None:
    then = circumstances(title=7).cause(["current_title_id"], VALUES, None)

    assert circumstances(title=7).is_unchanged(then, VALUES, None)
    assert not circumstances(title=8).is_unchanged(then, VALUES, None)
    assert not circumstances(title=None).is_unchanged(then, VALUES, None)


def test_ones_own_row_is_not_another_record_that_holds_the_value() -> None:
    now = circumstances(user("own", "100482", email="nora@example.com"))

    assert now.cause(["email"], VALUES, "own")["holders"] == {"email": []}


def test_what_an_old_failure_does_not_speak_of_has_not_changed() -> None:
    assert circumstances().is_unchanged({}, VALUES, None)


@pytest.mark.parametrize(
    ("rules", "is_same"),
    [
        ({"schedule": {"quarantine_after": 5}}, True),
        ({"guards": {"shrunk_source": 0.5}}, True),
        ({"jobs": {"country": "CA"}}, True),
        ({"employees": {"suppressed": ["1"], "protected": ["2"], "protected_roles": []}}, True),
        ({"employees": {"default_phone_region": "CA"}}, False),
        ({"companies": [1, 2]}, False),
        ({"target": {"update_methods": {"users": "PUT"}}}, False),
    ],
)
def test_the_mapping_of_an_entity_is_its_own_section_and_how_it_is_sent(rules, is_same: bool) -> None:
    assert (mapping_hash(SPEC, config(**rules)) == mapping_hash(SPEC, config())) is is_same


# In a plan


def failure(plan, key: str, *fields: str, **differences: Any) -> Refusal:
    """A refusal of that planned change, as this world would have it remembered."""
    sent = change(plan, key).after()
    facts = {
        name: {"hash": canonical_json(sent[name]), "category": "duplicate", "suggestion": "mend"} for name in fields
    }
    return Refusal(change(plan, key).payload_hash, facts, **differences)


def test_a_standing_refusal_tells_its_fields_and_what_to_mend() -> None:
    world = company(viewpoint__employees=[employee(5)])
    refused = failure(plan_of("employees", world), "5", "email")

    plan = plan_of("employees", world, failures={"5": refused})

    assert verdict(plan, "5").outcome == "failed"
    assert verdict(plan, "5").reasons == ("E-mail: duplicate, mend",)


def test_a_dismissed_refusal_is_skipped_until_its_cause_changes() -> None:
    world = company(viewpoint__employees=[employee(5)])
    first = plan_of("employees", world)
    dismissed = failure(first, "5", "email", cause={"mapping": first.mapping_hash}, state="dismissed")

    assert verdicts(plan_of("employees", world, failures={"5": dismissed})) == {"5": "skipped"}
    other = plan_of(
        "employees", world, failures={"5": dismissed}, rules=config(employees={"timezone": "America/Denver"})
    )
    assert verdicts(other) == {"5": "created"}


def test_optional_fields_that_were_refused_are_left_out_and_the_rest_is_sent() -> None:
    known = user("u5", "5", first_name="Nora 5", email="p5@example.com", current_hire_date="2020-01-06")
    known |= {"home_site_id": 20, "current_title": {"id": FITTER["id"]}, "country": "US"}
    world = company(viewpoint__employees=[employee(5, City="Houma", Address="1 Main St")], users=[known])
    refused = failure(plan_of("employees", world), "5", "city")

    plan = plan_of("employees", world, failures={"5": refused}, links={"5": Remembered("u5")})
    moved = plan_of(
        "employees", company(viewpoint__employees=[employee(5, City="Lafitte")], users=[known]), failures={"5": refused}
    )

    assert pairs(plan, "5") == {"street": (None, "1 Main St")}
    assert verdict(plan, "5").notes == ("City: left out, since SafetyAmp refused it: duplicate, mend",)
    assert pairs(moved, "5") == {"city": (None, "Lafitte")}


def test_access_that_was_refused_is_never_left_out_in_silence() -> None:
    world = company(viewpoint__employees=[employee(5, TermDate="2026-01-31 00:00:00")], users=[user("u5", "5")])
    refused = failure(plan_of("employees", world), "5", "system_access")

    assert verdicts(plan_of("employees", world, failures={"5": refused})) == {"5": "failed"}


def test_a_refusal_is_revived_once_the_plan_itself_sees_who_holds_the_value() -> None:
    hidden = company(viewpoint__employees=[employee(5)])
    shown = company(viewpoint__employees=[employee(5)], users=[user("u7", "A-1", email="p5@example.com")])
    refused = failure(plan_of("employees", hidden), "5", "email", cause={"holders": {"email": []}})

    assert plan_of("employees", hidden, failures={"5": refused}).revived == ()
    plan = plan_of("employees", shown, failures={"5": refused})
    assert (verdicts(plan), plan.revived) == ({"5": "rejected"}, ("5",))
