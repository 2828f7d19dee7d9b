"""Each rule about people, checked on somebody who lives in the scenario for it."""

from __future__ import annotations

from typing import Any

import pytest

from oracle import scenario
from oracle.stories import Run, Story, told_once

pytestmark = pytest.mark.xdist_group("scenario")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return told_once("scenario", scenario.tell, tmp_path_factory)


@pytest.fixture
def first(story: Story) -> Run:
    return story.runs[0]


@pytest.fixture
def second(story: Story) -> Run:
    return story.runs[1]


@pytest.fixture
def third(story: Story) -> Run:
    return story.runs[2]


@pytest.fixture
def about(story: Story) -> dict[str, Any]:
    return story.about


def test_an_account_without_number_is_linked_by_e_mail(first: Run, about: dict[str, Any]) -> None:
    before, after = first.by_id("users", about["linda user"])
    assert (before["emp_id"], after["emp_id"]) == (None, str(about["linda"]))
    assert (after["first_name"], after["email"]) == ("Linda", "linda@example.net")


def test_an_account_of_another_number_keeps_its_e_mail_and_is_left_alone(first: Run, about: dict[str, Any]) -> None:
    before, after = first.by_id("users", about["otto user"])
    assert before == after
    assert first.verdict("employees", about["otto"]) == "rejected"
    assert not first.all("users", emp_id=str(about["otto"]))


def test_users_nobody_stands_behind_are_never_written(story: Story, about: dict[str, Any]) -> None:
    for run in story.runs:
        assert not {about["unmanaged user"], about["otto user"], about["hidden user"]} & set(run.written("users"))
    before, after = story.runs[0].before, story.runs[-1].after
    admins = [user["id"] for user in before["users"] if user["email"].startswith("admin")]
    for id_ in (*admins, about["unmanaged user"]):
        assert [u for u in before["users"] if u["id"] == id_] == [u for u in after["users"] if u["id"] == id_]


def test_two_who_share_an_e_mail_nobody_holds_are_both_rejected(first: Run, about: dict[str, Any]) -> None:
    assert {first.verdict("employees", about[name]) for name in ("both1", "both2")} == {"rejected"}
    assert not [user for user in first.after["users"] if user["email"].lower() == "both@example.net"]


def test_the_holder_keeps_an_e_mail_that_another_wants_too(first: Run, about: dict[str, Any]) -> None:
    before, after = first.by_id("users", about["holder"]["id"])
    assert before["email"] == after["email"]
    assert first.verdict("employees", about["holder"]["number"]) is None
    assert first.verdict("employees", about["wisher"]) == "rejected"


def test_a_clashing_mobile_number_is_omitted(first: Run, about: dict[str, Any]) -> None:
    before, after = first.by_id("users", about["owner"]["id"])
    assert before["mobile_phone"] == after["mobile_phone"]
    assert first.user(about["clash"])["mobile_phone"] is None
    assert {first.user(about[name])["mobile_phone"] for name in ("twin1", "twin2")} == {None}


def test_of_what_two_exchange_goes_what_safetyamp_does_without_and_the_rest_names_who_must_act(story: Story) -> None:
    one, other = (story.about[name] for name in ("trader1", "trader2"))
    first, second, *later = story.runs

    assert [first.user(key)["mobile_phone"] for key in (one, other)] == ["+15045559911", "+15045559912"]
    assert [second.user(key)["mobile_phone"] for key in (one, other)] == ["+15045559912", "+15045559911"]
    assert second.user(one)["last_name"] == "Traded"
    for run in (second, *later):
        assert [run.user(key)["email"] for key in (one, other)] == ["trader1@example.net", "trader2@example.net"]
    assert {second.verdict("employees", key) for key in (one, other)} == {None}, "the rest of them was updated"
    for run in later:
        assert {run.verdict("employees", key) for key in (one, other)} == {"held"}
        assert f"a ring: employees {one}, {other} want each other's" in run.why("employees", one)
        assert "Give one of them another e-mail in SafetyAmp by hand" in run.why("employees", other)
    assert not {row["id"] for key in (one, other) for row in [second.user(key)]} & set(later[-1].written("users"))


def test_an_e_mail_that_a_hidden_user_holds_is_a_failure_and_not_tried_again(story: Story) -> None:
    tried = [[w for w in run.writes if (w.body or {}).get("email") == "hidden@example.net"] for run in story.runs]
    assert [len(attempts) for attempts in tried] == [1, 0, 0, 0]
    assert [run.report["entities"]["employees"]["failed"] for run in story.runs] == [1, 1, 1, 1]
    assert [run.exit_code for run in story.runs] == [1, 1, 1, 1]


