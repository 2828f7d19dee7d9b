"""The job titles of active employees become user titles."""

from __future__ import annotations

from small_worlds import World, company, employee, plan_of, title, verdicts


def with_titles(*names: str | None, known: list[object] | None = None) -> World:
    staff = [employee(number, udEmpTitle=name) for number, name in enumerate(names, 1)]
    return company(viewpoint__employees=staff, user_titles=known or [])


def test_each_title_is_created_once_under_its_most_frequent_spelling() -> None:
    plan = plan_of("titles", with_titles("Welder", "WELDER ", " Welder", "fitter", None, "  "))

    assert [found.after() for found in plan.changes] == [{"name": "fitter"}, {"name": "Welder"}]


def test_of_spellings_equally_frequent_the_first_by_alphabet_stands() -> None:
    assert plan_of("titles", with_titles("welder", "Welder")).changes[0].after() == {"name": "Welder"}


def test_titles_of_people_who_are_not_employed_do_not_count() -> None:
    gone = employee(1, TermDate="2026-01-01 00:00:00")
    coming = employee(2, HireDate=None, udEmpTitle="Welder")

    assert plan_of("titles", company(viewpoint__employees=[gone, coming], user_titles=[])).verdicts == ()


def test_a_title_in_another_spelling_is_the_same_title_and_is_not_renamed() -> None:
    plan = plan_of("titles", with_titles("WELDER", known=[title(7, "Welder ")]))

    assert verdicts(plan) == {"welder": "unchanged"}


def test_a_title_safetyamp_holds_twice_waits_for_a_person() -> None:
    plan = plan_of("titles", with_titles("Welder", known=[title(7, "Welder"), title(8, "welder")]))

    assert verdicts(plan) == {"welder": "held"}


def test_a_title_that_lost_its_letters_is_not_created_beside_the_right_one() -> None:
    plan = plan_of("titles", with_titles("Capataz espa?ol", "?uvar", known=[title(7, "Capataz Español")]))

    assert verdicts(plan) == {"capataz espa?ol": "rejected", "?uvar": "created"}
