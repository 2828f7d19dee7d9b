"""Refusals from end to end: what SafetyAmp says no to costs no further call until what it hung on has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from push_world import EMPTY, HOME, Clock, PushWorld, fault, notes, outcomes, people, sources, staff, writes
from small_worlds import employee

from safetyamp_pipelines.operations.push_step import Pushed
from safetyamp_pipelines.sandbox import Sandbox, TargetOptions

MOBILE, E164 = "504-234-5678", "+15042345678"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(EMPTY, TargetOptions(calls=100_000)) as box:
        yield box


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(box: Sandbox, clock: Clock) -> Iterator[PushWorld]:
    world = PushWorld(box.environment, clock)
    yield world
    world.close()


def hidden_holder(box: Sandbox, **unique: str) -> None:
    """A deleted account whose unique values stay taken, and that no listing shows."""
    row = box.safetyamp.insert("users", **{"first_name": "Gone", "last_name": "Gone", "email": "gone@x.org", **unique})
    box.safetyamp.hide("users", row["id"])


def verdict_of(pushed: Pushed, key: str = "1") -> str:
    return outcomes(pushed)[key]


def test_a_duplicate_address_is_not_tried_again_until_its_holder_changes(box: Sandbox, world: PushWorld) -> None:
    # given somebody who gets the address of employee 1 after SafetyAmp was read
    observed = world.observe("employees")
    plan = world.plan("employees", staff(1), observed)
    holder = box.safetyamp.insert("users", first_name="Eve", last_name="Hand", email="P1@example.com", emp_id="A-7")

    # when the hire is pushed, refused, and synced twice more
    first = world.push(plan, observed)
    sent = len(writes(box))
    again = [world.sync("employees", staff(1)) for _ in range(2)]

    # then only the first cost a call; the others tell who has the address
    assert (verdict_of(first), sent, len(writes(box))) == ("failed", 1, 1)
    assert "duplicate" in notes(first, "1")[-1]
    assert [verdict_of(pushed) for pushed in again] == ["rejected", "rejected"]
    assert again[0].result.verdicts[0].reasons == ("E-mail is taken: A-7 in SafetyAmp has the same",)

    # and when the holder gets another address, the hire is made at once, and once
    box.safetyamp.edit("users", holder["id"], email="eve@example.com")
    made, after = world.sync("employees", staff(1)), world.sync("employees", staff(1))
    assert (verdict_of(made), verdict_of(after)) == ("created", "unchanged")
    assert [request.status for request in writes(box)] == [422, 201]
    assert (people(box)["1"]["email"], people(box)["A-7"]["email"]) == ("p1@example.com", "eve@example.com")
    assert world.ledger.failures("employees") == {}


def test_a_duplicate_that_nobody_shows_waits_for_its_expiry_or_a_person(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    hidden_holder(box, email="p1@example.com")
    for _ in range(3):
        assert verdict_of(world.sync("employees", staff(1))) == "failed"
    (facts,) = [failure.fields["email"] for failure in world.ledger.failures("employees").values()]
    assert facts["category"] == "duplicate"
    assert facts["suggestion"].endswith("correct mail of employee 1 in Entra or Email in Viewpoint")
    assert len(writes(box)) == 1

    world.ledger.mark_failure("employees", "1", "retry")
    world.sync("employees", staff(1))
    world.sync("employees", staff(1))
    assert len(writes(box)) == 2

    clock.ahead = timedelta(days=7, minutes=1)
    world.sync("employees", staff(1))
    world.sync("employees", staff(1))
    assert len(writes(box)) == 3


def test_a_refusal_that_expired_is_forgotten_when_the_record_is_taken_and_a_later_one_is_the_first(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    for _ in range(2):
        fault(box, "status", status=422)
        world.sync("employees", staff(1))
        clock.ahead += timedelta(days=7, minutes=1)
    assert verdict_of(world.sync("employees", staff(1))) == "created"

    fault(box, "status", "PATCH", status=422)
    world.sync("employees", staff(1, City="Sampleton"))

    assert world.ledger.failures("employees")["1"].attempts == 1


def test_a_dismissed_refusal_is_silent_beyond_its_expiry_until_the_record_changes(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    hidden_holder(box, email="p1@example.com")
    world.sync("employees", staff(1))
    world.ledger.mark_failure("employees", "1", "dismissed")

    clock.ahead = timedelta(days=30)
    silent = world.sync("employees", staff(1))
    mended = world.sync("employees", staff(1, Email="free@example.com"))

    assert (verdict_of(silent), silent.result.attempts) == ("skipped", 0)
    assert "a person dismissed it" in silent.result.verdicts[0].rule
    assert verdict_of(mended) == "created"


def test_a_field_left_out_is_a_failure_with_a_suggestion_until_safetyamp_takes_it(
    box: Sandbox, world: PushWorld
) -> None:
    hidden_holder(box, mobile_phone=E164)
    given = sources([employee(1, CellPhone=MOBILE)])

    hired = world.sync("employees", given)
    still = world.sync("employees", given)

    (failure,) = world.ledger.failures("employees").values()
    assert (verdict_of(hired), verdict_of(still), still.result.attempts) == ("created", "unchanged", 0)
    assert (failure.fields["mobile_phone"]["category"], failure.state) == ("duplicate", "open")
    assert "CellPhone or Phone in Viewpoint" in notes(still, "1")[-1]
    assert E164 not in repr(failure)

    # when the number is free and a person has it tried again
    box.options.hidden_users_reserve = False
    world.ledger.mark_failure("employees", "1", "retry")
    taken = world.sync("employees", given)

    assert (verdict_of(taken), people(box)["1"]["mobile_phone"]) == ("updated", E164)
    assert world.ledger.failures("employees") == {}


def test_an_update_refused_for_an_optional_field_brings_the_others_in_the_same_run(
    box: Sandbox, world: PushWorld
) -> None:
    world.sync("employees", staff(1))
    hidden_holder(box, mobile_phone=E164)
    given = sources([employee(1, CellPhone=MOBILE, City="Sampleton")])
    before = len(box.requests())

    moved, after = world.sync("employees", given), world.sync("employees", given)

    assert (verdict_of(moved), verdict_of(after)) == ("updated", "unchanged")
    assert [request.status for request in writes(box, before)] == [422, 200]
    assert notes(moved, "1")[-1] == "left out, since SafetyAmp refused it: Mobile phone"
    assert (people(box)["1"]["city"], people(box)["1"]["mobile_phone"]) == ("Sampleton", None)


def test_a_refused_field_alone_fails_once_and_is_left_out_from_then_on(box: Sandbox, world: PushWorld) -> None:
    world.sync("employees", staff(1))
    hidden_holder(box, mobile_phone=E164)
    before = len(box.requests())

    told = [world.sync("employees", sources([employee(1, CellPhone=MOBILE)])) for _ in range(2)]
    moved = world.sync("employees", sources([employee(1, CellPhone=MOBILE, City="Sampleton")]))

    assert [verdict_of(pushed) for pushed in [*told, moved]] == ["failed", "unchanged", "updated"]
    assert ["mobile_phone" in request.body for request in writes(box, before)] == [True, False]
    assert set(world.ledger.failures("employees")) == {"1"}


def test_leavers_whose_access_was_refused_fail_until_it_is_tried_again(box: Sandbox, world: PushWorld) -> None:
    world.sync("employees", staff(1))
    fault(box, "status", "PATCH", status=422)
    gone = staff(1, TermDate="2026-01-01")

    told = [world.sync("employees", gone) for _ in range(2)]
    world.ledger.mark_failure("employees", "1", "retry")
    last = world.sync("employees", gone)

    assert [verdict_of(pushed) for pushed in [*told, last]] == ["failed", "failed", "deactivated"]
    assert people(box)["1"]["system_access"] is False


def test_a_field_that_safetyamp_ignored_is_offered_again_after_a_week_and_not_before(
    box: Sandbox, world: PushWorld, clock: Clock
) -> None:
    box.options.ignored_fields = {"users": ("city",)}
    given = staff(1, City="Sampleton")
    world.sync("employees", given)

    def writes_on(day: int) -> int:
        clock.ahead, before = timedelta(days=day, minutes=1), len(box.requests())
        world.sync("employees", given)
        world.sync("employees", given)
        return len(writes(box, before))

    assert [writes_on(day) for day in (1, 6, 7, 8, 13)] == [0, 0, 1, 0, 0]
    box.options.ignored_fields = {}
    assert writes_on(14) == 1
    assert people(box)["1"]["city"] == "Sampleton"


def under(box: Sandbox, folder: Path, rules: Mapping[str, Any]) -> PushWorld:
    """A world with rules of its own."""
    path = folder / "sync.yaml"
    path.write_text(json.dumps(rules))  # JSON is YAML
    return PushWorld({**box.environment, "SYNC_CONFIG": str(path)})


def test_a_configuration_that_maps_the_entity_otherwise_is_a_reason_to_try_again_and_a_freeze_is_none(
    box: Sandbox, world: PushWorld, tmp_path
) -> None:
    hidden_holder(box, email="p1@example.com")
    world.sync("employees", staff(1))
    rules = world.settings.sync_config().model_dump(mode="json")

    def synced_under(**sections: object) -> int:
        before = len(box.requests())
        with closing(under(box, tmp_path, {**rules, **sections})) as other:
            other.sync("employees", staff(1))
        return len(writes(box, before))

    assert synced_under(schedule={**rules["schedule"], "quarantine_after": 5}) == 0
    assert synced_under(guards={**rules["guards"], "shrunk_source": 0.5}) == 0
    assert synced_under(employees={**rules["employees"], "default_phone_region": "CA"}) == 1


# People's accounts


def test_people_with_a_protected_role_are_left_exactly_as_they_are(box: Sandbox, world: PushWorld, tmp_path) -> None:
    admin = next(role["id"] for role in box.safetyamp.tables()["roles"] if role["name"] == "Company Administrator")
    home = next(row["id"] for row in box.safetyamp.tables()["sites"] if row["ext_id"] == HOME)
    known = {"first_name": "Ada", "last_name": "Min", "home_site_id": home}
    box.safetyamp.insert("users", **known, email="ada@example.com", emp_id="1", roles=[admin])
    box.safetyamp.insert("users", **known, email="p2@example.com", roles=[admin])  # employee 2, without a number
    before = box.safetyamp.tables()["users"]

    rules = world.settings.sync_config().model_dump(mode="json")
    rules["employees"]["protected_roles"] = ["Company Administrator"]
    with closing(under(box, tmp_path, rules)) as guarded:
        pushed = guarded.sync("employees", sources([employee(1, TermDate="2026-01-01"), employee(2)]))

    assert set(outcomes(pushed).values()) == {"skipped"}
    assert (writes(box), box.safetyamp.tables()["users"]) == ([], before)


def test_drift_is_told_with_the_push_that_ends_it(box: Sandbox, world: PushWorld) -> None:
    world.sync("employees", staff(1, City="Sampleton"))
    box.safetyamp.edit("users", people(box)["1"]["id"], city="Elsewhere")

    pushed = world.sync("employees", staff(1, City="Sampleton"))

    assert verdict_of(pushed) == "updated"
    assert notes(pushed, "1")[-1] == "City: somebody changed it in SafetyAmp; the source wins (policy source)"
    assert people(box)["1"]["city"] == "Sampleton"


def test_a_forgotten_link_is_recognised_anew(box: Sandbox, world: PushWorld) -> None:
    world.sync("employees", staff(1))
    own = people(box)["1"]["id"]
    world.ledger.unlink("employees", "1", "Kim", "to see")

    pushed = world.sync("employees", staff(1))

    assert (verdict_of(pushed), pushed.result.attempts) == ("unchanged", 0)
    assert pushed.result.verdicts[0].rule == "recognised by emp_id"
    assert world.ledger.links("employees")["1"].target_id == own
