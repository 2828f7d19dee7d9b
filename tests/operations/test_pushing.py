"""Pushes against the sandbox's SafetyAmp: what is sent, what is not sent again, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from push_world import EMPTY, PushWorld, fault, notes, outcomes, people, rule, sources, staff, writes
from small_worlds import account, asset_type, employee, job, vehicle

from safetyamp_pipelines.sandbox import Sandbox, TargetOptions
from safetyamp_pipelines.sync.model.plan import Plan

MOBILE, E164 = "504-234-5678", "+15042345678"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A SafetyAmp with clusters, yards and roles, and nobody of ours in it."""
    with Sandbox(EMPTY, TargetOptions(calls=100_000)) as box:
        yield box


@pytest.fixture
def world(box: Sandbox) -> Iterator[PushWorld]:
    world = PushWorld(box.environment)
    yield world
    world.close()


def test_a_push_makes_safetyamp_as_planned_and_a_second_one_writes_nothing(box: Sandbox, world: PushWorld) -> None:
    given = staff(1, 2, 3, CellPhone=None, Sex="F", Address="1 Main St")

    first = world.sync("employees", given)
    before = len(box.requests())
    second = world.sync("employees", given)

    assert outcomes(first) == {"1": "created", "2": "created", "3": "created"}
    assert first.result.writes == first.result.attempts == 3
    assert first.error is None
    assert (people(box)["2"]["gender"], people(box)["2"]["street"]) == (0, "1 Main St")
    assert people(box)["2"]["roles"][0]["name"] == "Field"
    assert set(outcomes(second).values()) == {"unchanged"}
    assert writes(box, before) == []


def test_a_change_is_one_call_with_what_changed_and_what_is_required(box: Sandbox, world: PushWorld) -> None:
    world.sync("employees", staff(1, 2))
    before = len(box.requests())

    world.sync("employees", sources([employee(1), employee(2, City="Sampleton")]))

    (request,) = writes(box, before)
    assert request.method == "PATCH"
    assert request.body == {
        "city": "Sampleton",
        "first_name": "Nora 2",
        "last_name": "Test",
        "email": "p2@example.com",
    }


def test_the_table_after_a_push_is_what_safetyamp_lists_then(box: Sandbox, world: PushWorld) -> None:
    observed = world.observe("employees")
    pushed = world.push(world.plan("employees", staff(1, 2), observed), observed)

    after = pushed.table_after("safetyamp/users", observed["users"])

    assert after.table == "safetyamp/users"
    assert {row["id"]: row for row in after.records} == {
        row["id"]: row for row in world.observe("employees")["users"].records
    }


def test_a_hire_refused_for_optional_fields_is_tried_once_more_without_exactly_those(
    box: Sandbox, world: PushWorld
) -> None:
    hidden = box.safetyamp.insert("users", first_name="Gone", last_name="Gone", email="gone@x.org", mobile_phone=E164)
    box.safetyamp.hide("users", hidden["id"])  # its number stays taken, and no listing shows why

    pushed = world.sync("employees", sources([employee(1, CellPhone=MOBILE, City="Sampleton")]))

    first, second = writes(box)
    assert (first.status, second.status) == (422, 201)
    assert first.body == second.body | {"mobile_phone": E164}
    assert outcomes(pushed) == {"1": "created"}
    assert notes(pushed, "1")[-1] == "left out, since SafetyAmp refused it: Mobile phone"


def test_a_field_left_out_is_not_sent_again_and_keeps_nothing_else_from_being_sent(
    box: Sandbox, world: PushWorld
) -> None:
    hidden = box.safetyamp.insert("users", first_name="Gone", last_name="Gone", email="gone@x.org", mobile_phone=E164)
    box.safetyamp.hide("users", hidden["id"])
    world.sync("employees", sources([employee(1, CellPhone=MOBILE)]))
    before = len(box.requests())

    still = world.sync("employees", sources([employee(1, CellPhone=MOBILE)]))
    moved = world.sync("employees", sources([employee(1, CellPhone=MOBILE, City="Sampleton")]))
    other = world.sync("employees", sources([employee(1, CellPhone="504-234-9999", City="Sampleton")]))

    assert [*outcomes(still).values(), *outcomes(moved).values(), *outcomes(other).values()] == [
        "unchanged",
        "updated",
        "updated",
    ]
    assert ["mobile_phone" in request.body for request in writes(box, before)] == [False, True]


