"""The world generator: the same every time, the right size, every planted oddity really there, the clean rest clean."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from safetyamp_pipelines.sandbox.viewpoint_schema import KEYS
from safetyamp_pipelines.sandbox.world import World, WorldSpec, build_world
from safetyamp_pipelines.sandbox.world_jobs import departments_by_job, region_of
from safetyamp_pipelines.sandbox.world_timecards import latest_open_jobs

DEFAULT = build_world(WorldSpec())
LARGE = build_world(WorldSpec(seed=2, employees=2000, jobs=900, vehicles=80))


def person(world: World, number: int) -> dict:
    return next(r for r in world.viewpoint["bPREH"] if (r["PRCo"], r["Employee"]) == (1, number))


def job(world: World, key: str) -> dict:
    return next(r for r in world.viewpoint["bJCJM"] if (r["JCCo"], r["Job"]) == (1, key))


def contract_department(world: World, key: str) -> str | None:
    contract = (job(world, key)["Contract"] or "").rstrip()
    found = [r for r in world.viewpoint["bJCCM"] if (r["JCCo"], r["Contract"]) == (1, contract)]
    return found[0]["Department"] if found else None


def accounts(world: World, number: int) -> list[dict]:
    return [r for r in world.entra if (r["employeeId"] or "").strip().lstrip("0") == str(number)]


def test_equal_specs_give_equal_worlds():
    assert build_world(WorldSpec(seed=5)) == build_world(WorldSpec(seed=5))


def test_another_seed_gives_another_world():
    assert build_world(WorldSpec(seed=5)).viewpoint != build_world(WorldSpec(seed=6)).viewpoint


def test_a_world_is_plain_json():
    for part in (DEFAULT.viewpoint, DEFAULT.entra, DEFAULT.samsara_vehicles, DEFAULT.safetyamp, DEFAULT.notes):
        assert json.loads(json.dumps(part)) == part


@pytest.mark.parametrize(
    ("employees", "jobs", "vehicles"), [(0, 0, 0), (1, 1, 1), (7, 3, 2), (60, 30, 12), (150, 0, 5)]
)
def test_a_world_has_the_size_asked_for(employees, jobs, vehicles):
    world = build_world(WorldSpec(employees=employees, jobs=jobs, vehicles=vehicles))
    assert sum(row["PRCo"] == 1 for row in world.viewpoint["bPREH"]) == employees
    assert sum(row["JCCo"] == 1 for row in world.viewpoint["bJCJM"]) == jobs
    assert len(world.samsara_vehicles) == vehicles


@pytest.mark.parametrize(
    "changes", [{"employees": -1}, {"present": 1.2}, {"regions": 0}, {"departments": 0}, {"titles": 999}]
)
def test_a_spec_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ValueError):
        WorldSpec(**changes)


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_default_world_carries_every_kind_of_oddity(seed):
    # The large world has room for everything; only two drifts of sites depend on the seed in the small one.
    missing = set(LARGE.notes) - set(build_world(WorldSpec(seed=seed)).notes)
    assert missing <= {"site_in_other_cluster", "site_without_code"}


@pytest.mark.parametrize("table", ["bPREH", "bPRDP", "bJCJM", "bJCCM", "bPRTH", "bPRJC"])
def test_keys_are_unique_in_every_table(table):
    for world in (DEFAULT, LARGE):
        keys = Counter(tuple(row[column] for column in KEYS[table]) for row in world.viewpoint[table])
        assert max(keys.values()) == 1


def test_a_world_without_mess_is_clean_and_in_step_when_all_is_present():
    world = build_world(WorldSpec(mess=False, present=1.0))
    assert not world.noted("terminated_past")
    assert {row["JobStatus"] for row in world.viewpoint["bJCJM"]} == {1}
    assert {row["PRCo"] for row in world.viewpoint["bPREH"]} == {1}
    users = {row["emp_id"]: row for row in world.safetyamp["users"] if row["emp_id"]}
    sites = {row["id"]: row["ext_id"] for row in world.safetyamp["sites"]}
    latest = latest_open_jobs(world)
    for row in world.viewpoint["bPREH"]:
        user = users[str(row["Employee"])]
        assert (user["first_name"], user["last_name"]) == (row["FirstName"], row["LastName"])
        assert sites[user["home_site_id"]] == latest[row["Employee"]]
        assert user["current_title"]["name"] == row["udEmpTitle"]
        assert user["system_access"] is True


# --- what is planted in the payroll ---


@pytest.mark.parametrize("column", ["FirstName", "LastName", "City", "State", "udEmpTitle", "Email"])
def test_texts_carry_trailing_blanks_in_their_share(column):
    numbers = LARGE.noted(f"padded_{column}")
    assert numbers
    assert all(person(LARGE, number)[column].endswith(" ") for number in numbers)


def test_first_names_are_padded_as_often_as_in_operation():
    padded = [r for r in LARGE.viewpoint["bPREH"] if r["PRCo"] == 1 and (r["FirstName"] or "").endswith(" ")]
    assert len(padded) / LARGE.spec.employees == pytest.approx(445 / 1776, abs=0.01)


def test_job_keys_end_in_a_dot():
    assert all(row["Job"].endswith(".") and len(row["Job"]) == 6 for row in LARGE.viewpoint["bJCJM"])


def test_the_test_company_uses_numbers_of_the_first():
    ours = {row["Employee"] for row in DEFAULT.viewpoint["bPREH"] if row["PRCo"] == 1}
    theirs = {row["Employee"] for row in DEFAULT.viewpoint["bPREH"] if row["PRCo"] == 2}
    assert theirs == set(DEFAULT.noted("test_company_employees"))
    assert theirs <= ours
    assert {row["Job"] for row in DEFAULT.viewpoint["bJCJM"] if row["JCCo"] == 2} == set(
        DEFAULT.noted("test_company_jobs")
    )


def test_leavers_and_their_flags_disagree():
    for number in LARGE.noted("terminated_past"):
        assert person(LARGE, number)["TermDate"] < str(LARGE.spec.today)
    for number in LARGE.noted("terminated_future"):
        assert person(LARGE, number)["TermDate"] > "2030"
    for number in LARGE.noted("terminated_flag_active"):
        assert (person(LARGE, number)["ActiveYN"], bool(person(LARGE, number)["TermDate"])) == ("Y", True)
    for number in LARGE.noted("active_flag_off_without_date"):
        assert person(LARGE, number)["ActiveYN"] == "N"
    assert all(person(LARGE, number)["HireDate"] is None for number in LARGE.noted("no_hire_date"))


def test_names_with_accents_and_apostrophes_are_there():
    names = {person(DEFAULT, number)["LastName"].strip() for number in DEFAULT.noted("special_names")}
    assert {"O'Brien", "Núñez", "Nowak"} <= names
    assert "Łukasz" in {person(DEFAULT, number)["FirstName"].strip() for number in DEFAULT.noted("special_names")}


def test_odd_zip_codes_are_there():
    zips = {person(DEFAULT, number)["Zip"] for number in DEFAULT.noted("odd_zip")}
    assert zips == {"01234", "01234-5678", "70000-", "99999-9999", "7000-1234"}


def test_jobs_go_wrong_in_every_way_named():
    for key in LARGE.noted("jobs_unknown_department"):
        assert contract_department(LARGE, key) == "99"
    for key in LARGE.noted("jobs_missing_contract") + LARGE.noted("jobs_without_contract"):
        assert contract_department(LARGE, key) is None
    for key in LARGE.noted("jobs_department_without_region"):
        assert region_of(LARGE, contract_department(LARGE, key)) is None
    assert {job(LARGE, key)["JobStatus"] for key in LARGE.noted("jobs_pending")} == {0}
    assert {job(LARGE, key)["JobStatus"] for key in LARGE.noted("jobs_soft_closed")} == {2}
    assert {job(LARGE, key)["JobStatus"] for key in LARGE.noted("jobs_hard_closed")} == {3}
    assert {job(LARGE, key)["PCVisibleInJC"] for key in LARGE.noted("jobs_potential")} == {"N"}


def test_no_job_noted_as_wrong_counts_as_fit():
    fit = departments_by_job(LARGE)
    for kind in ("unknown_department", "missing_contract", "without_contract", "department_without_region", "pending"):
        assert not set(LARGE.noted(f"jobs_{kind}")) & set(fit)
    assert set(LARGE.noted("jobs_padded")) <= set(fit)


def test_timecards_lead_where_their_notes_say():
    latest, fit = latest_open_jobs(LARGE), departments_by_job(LARGE)
    cards: dict[int, list[dict]] = {}
    for card in LARGE.viewpoint["bPRTH"]:
        if card["PRCo"] == 1:
            cards.setdefault(card["Employee"], []).append(card)
    for number in LARGE.noted("home_office") + LARGE.noted("no_open_job_no_home_office"):
        assert number not in latest
    for number in LARGE.noted("timecards_tie"):
        newest = max(card["PostDate"] for card in cards[number])
        tied = [card["Job"] for card in cards[number] if card["PostDate"] == newest]
        assert len(tied) == 2
        assert latest[number] == max(tied)
    for number in LARGE.noted("timecards_closed_last"):
        newest = max(cards[number], key=lambda card: card["PostDate"])
        assert job(LARGE, newest["Job"])["JobStatus"] in (2, 3)
        assert latest[number] in fit
    for number in LARGE.noted("timecards_test_company_last"):
        assert max(cards[number], key=lambda card: card["PostDate"])["JCCo"] == 2
    for number in LARGE.noted("latest_job_rejected"):
        assert latest[number] not in fit


def test_people_without_an_open_job_have_a_home_office_or_not_as_noted():
    offices = {row["id"] for row in LARGE.safetyamp["sites"]} & set(LARGE.noted("home_offices"))
    housed = {s["cluster_id"] for s in LARGE.safetyamp["sites"] if s["id"] in offices}
    regions = {row["name"] for row in LARGE.safetyamp["site_clusters"] if row["id"] in housed}
    assert {region_of(LARGE, person(LARGE, n)["PRDept"]) for n in LARGE.noted("home_office")} <= regions
    assert (
        not {region_of(LARGE, person(LARGE, n)["PRDept"]) for n in LARGE.noted("no_open_job_no_home_office")} & regions
    )


def test_the_payroll_interface_has_gaps_the_timecards_have_not():
    gone = set(LARGE.noted("payroll_interface_gaps"))
    assert gone
    assert not gone & {row["Employee"] for row in LARGE.viewpoint["bPRJC"] if row["PRCo"] == 1}
    assert gone & {row["Employee"] for row in LARGE.viewpoint["bPRTH"]}


def test_titles_differ_by_case_alone():
    raw = {row["udEmpTitle"].strip() for row in DEFAULT.viewpoint["bPREH"] if row["PRCo"] == 1 and row["udEmpTitle"]}
    assert len({title.lower() for title in raw}) < len(raw)


# --- what is planted in Entra ---


def test_employee_ids_are_free_text():
    for number in LARGE.noted("employee_id_leading_zeros"):
        assert accounts(LARGE, number)[0]["employeeId"] != str(number)
        assert int(accounts(LARGE, number)[0]["employeeId"]) == number
    for number in LARGE.noted("employee_id_twice"):
        assert len(accounts(LARGE, number)) == 2
    for number in LARGE.noted("employee_id_missing"):
        assert accounts(LARGE, number) == []
    assert any(row["employeeId"] is None for row in LARGE.entra)


def test_emails_are_shared_missing_or_unusable_as_noted():
    shared = Counter(
        (person(LARGE, n)["Email"] or "").strip().lower() for n in LARGE.noted("duplicate_emails_viewpoint")
    )
    assert set(shared.values()) == {2}
    in_entra = Counter(accounts(LARGE, n)[0]["mail"] for n in LARGE.noted("duplicate_emails_entra"))
    assert set(in_entra.values()) == {2}
    for number in LARGE.noted("no_email"):
        assert not (person(LARGE, number)["Email"] or "").strip()
        assert not accounts(LARGE, number)
    for number in LARGE.noted("only_onmicrosoft"):
        assert accounts(LARGE, number)[0]["mail"].endswith("onmicrosoft.com")
        assert person(LARGE, number)["Email"] is None


def test_everybody_else_has_an_email_of_their_own():
    odd = {n for kind in LARGE.notes if "email" in kind or "onmicrosoft" in kind for n in LARGE.noted(kind)}
    mails = []
    for row in LARGE.viewpoint["bPREH"]:
        if row["PRCo"] == 1 and row["Employee"] not in odd:
            usable = [a["mail"] for a in accounts(LARGE, row["Employee"]) if a["mail"] and a["accountEnabled"]]
            mails.append((usable or [row["Email"]])[0])
    leavers = sum(mail is None for mail in mails)
    assert leavers <= len(LARGE.noted("terminated_past"))
    assert max(Counter(mail.strip().lower() for mail in mails if mail).values()) == 1


def test_managers_are_accounts_and_some_lead_each_other():
    ids = {row["id"]: row for row in LARGE.entra}
    assert all(row["manager"] in ids for row in LARGE.entra if row["manager"])
    one, other = LARGE.noted("managers_of_each_other")[:2]
    loops = [r for r in LARGE.entra if r["manager"] and ids[r["manager"]]["manager"] == r["id"]]
    assert {one, other} & {int(row["employeeId"]) for row in loops}


# --- what is planted in Samsara ---


def test_absent_values_are_left_out_and_ids_are_text():
    for row in LARGE.samsara_vehicles + LARGE.samsara_drivers:
        assert None not in row.values()
        assert row["id"].isdigit()
    assert all("-" not in row["serial"] for row in LARGE.samsara_vehicles)
    bare = [r for r in LARGE.samsara_vehicles if r["id"] in LARGE.noted("vehicle_bare")]
    assert bare
    assert all(row.keys() == {"id", "name", "serial", "createdAtTime"} for row in bare)


def test_drivers_tell_their_number_in_different_ways():
    drivers = {row["id"]: row for row in LARGE.samsara_drivers}
    cars = {row["id"]: row for row in LARGE.samsara_vehicles}

    def driver_of(car: str) -> dict:
        return drivers[cars[car]["staticAssignedDriver"]["id"]]

    assert all("externalIds" not in driver_of(car) for car in LARGE.noted("driver_number_in_notes"))
    assert driver_of(LARGE.noted("driver_phone_in_notes")[0])["notes"] == "504-555-0123"
    assert driver_of(LARGE.noted("driver_deactivated")[0])["driverActivationStatus"] == "deactivated"
    assert cars[LARGE.noted("driver_not_listed")[0]]["staticAssignedDriver"]["id"] not in drivers


# --- what SafetyAmp already holds ---


@pytest.mark.parametrize("world", [DEFAULT, LARGE], ids=["default", "large"])
def test_every_reference_in_safetyamp_leads_somewhere(world):
    tables = {table: {row["id"]: row for row in rows} for table, rows in world.safetyamp.items()}
    assert all(len(rows) == len(world.safetyamp[table]) for table, rows in tables.items())
    for row in world.safetyamp["site_clusters"]:
        assert row["parent_cluster_id"] is None or row["parent_cluster_id"] in tables["site_clusters"]
    for row in world.safetyamp["sites"]:
        assert row["cluster_id"] in tables["site_clusters"]
    for row in world.safetyamp["users"]:
        assert row["home_site_id"] == row["home_site"]["id"] in tables["sites"]
        assert row["current_title"] is None or row["current_title"]["id"] in tables["user_titles"]
    for row in world.safetyamp["assets"]:
        assert tables["asset_types"][row["asset_type_id"]]["site_id"] == row["site_id"]
        assert row["current_user_id"] is None or row["current_user_id"] in tables["users"]


def test_emails_and_mobiles_of_users_are_unique_as_safetyamp_insists():
    for world in (DEFAULT, LARGE):
        emails = Counter(row["email"].lower() for row in world.safetyamp["users"])
        mobiles = Counter(row["mobile_phone"] for row in world.safetyamp["users"] if row["mobile_phone"])
        assert max(emails.values()) == 1
        assert max(mobiles.values()) == 1


def test_supervisors_in_safetyamp_are_the_managers_of_entra():
    world = build_world(WorldSpec(mess=False, present=1.0))
    users = {row["id"]: row["emp_id"] for row in world.safetyamp["users"]}
    managers = {row["id"]: row["employeeId"] for row in world.entra}
    led = {row["employeeId"]: managers.get(row["manager"]) for row in world.entra}
    supervised = {
        row["emp_id"]: users.get(row["current_supervisor_id"]) for row in world.safetyamp["users"] if row["emp_id"]
    }
    assert {number: boss for number, boss in supervised.items() if boss} == {n: boss for n, boss in led.items() if boss}


def test_two_user_ids_differ_by_case_alone():
    ids = [row["id"] for row in DEFAULT.safetyamp["users"]]
    assert len({user_id.lower() for user_id in ids}) == len(ids) - 1


@pytest.mark.parametrize("present", [0.0, 0.4, 1.0])
def test_root_roles_yards_and_home_offices_are_always_there(present):
    tables = build_world(WorldSpec(present=present)).safetyamp
    assert [row["depth"] for row in tables["site_clusters"]].count(0) == 1
    assert {row["name"] for row in tables["roles"]} >= {"Company Administrator", "Field"}
    yard = next(row for row in tables["sites"] if row["ext_id"] == "HQ-YARD")
    assert any(row["name"] == "Vehicle" and row["site_id"] == yard["id"] for row in tables["asset_types"])
    depths = {row["id"]: row["depth"] for row in tables["site_clusters"]}
    assert sum(depths[row["cluster_id"]] == 1 for row in tables["sites"]) == 2


def test_a_share_of_nothing_leaves_safetyamp_to_be_filled():
    world = build_world(WorldSpec(present=0.0))
    assert world.safetyamp["user_titles"] == []
    assert all(row["emp_id"] in (None, "C-77") for row in world.safetyamp["users"])


def test_the_large_world_holds_about_the_share_asked_for():
    active = LARGE.spec.employees - len(LARGE.noted("terminated_past"))
    assert len(LARGE.safetyamp["users"]) / active == pytest.approx(LARGE.spec.present, abs=0.06)
    assert len(LARGE.safetyamp["sites"]) / LARGE.spec.jobs == pytest.approx(LARGE.spec.present, abs=0.06)


def test_hidden_users_hold_an_email_that_a_hire_wants():
    wanted = {person(DEFAULT, number)["Email"].strip() for number in DEFAULT.noted("email_held_by_hidden_user")}
    hidden = [row for row in DEFAULT.safetyamp["users"] if row["deleted_at"]]
    assert {row["email"] for row in hidden} == wanted
