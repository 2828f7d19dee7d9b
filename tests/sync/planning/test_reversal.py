"""The inverse of a session: field by field, only where SafetyAmp still says what was written, and never a deletion."""

from __future__ import annotations

from typing import Any

from ledger_entries import change_of
from small_worlds import READ_AT, Remembered, World, company, config, observed_in, user, verdict, verdicts

from safetyamp_pipelines.sync.entities.registry import BY_NAME, references
from safetyamp_pipelines.sync.model.plan import Change, Plan
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.planning.reversal import Ground, plan_undo
from safetyamp_pipelines.sync.rules.config import SyncConfig


def wrote(
    source_key: str, before: Any, after: Any, target_id: Id | None = None, action: str = "update", natural_key: str = ""
) -> Change:
    """A change as the ledger gives it back."""
    return change_of(source_key, after, before, action=action, target_id=target_id, natural_key=natural_key)


def undo_of(world: World, *done: Change, entity: str = "employees", rules: SyncConfig | None = None) -> Plan:
    """The plan to take back what session 7 wrote, everybody it wrote being linked."""
    links = {change.source_key: Remembered(change.target_id, change.after()) for change in done if change.target_id}
    ground = Ground(references(observed_in(world)), links, READ_AT, {"safetyamp_observed/users": "hash"})
    return plan_undo(BY_NAME[entity], 7, done, ground, rules or config())


def fields(plan: Plan) -> dict[str, dict[str, tuple[Any, Any]]]:
    return {change.source_key: dict(change.fields) for change in plan.changes}


def test_what_stands_as_it_was_written_is_set_back() -> None:
    world = company(users=[user("u1", "1", first_name="New", city="B")])

    plan = undo_of(world, wrote("1", {"first_name": "Old", "city": None}, {"first_name": "New", "city": "B"}, "u1"))

    assert fields(plan) == {"1": {"first_name": ("New", "Old"), "city": ("B", None)}}
    (change,) = plan.changes
    assert (change.action, change.target_id, change.cause) == ("update", "u1", "takes back session 7")
    assert (plan.as_of, plan.source_rows, plan.only, plan.refused) == (READ_AT, {}, ("1",), ())


def test_what_changed_since_or_is_already_as_before_is_left() -> None:
    world = company(users=[user("u1", "1", first_name="By hand", city="A"), user("u2", "2", city="A")])
    written = {"first_name": "New", "city": "B"}

    plan = undo_of(
        world,
        wrote("1", {"first_name": "Old", "city": "A"}, written, "u1"),
        wrote("2", {"city": "A"}, {"city": "B"}, "u2"),
        wrote("3", {"city": "A"}, {"city": "B"}, "gone"),
    )

    assert plan.changes == ()
    assert verdicts(plan) == {"1": "held", "2": "unchanged", "3": "held"}
    assert verdict(plan, "1").reasons == ("First name: changed since, left as it is",)
    assert verdict(plan, "3").reasons == ("SafetyAmp does not list it any more",)


def test_two_changes_of_one_record_are_taken_back_as_one() -> None:
    world = company(users=[user("u1", "1", city="C")])

    plan = undo_of(
        world, wrote("1", {"city": "A"}, {"city": "B"}, "u1"), wrote("1", {"city": "B"}, {"city": "C"}, "u1")
    )

    assert fields(plan) == {"1": {"city": ("C", "A")}}


def test_a_deactivation_becomes_a_reactivation_and_the_other_way_round() -> None:
    world = company(users=[user("u1", "1", system_access=False), user("u2", "2")])

    plan = undo_of(
        world,
        wrote("1", {"system_access": 1}, {"system_access": 0}, "u1", "deactivate"),
        wrote("2", {"system_access": 0}, {"system_access": 1}, "u2", "reactivate"),
    )

    assert {change.source_key: str(change.action) for change in plan.changes} == {"1": "reactivate", "2": "deactivate"}
    assert verdicts(plan) == {"1": "reactivated", "2": "deactivated"}


def test_what_was_created_is_switched_off_and_never_deleted() -> None:
    world = company(users=[user("u1", "1"), user("u2", "2", system_access=False)])

    plan = undo_of(
        world,
        wrote("1", {}, {"emp_id": "1", "system_access": 1}, "u1", "create"),
        wrote("1", {"current_supervisor_id": None}, {"current_supervisor_id": "2"}, "u1"),
        wrote("2", {}, {"emp_id": "2", "system_access": 1}, "u2", "create"),
    )

    assert fields(plan) == {"1": {"system_access": (1, 0)}}
    assert verdicts(plan) == {"1": "deactivated", "2": "unchanged"}


def test_what_was_created_and_has_no_switch_stays_and_that_is_told() -> None:
    world = company(user_titles=[{"id": 81, "name": "Rigger"}])

    plan = undo_of(world, wrote("rigger", {}, {"name": "Rigger"}, 81, "create"), entity="titles")

    assert plan.changes == ()
    assert verdict(plan, "rigger").reasons == (
        "it was created; nothing is ever deleted, and it has no switch to turn off",
    )


