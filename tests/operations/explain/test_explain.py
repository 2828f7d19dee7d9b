"""`safetyamp explain`: every record, and who is none, is explained from the ledger and the stored run alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from commands import Answer, in_this_process, small_world

from safetyamp_pipelines.sandbox import FaultRule, Sandbox, TargetOptions, WorldSpec
from safetyamp_pipelines.sync.entities.registry import ENTITIES

pytestmark = pytest.mark.xdist_group("explain")

STRANGER = "777001"
"""An employee number that Entra knows, and Viewpoint does not."""
UNMANAGED = "777002"
"""An employee number that SafetyAmp knows, and no source does."""


@dataclass(frozen=True)
class Told:
    """A world after two syncs and a plan, whose servers are gone; the numbers of its people by what befell them."""

    box: Sandbox
    hired: str
    addressless: str
    left: str
    vanished: str

    def command(self, *arguments: str) -> Answer:
        return in_this_process(self.box, "explain", *arguments)

    def document(self, *arguments: str) -> dict[str, Any]:
        answer = self.command(*arguments, "--json")
        assert answer.exit_code == 0, answer.stderr
        return answer.document()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    spec = WorldSpec(employees=14, jobs=6, vehicles=3, mess=False)
    with Sandbox(spec, TargetOptions(calls=100_000), home=tmp_path_factory.mktemp("world")) as box:
        sources = box.sources
        hired = sources.hire("Ada", "Newhire")
        addressless = sources.hire("Bo", "Silent", with_account=False, Email=None)
        gone = sources.hire("Cy", "Vanisher")
        sources.entra_add(employeeId=STRANGER, mail="stranger@example.com")
        users = [row for row in box.safetyamp.tables()["users"] if row["emp_id"] and row["system_access"]]
        box.safetyamp.insert("users", first_name="A", last_name="B", email="a.b@example.com", emp_id=UNMANAGED)
        box.faults.add(
            FaultRule("status", system="safetyamp", method="POST", path_regex="/api/user_titles", status=409)
        )
        assert in_this_process(box, "sync").exit_code == 1
        left = users[0]["emp_id"]
        sources.terminate(int(left), date(2026, 11, 1))
        sources.delete_rows("bPREH", {"Employee": gone})
        assert in_this_process(box, "sync", "titles", "employees").exit_code == 1
        assert in_this_process(box, "plan", "titles", "employees").exit_code == 1
    return Told(box, str(hired), str(addressless), left, str(gone))


def field(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in document["fields"] if one["field"] == name]
    assert isinstance(found, dict)
    return found


def test_a_constant_that_stands_in_for_the_source_is_told_as_one_that_only_fills(told: Told) -> None:
    document = told.document("employee", told.hired)

    assert field(document, "country")["from"] == "sync.yaml.employees.country"
    assert [field(document, name)["policy"] for name in ("country", "city")] == ["fill", "source"]


def test_a_record_is_told_from_its_source_values_to_what_safetyamp_says_and_was_asked(told: Told) -> None:
    document = told.document("employee", told.hired)
    lines = told.command("employee", told.hired).stdout.splitlines()

    email, site = field(document, "email"), field(document, "home_site_id")
    wanted = f"hire{told.hired}@example.com"
    assert (email["value"], email["from"], email["cleaned_as"]) == (wanted, "Entra mail", "email")
    assert [source["source"] for source in email["sources"]] == ["Entra mail", "Viewpoint Email"]
    assert email["safetyamp"] == email["last_pushed"] == wanted
    assert site["from"] == "rule (the open job worked last, else the home office of the department)"
    assert site["safetyamp"] == site["value"]
    assert [said["outcome"] for said in document["history"]] == ["unchanged", "created"], "a trial is no part of it"
    assert [said["was_pushed"] for said in document["history"]] == [True, True]
    (call,) = document["calls"]
    assert (call["action"], call["status"], call["fields"]["E-mail"]) == ("create", "done", [None, wanted])
    assert lines[0] == f"employee {told.hired} Ada Newhire: unchanged — recognised by link"
    assert lines[1].startswith("by plan ")
    assert not any(line.startswith("  E-mail:") for line in lines)  # nothing differs, and --all shows it all the same
    whole = told.command("employee", told.hired, "--all").stdout.splitlines()
    assert (
        f"  E-mail: '{wanted}' from Entra mail [cleaned as email, the source wins]; SafetyAmp says '{wanted}'" in whole
    )
    assert f"    E-mail: nothing → '{wanted}'" in whole
    assert f"    {len(call['fields'])} fields: --all shows them" in lines


def test_after_a_push_the_verdict_and_safetyamp_are_what_the_push_left(tmp_path: Path) -> None:
    with small_world() as box:
        number = str(box.sources.hire("Dee", "Fresh"))
        in_this_process(box, "sync")
        found = in_this_process(box, "explain", "employee", number, "--json").document()

    # The plan saw nobody there; the push of the same run created the account.
    assert found["change"][0]["action"] == "create"
    assert (found["verdict"]["outcome"], field(found, "first_name")["safetyamp"]) == ("created", "Dee")
    assert found["safetyamp_id"] == found["link"]["safetyamp_id"]


def test_who_is_rejected_is_told_why_and_what_each_source_says(told: Told) -> None:
    document = told.document("employee", told.addressless)

    assert document["verdict"]["outcome"] == "rejected"
    assert document["verdict"]["reasons"] == ["E-mail is missing: fill Entra mail or Viewpoint Email"]
    assert (field(document, "email")["value"], document["safetyamp_id"], document["calls"]) == (None, None, [])


def test_a_leaver_is_told_with_the_day_and_the_call_that_took_the_access(told: Told) -> None:
    document = told.document("employee", told.left)

    assert document["history"][0]["rule"] == "employment ended 2026-11-01"
    assert document["history"][0]["outcome"] == "deactivated"
    assert document["calls"][0]["fields"] == {"Access": [1, 0]}
    assert field(document, "system_access")["safetyamp"] == 0


def test_a_number_that_only_entra_knows_is_no_employee(told: Told) -> None:
    document = told.document("employee", STRANGER)

    assert "is not in viewpoint/employees of companies 1" in document["absent"][0]
    assert (
        document["absent"][1] == "Entra has 1 account(s) with this employeeId, but people are taken from Viewpoint only"
    )
    assert "fields" not in document


@pytest.mark.parametrize(
    ("noun", "key", "words"),
    [
        ("employee", "999999", "employee 999999 is not in viewpoint/employees of companies 1"),
        ("employee", "2/1001", "company 2 is not one of the companies in sync.yaml"),
        ("employee", UNMANAGED, f"SafetyAmp has {UNMANAGED} in users (id "),
        ("job", "10001", "do you mean 10001.?"),
        ("job", "1/10001.", "do you mean 10001.?"),
        ("title", "Astronaut", "title Astronaut is not in viewpoint/employees"),
        ("vehicle", "Unit 1", "vehicle Unit 1 is not in samsara/vehicles: 3 rows, read 20"),
    ],
)
def test_who_is_not_there_is_told_why_not(told: Told, noun: str, key: str, words: str) -> None:
    answer = told.command(noun, key)

    assert answer.exit_code == 0
    assert words in answer.stdout


def test_who_vanished_from_the_source_is_told_since_when_and_what_becomes_of_the_account(told: Told) -> None:
    document = told.document("employee", told.vanished)

    reasons = "\n".join(document["absent"])
    assert "it was there in earlier runs, and not since the one of 20" in reasons
    assert f"it is linked to SafetyAmp id {document['link']['safetyamp_id']}; that record stays as it is" in reasons
    assert [said["outcome"] for said in document["history"]] == [None, "created"]


@pytest.mark.parametrize(
    ("entity", "noun", "table"),
    [("departments", "department", "site_clusters"), ("jobs", "job", "sites"), ("vehicles", "vehicle", "assets")],
)
def test_every_kind_of_record_is_explained(told: Told, entity: str, noun: str, table: str) -> None:
    spec = next(spec for spec in ENTITIES if spec.name == entity)
    keys = [link["key"] for link in links(told, entity)]

    document = told.document(noun, keys[0])

    assert document["entity"] == entity
    assert [found["field"] for found in document["fields"]] == [declared.name for declared in spec.fields]
    assert document["safetyamp_id"] is not None
    assert document["fields"][0]["safetyamp"] is not None


def links(told: Told, entity: str) -> list[dict[str, Any]]:
    from safetyamp_pipelines.ledger import Ledger

    with Ledger.open(told.box.environment["LEDGER_URL"]) as ledger:
        return [{"key": key, "id": link.target_id} for key, link in sorted(ledger.links(entity).items())]


def test_a_record_that_safetyamp_refused_is_told_with_the_failure(told: Told) -> None:
    listed = in_this_process(told.box, "failures", "list", "--json").document()["failures"]
    (refused,) = [failure["source_key"] for failure in listed if failure["entity"] == "titles"]

    document = told.document("title", refused)

    assert (document["failure"]["http_status"], document["calls"][0]["http_status"]) == (409, 409)
    assert document["verdict"]["outcome"] == "failed"


def test_looking_asks_no_system(told: Told) -> None:
    """The servers of the world are gone, so every call would fail."""
    since = len(told.box.requests())
    assert told.command("employee", told.hired).exit_code == 0
    assert len(told.box.requests()) == since


def test_a_person_is_asked_for_by_name_or_mail_and_several_are_a_choice(told: Told) -> None:
    by_name = told.command("ada", "newhire")
    by_mail = told.document(f"hire{told.hired}@example.com")
    several = told.command("employee", "example.com")
    nobody = told.command("truck", "1x")

    assert by_name.stdout.startswith(f"employee {told.hired} Ada Newhire: ")
    assert (by_mail["entity"], by_mail["key"]) == ("employees", told.hired)
    assert (several.exit_code, several.stdout) == (2, "")
    assert "several records match that. Name one:" in several.stderr
    assert nobody.exit_code == 2
    assert "department, job, title, employee, vehicle" in nobody.stderr


def test_before_the_first_run_it_is_told_what_to_do(tmp_path: Path) -> None:
    with small_world() as box:
        answer = in_this_process(box, "explain", "employee", "1")
        blank = in_this_process(box, "explain", "employee", " ")

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "run `safetyamp plan` first" in answer.stderr
    assert (blank.exit_code, "a key is needed" in blank.stderr) == (2, True)


def test_every_derived_value_has_its_rule_in_words() -> None:
    for spec in ENTITIES:
        derived = {source for field in spec.fields for source in field.sources if source.startswith("rule.")}
        assert spec.words.keys() == derived
