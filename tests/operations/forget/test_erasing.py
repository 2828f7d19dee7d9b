"""What is taken out of a table: the person's own rows to the keys, and the person wherever others show them."""

from __future__ import annotations

from dataclasses import replace

from safetyamp_pipelines.operations.forget.erasing import Person, erased_plan, erased_records, known_as
from safetyamp_pipelines.sync.model.plan import Action, Agreed, Change, Finding, Outcome, Plan, Verdict
from safetyamp_pipelines.sync.rules.config import SyncConfig

RULES = SyncConfig()
NORA = Person(
    "100482",
    {
        "users": frozenset({"aB3dE"}),
        "samsara/drivers": frozenset({"52"}),
        "samsara/vehicles": frozenset({"281"}),
        "assets": frozenset({9001}),
    },
    {"vehicles": frozenset({"281"})},
)


def test_rows_keep_their_keys_and_order_and_other_people_are_the_same_objects() -> None:
    nora = {"PRCo": 1, "Employee": 100482, "FirstName": "Nora", "PRDept": "10"}
    other = {"PRCo": 1, "Employee": 7, "FirstName": "Kim"}

    found = erased_records("viewpoint/employees", [other, nora], NORA, RULES)

    assert found == [other, {"PRCo": 1, "Employee": 100482, "FirstName": None, "PRDept": None}]
    assert found[0] is other


def test_somebody_of_another_company_with_the_same_number_is_somebody_else() -> None:
    rows = [{"PRCo": company, "Employee": 100482, "FirstName": "N"} for company in (1, 2)]

    mine = erased_records("viewpoint/employees", rows, replace(NORA, others=frozenset({"2/100482"})), RULES)
    theirs = erased_records("viewpoint/employees", rows, Person("2/100482"), RULES)

    assert [row["FirstName"] for row in mine] == [None, "N"]
    assert [row["FirstName"] for row in theirs] == ["N", None]


def test_accounts_are_found_with_leading_zeros_and_managers_keep_their_number_alone() -> None:
    own = {"id": "e1", "employeeId": " 0100482", "mail": "n@example.com", "userType": "Member", "businessPhones": ["1"]}
    led = {"id": "e2", "employeeId": "7", "mail": "k@example.com", "manager": {"employeeId": "100482", "mail": "n@x.y"}}

    found = erased_records("entra/users", [own, led], NORA, RULES)

    assert found[0] == {**own, "mail": None, "businessPhones": None}
    assert found[1] == {**led, "manager": {"employeeId": "100482"}}


def test_a_vehicle_bears_the_name_of_its_driver_in_every_system() -> None:
    driven = {"id": "281", "name": "Unit 7 - Nora", "vin": "V", "staticAssignedDriver": {"id": "52", "name": "Nora"}}
    asset = {"id": 9001, "name": "Unit 7 - Nora", "serial": "V", "current_user": {"id": "aB3dE", "first_name": "Nora"}}
    shared = {"id": 9002, "name": "Crane", "current_user": {"id": "aB3dE", "email": "n@x.y"}}

    assert erased_records("samsara/vehicles", [driven], NORA, RULES) == [
        {"id": "281", "name": None, "vin": "V", "staticAssignedDriver": {"id": "52"}}
    ]
    assert erased_records("safetyamp/assets", [asset, shared], NORA, RULES) == [
        {"id": 9001, "name": None, "serial": "V", "current_user": {"id": "aB3dE"}},
        {"id": 9002, "name": "Crane", "current_user": {"id": "aB3dE"}},
    ]


def test_a_driver_whose_number_only_the_notes_told_is_still_known_by_it() -> None:
    noted = {"id": "52", "name": "Nora", "notes": " 100482 "}
    named = {"id": "52", "name": "Nora", "notes": None, "externalIds": {"employeeId": "0100482", "payroll": "7"}}

    (first,), (second,) = (erased_records("samsara/drivers", [row], NORA, RULES) for row in (noted, named))

    assert first == {"id": "52", "name": None, "notes": None, "externalIds": {"employeeId": "100482"}}
    assert second == {**named, "name": None}
    for erased in (first, second):
        assert known_as(Person("100482"), [("samsara/drivers", [erased])], RULES).rows("samsara/drivers") == {"52"}


def test_snapshots_tell_by_which_ids_a_person_is_known() -> None:
    tables = [
        ("safetyamp_observed/users", [{"id": "aB3dE", "emp_id": "0100482"}, {"id": "x", "emp_id": None}]),
        ("samsara/drivers", [{"id": "52", "notes": "100482"}, {"id": "53", "notes": "call 5045550123"}]),
        ("samsara/vehicles", [{"id": "281", "staticAssignedDriver": {"id": "52"}}, {"id": "282"}]),
        ("safetyamp/assets", [{"id": 9001, "current_user_id": "aB3dE"}, {"id": 9002, "current_user_id": None}]),
    ]

    assert known_as(Person("100482"), tables, SyncConfig()) == NORA


def test_a_plan_keeps_its_counts_and_loses_the_values() -> None:
    change = Change(Action.UPDATE, "100482", "100482", "aB3dE", {"city": ("A", "B")}, "differs: City", "hash")
    plan = Plan(
        "employees",
        "users",
        "2026-11-20T10:00:00Z",
        {},
        "rules",
        changes=(change, replace(change, source_key="7")),
        verdicts=(Verdict("100482", Outcome.UPDATED, "differs: City", ("why",), ("note",)),),
        findings=(Finding("field_left", "100482", "text"),),
        agreed=(Agreed("100482", "100482", "aB3dE", {"first_name": "Nora"}),),
        approved={"100482": "a hash without a key", "7": "another"},
    )

    erased = erased_plan(plan, {"100482"})

    assert erased.counts() == plan.counts()
    assert (erased.changes[0].fields, erased.changes[0].payload_hash) == ({}, "")
    assert erased.changes[1] == plan.changes[1]
    assert (erased.verdicts[0].reasons, erased.verdicts[0].notes, erased.agreed[0].values) == ((), (), {})
    assert erased.approved == {"7": "another"}
    assert Plan.from_bytes(erased.to_bytes()) == erased