def test_a_failure_is_listed_with_what_to_do(story: Story) -> None:
    number = story.about["hidden"]
    assert [run.verdict("employees", number) for run in story.runs] == ["failed"] * 4
    assert "mail" in story.runs[0].why("employees", number).lower()


@pytest.mark.parametrize("name", ["zeros", "blanks"])
def test_an_employee_id_matches_with_leading_zeros_and_blanks(first: Run, about: dict[str, Any], name: str) -> None:
    assert first.user(about[name])["email"] == f"{name}@example.com"


def test_an_onmicrosoft_address_is_never_used(first: Run, about: dict[str, Any]) -> None:
    assert first.verdict("employees", about["internal"]) == "rejected"
    assert first.user(about["private"])["email"] == "private@example.net"
    assert not [user for user in first.after["users"] if "onmicrosoft" in user["email"]]


@pytest.mark.parametrize("name", ["nomail", "nameless", "homeless"])
def test_without_e_mail_name_or_home_an_employee_is_rejected(first: Run, about: dict[str, Any], name: str) -> None:
    assert first.verdict("employees", about[name]) == "rejected"
    assert first.why("employees", about[name])
    assert not first.all("users", emp_id=str(about[name]))


@pytest.mark.parametrize(
    ("name", "mobile", "work"),
    [
        ("entraphones", "+15045557001", "+15045557002"),
        ("cell", "+15045557005", "+15045557006"),
        ("landline", "+15045557007", "+15045557007"),
        ("nophone", None, None),
    ],
)
def test_phones_come_from_entra_then_viewpoint_and_in_e164(
    first: Run, about: dict[str, Any], name: str, mobile: str | None, work: str | None
) -> None:
    user = first.user(about[name])
    assert (user["mobile_phone"], user["work_phone"]) == (mobile, work)


def test_a_new_user_has_clean_values(first: Run, about: dict[str, Any]) -> None:
    user = first.user(about["person"])
    assert (user["first_name"], user["last_name"], user["gender"]) == ("Łukasz", "O'Núñez", 0)
    assert (user["zip_code"], user["state"], user["country"]) == ("01234", "LA", "US")
    assert (user["date_of_birth"], user["timezone"], user["system_access"]) == ("2024-05-05", "America/Chicago", True)
    assert [role["name"] for role in user["roles"]] == ["Field"]


@pytest.mark.parametrize(("name", "country", "state"), [("abroad", "CA", "TX"), ("moved abroad", "MX", None)])
def test_a_country_of_the_source_wins_and_the_default_only_fills(
    second: Run, about: dict[str, Any], name: str, country: str, state: str | None
) -> None:
    before, after = second.by_id("users", about[name]["id"])
    assert (after["country"], after["state"]) == (country, state or before["state"])


def test_a_future_termination_is_no_termination(first: Run, about: dict[str, Any]) -> None:
    assert first.user(about["leaving"])["system_access"] is True


@pytest.mark.parametrize("name", ["left", "unhired"])
def test_who_is_not_active_gets_no_account(first: Run, about: dict[str, Any], name: str) -> None:
    assert not first.all("users", emp_id=str(about[name]))
    assert first.verdict("employees", about[name]) in (None, "out_of_scope")


def test_who_has_lost_the_hire_date_keeps_the_account(story: Story, about: dict[str, Any]) -> None:
    for run in story.runs[1:]:
        before, after = run.by_id("users", about["hire date lost"]["id"])
        assert before["system_access"] is after["system_access"] is True


def test_home_is_the_home_office_without_a_job(first: Run, about: dict[str, Any]) -> None:
    assert first.user(about["homed"])["home_site"]["name"] == "Gulf Home Office"


def test_titles_are_compared_without_case(first: Run, about: dict[str, Any]) -> None:
    names = [title["name"] for title in first.after["user_titles"]]
    assert len({name.casefold() for name in names}) == len(names)
    assert first.user(about["titled"])["current_title"]["name"] == "Fitter"
    assert "drone pilot" in {name.casefold() for name in names}
    assert first.user(about["novel"])["current_title"] == first.user(about["novel2"])["current_title"]


def test_a_new_supervisor_is_there_before_the_subordinate(first: Run, about: dict[str, Any]) -> None:
    assert first.user(about["minion"])["current_supervisor_id"] == first.user(about["boss"])["id"]


def test_two_new_people_who_supervise_each_other_both_get_their_supervisor(first: Run, about: dict[str, Any]) -> None:
    one, other = first.user(about["ring1"]), first.user(about["ring2"])
    assert (one["current_supervisor_id"], other["current_supervisor_id"]) == (other["id"], one["id"])


def test_a_supervisor_whose_account_is_linked_in_the_same_run_counts(first: Run, about: dict[str, Any]) -> None:
    assert first.user(about["lindas"])["current_supervisor_id"] == about["linda user"]


