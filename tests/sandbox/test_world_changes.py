"""Changes of the sources: each reaches the world, the SQLite file and the running applications, and agrees in all."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from datetime import date

import pytest
import requests

from safetyamp_pipelines.sandbox.samsara import SamsaraOptions, samsara_app
from safetyamp_pipelines.sandbox.server import AppServer
from safetyamp_pipelines.sandbox.viewpoint import write_viewpoint
from safetyamp_pipelines.sandbox.world import WorldSpec, build_world
from safetyamp_pipelines.sandbox.world_changes import ACTIONS, Sources
from safetyamp_pipelines.sandbox.world_timecards import latest_open_jobs


@pytest.fixture
def sources(tmp_path):
    world = build_world(WorldSpec(employees=20, jobs=8, vehicles=3, mess=False))
    write_viewpoint(world, tmp_path / "viewpoint.db")
    changed = Sources(world, tmp_path / "viewpoint.db")
    yield changed
    assert rows_in_file(tmp_path / "viewpoint.db") == rows_in_world(world), "the file and the world disagree"


def rows_in_file(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: comparable(map(dict, connection.execute(f"SELECT * FROM {name}"))) for name in names}


def rows_in_world(world):
    return {table: comparable(rows) for table, rows in world.viewpoint.items()}


def comparable(rows):
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def somebody(sources):
    return sources.world.viewpoint["bPREH"][3]


def test_a_hire_is_active_with_an_account_and_a_home_office_department(sources):
    number = sources.hire("Ada", "Kowalska", udEmpTitle="Welder")
    row = next(r for r in sources.world.viewpoint["bPREH"] if r["Employee"] == number)
    assert (row["LastName"], row["udEmpTitle"], row["TermDate"]) == ("Kowalska", "Welder", None)
    assert row["HireDate"] < str(sources.spec.today)
    assert [a["mail"] for a in sources.world.entra if a["employeeId"] == str(number)] == [f"hire{number}@example.com"]


def test_a_hire_without_an_account_has_an_email_in_the_payroll(sources):
    number = sources.hire(with_account=False)
    row = next(r for r in sources.world.viewpoint["bPREH"] if r["Employee"] == number)
    assert row["Email"] == f"hire{number}@example.net"
    assert not [a for a in sources.world.entra if a["employeeId"] == str(number)]


def test_two_hires_get_different_numbers_and_accounts(sources):
    one, other = sources.hire(), sources.hire()
    assert one != other
    assert len({row["id"] for row in sources.world.entra}) == len(sources.world.entra)


@pytest.mark.parametrize("day", [date(2026, 3, 4), "2026-03-04"])
def test_a_leaver_has_a_date_and_a_rehired_person_has_none(sources, day):
    row = somebody(sources)
    sources.terminate(row["Employee"], day)
    assert (row["TermDate"], row["ActiveYN"]) == ("2026-03-04 00:00:00", "N")
    sources.rehire(row["Employee"])
    assert (row["TermDate"], row["ActiveYN"], row["HireDate"]) == (None, "Y", "2026-11-19 00:00:00")


def test_a_move_to_a_job_makes_it_the_latest_one(sources):
    row = somebody(sources)
    for key in ("10003.", "10001.", "10008."):
        sources.move(row["Employee"], job=key)
        assert latest_open_jobs(sources.world)[row["Employee"]] == key


def test_a_hire_can_start_on_a_job(sources):
    number = sources.hire(job="10002.")
    assert latest_open_jobs(sources.world)[number] == "10002."


def test_a_move_to_a_department_changes_only_that(sources):
    row = somebody(sources)
    before = dict(row)
    sources.move(row["Employee"], department="05")
    assert row == before | {"PRDept": "05"}


def test_new_departments_and_jobs_belong_together(sources):
    sources.add_department("60", "New Works", "Gulf")
    sources.add_job("20001.", "New job", "60")
    sources.move(somebody(sources)["Employee"], job="20001.")
    assert latest_open_jobs(sources.world)[somebody(sources)["Employee"]] == "20001."


def test_an_update_reaches_every_row_that_agrees(sources):
    changed = sources.update("bPREH", {"PRCo": 1, "PRDept": "05 "}, City="Newtown")
    assert changed == sum(row["City"] == "Newtown" for row in sources.world.viewpoint["bPREH"]) > 1


def test_rows_can_be_deleted_by_a_condition_or_all(sources):
    number = somebody(sources)["Employee"]
    assert sources.delete_rows("bPREH", {"Employee": number}) == 1
    assert sources.delete_rows("bPRTH") > 0
    assert sources.world.viewpoint["bPRTH"] == []


def test_what_does_not_exist_is_refused_and_changes_nothing(sources):
    with pytest.raises(KeyError):
        sources.terminate(999_999)
    with pytest.raises(KeyError):
        sources.move(somebody(sources)["Employee"], job="nowhere")
    with pytest.raises(ValueError, match="no column Salary"):
        sources.update("bPREH", {"PRCo": 1}, Salary=1)
    with pytest.raises(ValueError, match="no table 'bNONE'"):
        sources.delete_rows("bNONE")
    with pytest.raises(KeyError):
        sources.entra_update("no such id", mail=None)
    with pytest.raises(KeyError):
        sources.samsara_remove("1")
    with pytest.raises(ValueError, match="kind"):
        sources.samsara_add("trailers")


def test_accounts_are_changed_by_id_or_by_employee_number(sources):
    account = next(row for row in sources.world.entra if row["employeeId"])
    sources.entra_update(account["id"], mail="changed@example.com")
    sources.entra_update(int(account["employeeId"]), accountEnabled=False)
    assert (account["mail"], account["accountEnabled"]) == ("changed@example.com", False)
    sources.entra_remove(account["id"])
    assert account not in sources.world.entra


def test_samsara_changes_show_in_the_running_application(sources):
    server = AppServer(samsara_app(sources.world, SamsaraOptions(token="t"))).start()

    def listed():
        answer = requests.get(f"{server.url}/fleet/vehicles", headers={"Authorization": "Bearer t"}, timeout=60)
        return {row["id"]: row for row in answer.json()["data"]}

    added = sources.samsara_add("vehicles", licensePlate="NEW 1")
    driver = sources.samsara_add("drivers", notes="100482")
    sources.samsara_update(added, staticAssignedDriver={"id": driver, "name": "X"}, licensePlate=None)
    shown = listed()[added]
    sources.samsara_remove(added)
    gone = added not in listed()
    server.stop()
    assert shown["staticAssignedDriver"]["id"] == driver
    assert "licensePlate" not in shown
    assert gone


def test_every_action_can_be_called_by_name_with_json(sources):
    number = sources.apply("hire", {"first": "Zoë", "job": "10001."})
    assert sources.apply("terminate", {"employee": number, "date": "2026-11-01"}) is None
    assert sources.apply("update", {"table": "bPREH", "key": {"Employee": number}, "City": "Elsewhere"}) == 1
    assert sources.apply("entra_update", {"user": number, "mobilePhone": None}) is None


@pytest.mark.parametrize("action", ["apply", "_insert", "__init__", "spec", "drop"])
def test_only_actions_can_be_called_by_name(sources, action):
    assert action not in ACTIONS
    with pytest.raises(ValueError, match="the actions are hire, terminate"):
        sources.apply(action, {})


def test_changes_from_several_threads_all_arrive(sources):
    before = len(sources.world.viewpoint["bPREH"])
    threads = [threading.Thread(target=lambda: [sources.hire() for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [row["Employee"] for row in sources.world.viewpoint["bPREH"]]
    assert len(numbers) == len(set(numbers)) == before + 20
