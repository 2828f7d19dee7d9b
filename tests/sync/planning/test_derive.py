"""One verdict per record and why: rejected, held, failed, unchanged, and what is remembered of the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_worlds import (
    Refusal,
    Remembered,
    account,
    change,
    company,
    config,
    employee,
    pairs,
    plan_of,
    snapshot,
    user,
    verdict,
    verdicts,
)

from safetyamp_pipelines.sync.entities.employees import SPEC
from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.errors import SnapshotError
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.remembered import Memory
from safetyamp_pipelines.sync.planning.derive import plan_entity
from safetyamp_pipelines.sync.planning.difference import offered
from safetyamp_pipelines.sync.rules.config import SyncConfig

FIRED = "2026-01-31 00:00:00"


def test_a_plan_names_the_snapshots_it_was_made_from_and_when_safetyamp_was_read() -> None:
    plan = plan_of("titles", company())

    assert plan.as_of == "2026-11-20T10:00:00Z"
    assert plan.inputs == {
        name: snapshot(name, rows).certificate.content_hash
        for name, rows in {
            "viewpoint/employees": [],
            "safetyamp_observed/user_titles": company()["user_titles"],
        }.items()
    }


def test_another_configuration_gives_another_plan_hash() -> None:
    world = company()

    assert plan_of("titles", world).hash != plan_of("titles", world, rules=config(companies=[1, 2])).hash


@pytest.mark.parametrize(
    "rules",
    [
        {"schedule": {"freezes": [{"starts": "Tue 18:00", "ends": "Wed 06:00", "reason": "payroll"}]}},
        {"target": {"refusals_in_a_row": 5}},
    ],
)
def test_when_and_how_a_plan_is_pushed_makes_no_other_plan_so_that_approvals_stand(rules) -> None:
    assert plan_of("titles", company()).hash == plan_of("titles", company(), rules=config(**rules)).hash


def test_a_plan_without_one_of_its_snapshots_is_refused() -> None:
    with pytest.raises(SnapshotError, match="the plan needs this snapshot"):
        plan_entity(SPEC, Inputs({}, references({}), Memory(), SyncConfig()), config())


def test_a_record_in_step_is_unchanged_and_remembered_with_what_both_sides_say() -> None:
    world = company(viewpoint__employees=[employee(5)], user_titles=[{"id": 7, "name": "FITTER"}])

    plan = plan_of("titles", world)

    assert verdicts(plan) == {"fitter": "unchanged"}
    assert [(found.source_key, found.target_id, found.values) for found in plan.agreed] == [
        ("fitter", 7, {"name": "Fitter"})
    ]


def test_what_the_ledger_knows_already_is_not_written_to_it_again() -> None:
    world = company(viewpoint__employees=[employee(5)])

    assert plan_of("titles", world, links={"fitter": Remembered(7, {"name": "Fitter"})}).agreed == ()
    assert plan_of("titles", world, links={"fitter": Remembered(7, {"name": "Fitter"}, {"name": "x"})}).agreed != ()


def test_a_refused_change_is_not_sent_again_until_something_about_it_changes() -> None:
    world = company(viewpoint__employees=[employee(5)])
    refused = Refusal(change(plan_of("employees", world), "5").payload_hash)

    again = plan_of("employees", world, failures={"5": refused})
    mended = plan_of(
        "employees", company(viewpoint__employees=[employee(5, Email="new@example.com")]), failures={"5": refused}
    )

    retried = plan_of("employees", world, failures={"5": replace(refused, state="retry")})

    assert verdicts(again) == {"5": "failed"}
    assert again.changes == ()
    assert verdicts(mended) == verdicts(retried) == {"5": "created"}


def test_a_hire_is_not_kept_waiting_by_a_supervisor_whose_own_creation_was_refused() -> None:
    staff = [account(5, manager={"employeeId": "9"})]
    world = company(viewpoint__employees=[employee(5), employee(9)], entra__users=staff)
    refused = Refusal(change(plan_of("employees", world), "9").payload_hash)

    plan = plan_of("employees", world, failures={"9": refused})

    assert verdicts(plan) == {"5": "created", "9": "failed"}
    assert "current_supervisor_id" not in pairs(plan, "5")
    assert verdict(plan, "5").notes == ("Supervisor '9' is not in SafetyAmp, and no plan creates it",)


def test_a_required_reference_that_leads_nowhere_rejects_and_an_optional_one_is_left_out() -> None:
    world = company(viewpoint__employees=[employee(5)], user_titles=[], sites=[])

    plan = plan_of("employees", world)

    assert verdict(plan, "5").outcome == "rejected"
    assert any("has no home office" in reason for reason in verdict(plan, "5").reasons)
    assert verdict(plan, "5").notes == ("Title 'Fitter' is not in SafetyAmp, and no plan creates it",)


def test_a_leaver_loses_access_once() -> None:
    gone = [employee(5, TermDate=FIRED)]

    on = plan_of("employees", company(viewpoint__employees=gone, users=[user("u5", "5")]))
    off = plan_of("employees", company(viewpoint__employees=gone, users=[user("u5", "5", system_access=False)]))

    assert pairs(on, "5") == {"system_access": (1, 0)}
    assert change(on, "5").action == "deactivate"
    assert verdicts(off) == {"5": "out_of_scope"}
    assert off.agreed[0].values == {"system_access": 0}


def test_a_leaver_with_two_accounts_waits_for_a_person_as_long_as_one_is_on() -> None:
    gone = [employee(5, TermDate=FIRED)]
    on, off = user("u5", "5"), user("u6", "5", system_access=False)

    held = plan_of("employees", company(viewpoint__employees=gone, users=[on, off]))
    over = plan_of("employees", company(viewpoint__employees=gone, users=[{**on, "system_access": False}, off]))

    assert (held.changes, verdicts(held), verdicts(over)) == ((), {"5": "held"}, {"5": "out_of_scope"})
    assert verdict(held, "5").rule == (
        "employment ended 2026-01-31, and access is on: 2 records in SafetyAmp have this emp_id, u5 and u6: correct "
        "one of them there, or say which is meant: `safetyamp link employees 5 ID --reason …`, or take it off by hand"
    )
    assert held.findings == ()


def test_a_leaver_whose_access_safetyamp_did_not_take_off_is_a_failure_and_not_sent_every_hour() -> None:
    world = company(viewpoint__employees=[employee(5, TermDate=FIRED)], users=[user("u5", "5")])

    plan = plan_of("employees", world, links={"5": Remembered("u5", {}, {"system_access": offered(0)})})

    assert plan.changes == ()
    assert verdict(plan, "5").outcome == "failed"
    assert "did not take access off" in verdict(plan, "5").rule


def test_a_rehired_person_is_switched_on_again() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("u5", "5", system_access=False)])

    plan = plan_of("employees", world, links={"5": Remembered("u5", {"system_access": 0})})

    assert change(plan, "5").action == "reactivate"
    assert pairs(plan, "5")["system_access"] == (0, 1)


def test_a_person_switched_off_by_hand_is_held_and_nothing_else_of_them_is_changed() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("u5", "5", system_access=False)])

    plan = plan_of("employees", world, links={"5": Remembered("u5", {"system_access": 1})})

    assert verdicts(plan) == {"5": "held"}
    assert "somebody switched this account off" in verdict(plan, "5").rule
    assert plan.changes == ()


@pytest.mark.parametrize(("allowed", "outcome"), [(True, "reactivated"), (False, "held")])
def test_an_account_found_off_without_history_follows_the_configuration(allowed: bool, outcome: str) -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("u5", "5", system_access=False)])

    plan = plan_of("employees", world, rules=config(employees={"reactivate_without_history": allowed}))

    assert verdicts(plan) == {"5": outcome}


def test_a_policy_of_the_configuration_changes_who_decides_a_field() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("u5", "5", first_name="Eleonora")])
    kept = config(employees={"policies": {"first_name": "initial"}})

    assert pairs(plan_of("employees", world), "5")["first_name"] == ("Eleonora", "Nora 5")
    assert "first_name" not in pairs(plan_of("employees", world, rules=kept), "5")


def test_drift_under_merge_is_reported_with_the_record_and_left_alone() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("u5", "5", first_name="Eleonora")])
    merge = config(employees={"policies": {"first_name": "merge"}})

    plan = plan_of("employees", world, rules=merge, links={"5": Remembered("u5", {"first_name": "Nora 5"})})

    assert "first_name" not in pairs(plan, "5")
    drift = "First name: somebody changed it in SafetyAmp; that edit stands (policy merge)"
    assert [(found.key, found.text) for found in plan.findings if found.kind == "drift"] == [("5", drift)]
    assert drift in verdict(plan, "5").notes


def test_drift_that_the_source_overrides_is_told_with_the_change() -> None:
    edited = user("u5", "5", first_name="Eleonora", email="p5@example.com", city="Lafitte")
    world = company(viewpoint__employees=[employee(5, City="Houma")], users=[edited])

    plan = plan_of("employees", world, links={"5": Remembered("u5", {"first_name": "Nora 5", "city": "Houma"})})

    told = [
        f"{label}: somebody changed it in SafetyAmp; the source wins (policy source)"
        for label in ("First name", "City")
    ]
    assert verdict(plan, "5").outcome == "updated"
    assert verdict(plan, "5").notes == tuple(told)
    assert [found.text for found in plan.findings if found.kind == "drift"] == ["; ".join(told)]


def test_a_leaver_switched_on_by_hand_is_drift_and_switched_off_again() -> None:
    world = company(viewpoint__employees=[employee(5, TermDate=FIRED)], users=[user("u5", "5")])

    plan = plan_of("employees", world, links={"5": Remembered("u5", {"system_access": 0})})

    assert verdicts(plan) == {"5": "deactivated"}
    assert verdict(plan, "5").notes == ("Access: somebody changed it in SafetyAmp; the source wins (policy source)",)


def test_nobody_wins_while_a_record_is_held() -> None:
    edited = user("u5", "5", system_access=False, first_name="Eleonora")
    world = company(viewpoint__employees=[employee(5)], users=[edited])

    plan = plan_of("employees", world, links={"5": Remembered("u5", {"system_access": 1, "first_name": "Nora 5"})})

    assert verdicts(plan) == {"5": "held"}
    assert all(
        note.endswith("somebody changed it in SafetyAmp; the record is held") for note in verdict(plan, "5").notes
    )


def test_the_cause_of_an_update_names_the_fields_that_differ() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[user("u5", "5")])

    assert change(plan_of("employees", world), "5").cause.startswith("differs: First name, E-mail, Hire date")