def test_off_without_a_history_is_switched_on(first: Run, about: dict[str, Any]) -> None:
    assert first.user(about["off without history"]["number"])["system_access"] is True


def test_a_leaver_is_switched_off_whatever_else_is_wrong(first: Run, about: dict[str, Any]) -> None:
    before, after = first.by_id("users", about["leaver in a mess"]["id"])
    assert after == {**before, "system_access": False}


def test_who_is_off_already_stays_untouched(first: Run, about: dict[str, Any]) -> None:
    before, after = first.by_id("users", about["left long ago"]["id"])
    assert before == after
    assert about["left long ago"]["id"] not in first.written("users")


def test_a_leaver_is_switched_off_and_nothing_else(second: Run, about: dict[str, Any]) -> None:
    before, after = second.by_id("users", about["leaver"]["id"])
    assert after == {**before, "system_access": False}


@pytest.mark.parametrize(("name", "run"), [("leaver", 2), ("left long ago", 1)])
def test_who_is_rehired_is_switched_on_again(story: Story, name: str, run: int) -> None:
    user = story.runs[run].user(story.about[name]["number"])
    assert (user["id"], user["system_access"]) == (story.about[name]["id"], True)
    assert user["current_hire_date"] == "2026-11-19"


def test_off_by_hand_after_a_history_is_held_and_reported(story: Story, about: dict[str, Any]) -> None:
    for run in story.runs[1:]:
        assert run.user(about["off by hand"]["number"])["system_access"] is False
        assert run.verdict("employees", about["off by hand"]["number"]) == "held"


def test_source_fields_win_over_a_persons_edit(second: Run, about: dict[str, Any]) -> None:
    before, after = second.by_id("users", about["renamed by hand"]["id"])
    assert before["last_name"] == "Handmade"
    assert after["last_name"] != "Handmade"
    assert after["current_title"] is not None


def test_a_new_name_and_e_mail_stay_with_the_account(second: Run, about: dict[str, Any]) -> None:
    user = second.user(about["married"]["number"])
    assert (user["id"], user["last_name"], user["email"]) == (about["married"]["id"], "Newname", "newname@example.com")


def test_the_link_outlives_number_and_e_mail(second: Run, about: dict[str, Any]) -> None:
    user = second.user(about["number wiped"]["number"])
    assert user["id"] == about["number wiped"]["id"]
    assert user["email"] != "wiped@example.org"


def test_the_home_follows_the_latest_open_job(second: Run, about: dict[str, Any]) -> None:
    assert second.user(about["mover"]["number"])["home_site_id"] == about["emptied site"]


def test_an_empty_source_never_blanks_a_value(second: Run, about: dict[str, Any]) -> None:
    before, after = second.by_id("users", about["emptied"]["id"])
    assert before == after


def test_the_role_is_given_once(story: Story, about: dict[str, Any]) -> None:
    for run in story.runs[1:]:
        assert [role["name"] for role in run.user(about["promoted"]["number"])["roles"]] == ["Supervisor"]


def test_an_initial_field_is_written_on_create_only(story: Story, about: dict[str, Any]) -> None:
    last = story.runs[-1]
    assert last.user(about["city by hand"]["number"])["city"] == "Persontown"
    assert last.user(about["city moved"]["number"])["city"] != "Sourceville"


def test_a_fill_field_is_written_where_there_is_nothing(story: Story, about: dict[str, Any]) -> None:
    assert story.runs[0].user(about["filled"]["number"])["work_phone"] is not None
    assert story.runs[-1].user(about["line by hand"]["number"])["work_phone"] == "+15045558001"


def test_a_merge_field_takes_the_side_that_changed(second: Run, about: dict[str, Any]) -> None:
    assert second.user(about["street by hand"]["number"])["street"] == "1 Person Plaza"
    assert second.user(about["street moved"]["number"])["street"] == "2 Source Square"


def test_a_merge_field_that_both_changed_is_held_and_reported(second: Run, about: dict[str, Any]) -> None:
    number = about["street by both"]["number"]
    assert second.user(number)["street"] == "3 Person Plaza"
    assert second.verdict("employees", number) == "held"


def test_a_field_safetyamp_ignores_is_sent_once(story: Story, about: dict[str, Any]) -> None:
    sent = [
        [w.body["emp_id"] for w in run.writes if (w.body or {}).get("middle_name") == "Quincy"] for run in story.runs
    ]
    assert sent == [[str(about["middling"])], [], [], []]


def test_a_field_safetyamp_ignores_is_reported(story: Story, about: dict[str, Any]) -> None:
    first, second = story.runs[0], story.runs[1]
    assert "middle" in first.said.lower()
    assert "middle" not in second.said.lower()