def test_an_address_that_somebody_unseen_holds_freezes_nobody_and_costs_one_call(
    box: Sandbox, world: PushWorld
) -> None:
    hidden = box.safetyamp.insert("users", first_name="Gone", last_name="Gone", email="gone@x.org")
    box.safetyamp.hide("users", hidden["id"])
    world.sync("employees", staff(1))

    married = world.sync("employees", staff(1, LastName="Married", Email="gone@x.org"))
    before = len(box.requests())
    still = world.sync("employees", staff(1, LastName="Married", Email="gone@x.org"))
    moved = world.sync("employees", staff(1, LastName="Married", Email="gone@x.org", City="Sampleton"))

    assert outcomes(married) | outcomes(moved) == {"1": "updated"}
    assert notes(married, "1")[-1] == "left out, since SafetyAmp refused it: E-mail"
    assert people(box)["1"]["last_name"] == "Married"
    assert (outcomes(still), len(writes(box, before))) == ({"1": "unchanged"}, 1)
    assert people(box)["1"]["email"] == "p1@example.com"


def test_a_hire_refused_for_a_required_field_is_a_failure_that_costs_no_further_call(
    box: Sandbox, world: PushWorld
) -> None:
    hidden = box.safetyamp.insert("users", first_name="Gone", last_name="Gone", email="p1@example.com")
    box.safetyamp.hide("users", hidden["id"])

    first = world.sync("employees", staff(1))
    second = world.sync("employees", staff(1))
    mended = world.sync("employees", staff(1, Email="free@example.com"))

    assert outcomes(first) == outcomes(second) == {"1": "failed"}
    assert rule(first, "1") == "SafetyAmp refused: E-mail"
    assert outcomes(mended) == {"1": "created"}
    assert len(writes(box)) == 2
    assert world.ledger.failures("employees") == {}


def test_what_safetyamp_refused_is_remembered_without_its_value(box: Sandbox, world: PushWorld) -> None:
    fault(box, "status", status=422)

    world.sync("employees", staff(1))

    kept = world.ledger.failures("employees")["1"]
    assert (kept.http_status, kept.attempts, kept.state) == (422, 1, "open")
    assert "p1@example.com" not in repr(kept)


def test_a_field_safetyamp_does_not_take_is_reported_once_and_not_sent_again(box: Sandbox, world: PushWorld) -> None:
    box.options.ignored_fields = {"users": ("city",)}

    first = world.sync("employees", staff(1, City="Sampleton"))
    before = len(box.requests())
    second = world.sync("employees", staff(1, City="Sampleton"))
    third = world.sync("employees", staff(1, City="Elsewhere"))

    assert notes(first, "1")[-1] == "SafetyAmp did not take: City"
    assert outcomes(second) == {"1": "unchanged"}
    assert [note for note in notes(second, "1") if note.startswith("City")] == [
        "City: SafetyAmp did not take this value when it was sent"
    ]
    assert outcomes(third) == {"1": "updated"}
    assert len(writes(box, before)) == 1


def test_a_leaver_whose_access_safetyamp_does_not_take_off_fails_and_is_not_sent_every_hour(
    box: Sandbox, world: PushWorld
) -> None:
    world.sync("employees", staff(1))
    box.options.ignored_fields = {"users": ("system_access",)}
    before = len(box.requests())

    first = world.sync("employees", staff(1, TermDate="2026-01-01"))
    again = world.sync("employees", staff(1, TermDate="2026-01-01"))

    assert len(writes(box, before)) == 1
    assert outcomes(first) == outcomes(again) == {"1": "failed"}
    assert rule(first, "1") == rule(again, "1")


def test_a_leaver_is_switched_off_and_a_rehired_one_on_again(box: Sandbox, world: PushWorld) -> None:
    world.sync("employees", staff(1))
    assert people(box)["1"]["system_access"] is True

    assert outcomes(world.sync("employees", staff(1, TermDate="2026-01-01"))) == {"1": "deactivated"}
    assert people(box)["1"]["system_access"] is False
    assert outcomes(world.sync("employees", staff(1))) == {"1": "reactivated"}
    assert people(box)["1"]["system_access"] is True


def test_a_reference_that_is_missing_when_the_push_comes_blocks_the_record_alone(
    box: Sandbox, world: PushWorld
) -> None:
    observed = world.observe("employees")
    given = sources([employee(1, udEmpTitle="Welder"), employee(2, udEmpTitle=None)])
    titles = world.plan("titles", given, observed)
    plan = world.plan("employees", given, observed, titles)

    pushed = world.push(plan, observed)  # the titles were planned, but never pushed

    assert outcomes(pushed) == {"1": "blocked", "2": "created"}
    assert rule(pushed, "1") == "Title 'Welder' is not in SafetyAmp"
    assert [change.status for change in world.ledger.changes(source_key="1")] == ["blocked"]