def test_required_fields_are_not_emptied_and_hidden_ones_are_not_guessed() -> None:
    shown = user("u1", "1")
    done = wrote("1", {"emp_id": None, "city": None}, {"emp_id": "1", "city": "B"}, "u1", "link")

    plan = undo_of(company(users=[shown]), done)

    assert verdict(plan, "1").reasons == (
        "City: SafetyAmp does not show this field, so its earlier value is unknown",
        "Employee number: it was empty before, and a required field is not emptied",
    )


def test_a_reference_goes_back_by_name_unless_what_it_meant_is_gone() -> None:
    world = company(user_titles=[{"id": 77, "name": "Fitter"}, {"id": 78, "name": "Welder"}])
    world["users"] = [user("u1", "1", current_title={"id": 78}), user("u2", "2", current_title={"id": 78})]

    plan = undo_of(
        world,
        wrote("1", {"current_title_id": "Fitter"}, {"current_title_id": "Welder"}, "u1"),
        wrote("2", {"current_title_id": "Rigger"}, {"current_title_id": "Welder"}, "u2"),
    )

    assert fields(plan) == {"1": {"current_title_id": ("Welder", "Fitter")}}
    assert verdict(plan, "2").reasons == ("Title: what it referred to is not in SafetyAmp any more",)


def test_a_unique_value_comes_back_after_its_present_bearer_gave_it_up_or_not_at_all() -> None:
    users = [user("u1", "1", email="c@x.example"), user("u2", "2", email="a@x.example")]
    first = wrote("1", {"email": "a@x.example"}, {"email": "c@x.example"}, "u1")
    second = wrote("2", {"email": "b@x.example"}, {"email": "a@x.example"}, "u2")

    both = undo_of(company(users=users), first, second)
    alone = undo_of(company(users=users), first)

    assert [change.source_key for change in both.changes] == ["2", "1"]
    assert alone.changes == ()
    assert verdict(alone, "1").reasons == ("E-mail: another record has this value by now",)


def test_a_swap_is_left_to_a_person() -> None:
    users = [user("u1", "1", email="b@x.example", city="B"), user("u2", "2", email="a@x.example")]

    plan = undo_of(
        company(users=users),
        wrote("1", {"email": "a@x.example", "city": "A"}, {"email": "b@x.example", "city": "B"}, "u1"),
        wrote("2", {"email": "b@x.example"}, {"email": "a@x.example"}, "u2"),
    )

    assert fields(plan) == {"1": {"city": ("B", "A")}}
    assert verdict(plan, "1").notes == (
        "E-mail: stays as it is, a ring: employees 1, 2 have each other's, and none can go first. Give one of them "
        "another e-mail in SafetyAmp by hand and undo once more; its own is then set by hand, too",
    )
    assert verdicts(plan)["2"] == "held"


def test_who_waits_for_a_value_of_a_ring_keeps_what_it_has_too() -> None:
    mails = {"1": "b@x.example", "2": "a@x.example", "3": "c@x.example"}
    users = [user(f"u{key}", key, email=mail) for key, mail in mails.items()]
    was = {"1": "a@x.example", "2": "b@x.example", "3": "a@x.example"}

    plan = undo_of(
        company(users=users), *(wrote(key, {"email": was[key]}, {"email": mails[key]}, f"u{key}") for key in mails)
    )

    assert (plan.changes, verdicts(plan)) == ((), dict.fromkeys(mails, "held"))
    assert verdict(plan, "3").reasons == ("E-mail: another record has this value by now",)


def test_a_swap_of_what_safetyamp_does_without_is_carried_back_through_a_free_step() -> None:
    users = [user("u1", "1", mobile_phone="+15042345672"), user("u2", "2", mobile_phone="+15042345671")]

    plan = undo_of(
        company(users=users),
        wrote("1", {"mobile_phone": "+15042345671"}, {"mobile_phone": None}, "u1"),
        wrote("2", {"mobile_phone": "+15042345672"}, {"mobile_phone": "+15042345671"}, "u2"),
        wrote("1", {"mobile_phone": None}, {"mobile_phone": "+15042345672"}, "u1"),
    )

    steps = [(change.source_key, change.fields["mobile_phone"]) for change in plan.changes]
    assert len(steps) == 3
    first, rest = steps[0], dict(steps[1:])
    assert first[1][1] is None
    assert {key: after for key, (_, after) in rest.items()} == {"1": "+15042345671", "2": "+15042345672"}
    assert set(verdicts(plan).values()) == {"updated"}


def test_of_a_forgotten_record_nothing_is_known() -> None:
    plan = undo_of(company(users=[user("u1", "1")]), wrote("1", {}, {}, "u1"))

    assert verdict(plan, "1").reasons == ("its values were erased by forget, so its earlier values are unknown",)


def test_guards_judge_it_but_ask_no_source() -> None:
    rules = config(guards={"deactivations": {"records": 1, "share": 0.01}})
    world = company(users=[user(f"u{number}", str(number)) for number in range(1, 4)])
    created = [wrote(str(n), {}, {"emp_id": str(n), "system_access": 1}, f"u{n}", "create") for n in range(1, 4)]

    plan = undo_of(world, *created, rules=rules)

    assert [refused.guard for refused in plan.refused] == ["deactivations"]
    assert plan.refused[0].keys == ("1", "2", "3")
