"""What only people can decide: every held record asks, an answer is for exactly those values, and the next plan goes by
it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from small_worlds import (
    READ_AT,
    Remembered,
    account,
    company,
    config,
    employee,
    pairs,
    plan_of,
    user,
    verdict,
    verdicts,
)

from safetyamp_pipelines.operations.decisions import ways_out
from safetyamp_pipelines.sync.model.plan import Action, Plan
from safetyamp_pipelines.sync.model.remembered import Choice, Decision

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
MERGED = config(employees={"policies": {"city": "merge"}})


def decided(choice: Choice, about: str, until: datetime | None = None) -> dict[str, Decision]:
    said: dict[str, Any] = {"who": "Kim", "login": "kim", "reason": "HR says so", "at": NOW, "until": until}
    ended: dict[str, Any] = {"ended_at": None, "ended": ""}
    return {
        about: Decision(entity="employees", source_key="5", choice=choice, about=about, target_id=None, **said, **ended)
    }


def switched_off(decisions: dict[str, Decision] | None = None, **columns: Any) -> Plan:
    """Somebody switched the account off by hand; the source has another city too."""
    world = company(
        viewpoint__employees=[employee(5, City="Houma", **columns)],
        users=[user("u5", "5", system_access=False, city="Austin")],
        entra__users=[account("nobody")],
    )
    links = {"5": Remembered("u5", {"system_access": 1})}
    return plan_of("employees", world, links=links, decisions=decisions, approved=())


def contested(decisions: dict[str, Decision] | None = None, city: str = "Houma") -> Plan:
    """The city was changed in the source and in SafetyAmp."""
    world = company(
        viewpoint__employees=[employee(5, City=city)],
        users=[user("u5", "5", city="Austin")],
        entra__users=[account("nobody")],
    )
    links = {"5": Remembered("u5", {"city": "Dallas"})}
    return plan_of("employees", world, rules=MERGED, links=links, decisions=decisions, approved=())


def test_an_account_switched_off_by_hand_is_as_was_decided() -> None:
    (question,) = switched_off().questions
    assert verdict(switched_off(), "5").outcome == "held"
    assert dict(question.fields) == {"system_access": (0, 1)}
    assert question.choices == ("source", "keep", "leave")

    on = switched_off(decided("source", question.hash))
    off = switched_off(decided("keep", question.hash))
    left = switched_off(decided("leave", question.hash))

    assert pairs(on, "5")["system_access"] == (0, 1)
    assert [change.action for change in on.changes] == [Action.REACTIVATE]
    assert "system_access" not in pairs(off, "5")
    assert pairs(off, "5")["city"] == ("Austin", "Houma"), "all else of the record goes on"
    assert "as Kim decided: HR says so" in " ".join(verdict(off, "5").notes)
    assert (left.changes, verdicts(left)["5"]) == ((), "skipped")
    assert [(plan.questions[0].answer, ways_out(plan, "5")) for plan in (on, left)] == [("source", []), ("leave", [])]


def test_a_field_changed_on_both_sides_is_as_was_decided_and_asked_again_once_a_value_changes() -> None:
    (question,) = contested().questions
    assert verdicts(contested())["5"] != "unchanged"
    assert dict(question.fields) == {"city": ("Austin", "Houma")}

    taken, kept = contested(decided("source", question.hash)), contested(decided("keep", question.hash))
    other = contested(decided("keep", question.hash), city="Tulsa")

    assert pairs(taken, "5")["city"] == ("Austin", "Houma")
    assert "city" not in pairs(kept, "5")
    assert not any("a person must decide" in note for plan in (taken, kept) for note in verdict(plan, "5").notes)
    assert (other.questions[0].answer, dict(other.questions[0].fields)) == ("", {"city": ("Austin", "Tulsa")})


def test_which_of_several_records_it_is_is_asked_with_each_of_them() -> None:
    world = company(
        viewpoint__employees=[employee(5, TermDate="2026-01-31")],
        users=[user("u5", "5"), user("v5", "05")],
        entra__users=[account("nobody")],
    )
    plan = plan_of("employees", world, approved=())
    (question,) = plan.questions
    assert (verdicts(plan)["5"], question.candidates, question.choices) == ("held", ("u5", "v5"), ("link", "leave"))
    assert [way.partition(": ")[2] for way in ways_out(plan, "5")] == [
        "`safetyamp link employee 5 ID`",
        "`safetyamp decide employee 5 leave`",
    ]

    left = plan_of("employees", world, approved=(), decisions=decided("leave", question.hash))
    linked = plan_of("employees", world, approved=(), links={"5": Remembered("u5")})
    gone = plan_of("employees", world, approved=(), links={"5": Remembered("gone")})

    assert verdicts(left)["5"] == "skipped"
    assert [(change.action, change.target_id) for change in linked.changes] == [(Action.DEACTIVATE, "u5")]
    assert gone.questions == () or gone.questions[0].choices == ("link", "leave")


def test_a_record_that_safetyamp_lists_no_more_asks_what_it_is_now() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[], entra__users=[account("nobody")])
    plan = plan_of("employees", world, approved=(), links={"5": Remembered("gone")})

    assert verdicts(plan)["5"] == "held"
    assert ways_out(plan, "5")


@pytest.mark.parametrize(("until", "how"), [(None, "refused"), (NOW, "put off until 2026-11-20 10:00 UTC")])
def test_what_a_guard_holds_and_a_person_refused_or_put_off_asks_nobody_again(until: datetime | None, how: str) -> None:
    rows = [employee(n, TermDate="2026-01-31" if n <= 13 else None) for n in range(1, 61)]
    users = [user(f"u{n}", str(n), first_name=f"Nora {n}", email=f"p{n}@example.com") for n in range(1, 61)]
    world = company(viewpoint__employees=rows, users=users, entra__users=[account("nobody")])
    rules = config(guards={"concentration": {"share": 1.0}})
    links = {str(n): Remembered(f"u{n}") for n in range(1, 61)}
    before = plan_of("employees", world, links=links, rules=rules, approved=())
    assert before.held_by() == {"deactivations": 13}
    assert [way.split("`")[1].split()[1] for way in ways_out(before, "1")] == ["approve", "refuse", "later"]

    said = [decided("refuse", held.change.hash, until) for held in before.held]
    some = plan_of("employees", world, links=links, rules=rules, approved=(), decisions=said[0])
    every = {about: one for each in said for about, one in each.items()}
    after = plan_of("employees", world, links=links, rules=rules, approved=(), decisions=every)

    key = before.held[0].change.source_key
    assert (some.held_by(), verdicts(some)[key]) == ({"deactivations": 12}, "skipped")
    assert verdict(some, key).rule == f"deactivations: {how}, as Kim decided: HR says so"
    assert key not in some.refused[0].keys
    assert (after.held, after.refused, len(after.set_aside)) == ((), (), 13)
    assert not any(change.action is Action.DEACTIVATE for change in after.changes)
    # and also when she is the only one left, and no guard holds anything
    rows = [{**row, "TermDate": row["TermDate"] if str(row["Employee"]) == key else None} for row in rows]
    alone = {**world, "viewpoint/employees": rows}
    last = plan_of("employees", alone, links=links, rules=rules, approved=(), decisions=said[0])
    assert ("deactivated" in verdicts(last).values(), last.held, verdicts(last)[key]) == (False, (), "skipped")
    assert verdict(last, key).rule == f"decision: {how}, as Kim decided: HR says so"
    assert replace(after).to_bytes() == Plan.from_bytes(after.to_bytes()).to_bytes()


def test_a_value_that_swings_to_and_fro_is_held_and_the_rest_of_the_record_goes() -> None:
    world = company(
        viewpoint__employees=[employee(5, City="Houma", Address="2 New Street")],
        users=[user("u5", "5", city="Austin", street="1 Main St")],
        entra__users=[account("nobody")],
    )
    swings = {"5": {"city": frozenset({frozenset({'"Austin"', '"Houma"'})})}}

    def planned(decisions: dict[str, Decision] | None = None, **known: Any) -> Plan:
        links = {"5": Remembered("u5", {"city": "Austin"})}
        return plan_of("employees", world, links=links, decisions=decisions, approved=(), **known)

    free, held = planned(), planned(swings=swings)
    (question,) = held.questions
    taken = planned(decided("source", question.hash), swings=swings)
    kept = planned(decided("keep", question.hash), swings=swings)

    assert pairs(free, "5")["city"] == ("Austin", "Houma")
    assert "city" not in pairs(held, "5")
    assert pairs(held, "5")["street"] == ("1 Main St", "2 New Street")
    assert question.text == "swings to and fro between two values, a person must decide: City"
    assert [way.split("`")[1].split()[-1] for way in ways_out(held, "5")] == ["source", "keep", "leave"]
    assert any("to and fro" in found.text for found in held.findings)
    assert pairs(taken, "5")["city"] == ("Austin", "Houma")
    assert "city" not in pairs(kept, "5")
    assert (kept.questions[0].answer, ways_out(kept, "5")) == ("keep", [])


def test_what_another_run_created_meanwhile_is_left_to_the_next_run_and_is_no_question() -> None:
    world = company(viewpoint__employees=[employee(5)], users=[], entra__users=[account("nobody")])
    now = datetime.fromisoformat(READ_AT)
    other, gone = Remembered("new", {}, {}, now), Remembered("gone", {}, {}, now - timedelta(hours=1))

    left = plan_of("employees", world, links={"5": other}, approved=())
    held = plan_of("employees", world, links={"5": gone}, approved=())

    assert (verdicts(left)["5"], left.changes, left.questions) == ("skipped", (), ())
    assert "left to the next run" in verdict(left, "5").rule
    assert verdicts(held)["5"] == "held"