def test_what_earlier_pushes_of_the_run_created_or_renamed_is_found(box: Sandbox, world: PushWorld) -> None:
    """A site without a code, found by its name: its code changes the key of its asset type as well."""
    cluster = box.safetyamp.tables()["site_clusters"][-1]
    place = box.safetyamp.insert("sites", name="7. - Works 7.", cluster_id=cluster["id"])
    box.safetyamp.insert("asset_types", **{**asset_type(900, place["id"]), "asset_category_id": 1})
    number, van = employee(1, PRDept=cluster["external_code"]), vehicle("v1", staticAssignedDriver={"id": "d1"})
    given = {
        **sources([number]),
        "viewpoint/recent_jobs": [{"PRCo": 1, "Employee": 1, "JCCo": 1, "Job": "7."}],
        "viewpoint/jobs": [job("7.", cluster["external_code"])],
        "samsara/vehicles": [van],
        "samsara/drivers": [{"id": "d1", "externalIds": {"employeeId": "1"}}],
    }
    observed, plans = world.observe("vehicles"), list[Plan]()
    for entity in ("jobs", "titles", "employees", "vehicles"):
        plans.append(world.plan(entity, given, observed, *plans))

    pushes = [world.push(plan, observed) for plan in plans]

    assert [list(outcomes(pushed).values()) for pushed in pushes] == [
        ["updated"],
        ["created"],
        ["created"],
        ["created"],
    ]
    (asset,) = box.safetyamp.tables()["assets"]
    assert (asset["site_id"], asset["asset_type_id"]) == (place["id"], 900)
    assert asset["current_user_id"] == people(box)["1"]["id"]


def test_access_is_taken_off_first_then_people_are_hired_then_moved_then_corrected(
    box: Sandbox, world: PushWorld
) -> None:
    world.sync("employees", staff(1, 2, 4))
    (elsewhere,) = [row["id"] for row in box.safetyamp.tables()["sites"] if row["ext_id"] == "YARD-SOUTH"][:1]
    box.safetyamp.edit("users", people(box)["2"]["id"], home_site_id=elsewhere)
    before = len(box.requests())

    world.sync(
        "employees",
        sources([employee(1, City="Sampleton"), employee(2), employee(3), employee(4, TermDate="2026-01-01")]),
        sync_in_flight=1,
    )

    touched = [
        name
        for request in writes(box, before)
        for name in ("system_access", "home_site_id", "city")
        if name in request.body
    ]
    assert [request.method for request in writes(box, before)] == ["PATCH", "POST", "PATCH", "PATCH"]
    assert touched == ["system_access", "system_access", "home_site_id", "home_site_id", "city"]


def test_several_calls_are_in_flight_and_never_more_than_set(box: Sandbox, world: PushWorld) -> None:
    fault(box, "slow_answer", delay=0.3, times=None)

    world.sync("employees", staff(*range(1, 9)), sync_in_flight=4)

    arrived = [call.at for call in writes(box)]
    assert min(later - at for at, later in pairwise(arrived)) < 0.3
    assert min(fifth - first for first, fifth in zip(arrived, arrived[4:], strict=False)) >= 0.3
    assert len(people(box)) == 8


def test_supervisors_are_there_before_those_they_lead_and_rings_are_closed_in_a_second_wave(
    box: Sandbox, world: PushWorld
) -> None:
    leads = {1: 2, 2: 1, 3: 1}
    accounts = [account(number, manager={"employeeId": str(boss)}) for number, boss in leads.items()]
    given = sources([employee(number) for number in leads], accounts)

    pushed = world.sync("employees", given)

    users = people(box)
    assert {key: row["current_supervisor_id"] for key, row in users.items()} == {
        "1": users["2"]["id"],
        "2": users["1"]["id"],
        "3": users["1"]["id"],
    }
    assert set(outcomes(pushed).values()) == {"created"}
    assert (pushed.result.attempts, len(writes(box))) == (4, 4)
    assert world.sync("employees", given).result.attempts == 0


def test_whom_nobody_leads_because_the_supervisor_was_refused_is_blocked_then_hired(
    box: Sandbox, world: PushWorld
) -> None:
    fault(box, "status", status=422)  # the supervisor's, in the first wave
    given = sources([employee(1), employee(2)], [account(1, manager={"employeeId": "2"})])

    first, second = world.sync("employees", given), world.sync("employees", given)

    assert outcomes(first) == {"1": "blocked", "2": "failed"}
    assert outcomes(second) == {"1": "created", "2": "failed"}
