"""The pages: a person is found by name, number, e-mail or telephone, and her page says what, why and who can end it."""

from __future__ import annotations

import logging
from datetime import date
from time import monotonic, sleep
from urllib.parse import urlsplit

import pytest
from open_desk import Visitor, text_of

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import Sandbox


@pytest.fixture
def person(synced: Sandbox) -> dict[str, object]:
    """A user that the sync made or recognised, as SafetyAmp shows it."""
    with Ledger.open(synced.environment["LEDGER_URL"]) as ledger:
        linked = {link.target_id for link in ledger.links("employees").values()}
    users = synced.safetyamp.tables()["users"]
    return next(row for row in users if row["id"] in linked and row["email"] and row["mobile_phone"])


def test_a_person_is_found_by_number_name_mail_and_telephone_and_the_address_holds_no_value(
    visitor: Visitor, person: dict[str, object]
) -> None:
    name = f"{person['first_name']} {person['last_name']}"
    for asked in (str(person["emp_id"]), name, name.upper(), str(person["email"]), str(person["mobile_phone"])[2:]):
        answer = visitor.find(asked)
        assert answer.status_code == 200
        assert str(person["emp_id"]) in text_of(answer), asked
        path = urlsplit(answer.url).path
        assert path in ("/find", f"/records/employees/{person['emp_id']}")


def test_her_page_says_field_by_field_what_and_why_and_what_was_done(
    visitor: Visitor, person: dict[str, object]
) -> None:
    shown = text_of(visitor.get(f"/records/employees/{person['emp_id']}"))
    for words in (
        f"{person['first_name']} {person['last_name']}",
        "E-mail",
        "Home site",
        "the source wins",
        "Last calls",
    ):
        assert words in shown
    assert "Verdicts of the last runs" in shown


def test_who_is_not_there_is_explained(visitor: Visitor) -> None:
    shown = text_of(visitor.get("/records/employees/999999"))
    assert "employee 999999 is not in viewpoint/employees" in shown
    assert text_of(visitor.find("nobody of that name")).endswith("in no source and not in SafetyAmp.")


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("/records/strangers/1", "no such entity: strangers"),
        ("/runs/99999", "there is no session 99999"),
        ("/plan/strangers", "no such entity: strangers"),
    ],
)
def test_what_is_not_there_is_said_so_without_a_trace(visitor: Visitor, path: str, missing: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 409
    assert missing in text_of(answer)
    assert "Traceback" not in answer.text


def test_markup_in_a_value_stays_text(visitor: Visitor) -> None:
    answer = visitor.find('<img src=x onerror="alert(1)">')
    assert "<img" not in answer.text
    assert "&lt;img" in answer.text


def test_the_plan_is_filtered_by_verdict_field_and_department(visitor: Visitor, synced: Sandbox) -> None:
    whole = visitor.get("/plan/employees").text
    some = visitor.get("/plan/employees", params={"verdict": "update"}).text
    none = text_of(visitor.get("/plan/employees", params={"verdict": "update", "group": "department nowhere"}))

    assert whole.count("/records/employees/") > some.count("/records/employees/") > 0
    assert "Nothing of that kind" in none


def test_the_queue_names_each_record_with_its_reason_and_what_to_do(visitor: Visitor, synced: Sandbox) -> None:
    shown = text_of(visitor.get("/queue"))
    with Ledger.open(synced.environment["LEDGER_URL"]) as ledger:
        rejected = ledger.standing("employees", ["rejected"])
    assert rejected
    assert all(key in shown for key in rejected)
    assert "correct it at the source: the next sync picks it up" in shown


def test_a_session_lists_its_changes_and_every_call_of_its_run_reads_too(visitor: Visitor, synced: Sandbox) -> None:
    newest = text_of(visitor.get("/runs"))
    shown = text_of(visitor.get("/runs/1"))
    calls = text_of(visitor.get("/calls"))

    report = visitor.get(f"/reports/{date.today()}.csv")

    assert "departments" in newest
    assert "create" in shown
    assert report.headers["content-type"].startswith("text/csv")
    assert visitor.get("/reports/yesterday.csv").status_code == 409
    assert "GET /api/users" in shown + calls
    assert "POST /api/users" in calls


def test_who_starts_an_undo_learns_on_its_page_why_it_failed(visitor: Visitor, synced: Sandbox) -> None:
    with Ledger.open(synced.environment["LEDGER_URL"]) as ledger:
        lease = ledger.acquire_lease("push", "a sync on a laptop", 60)
        begun = text_of(visitor.post("/runs/1/undo", {"reason": "a mistake"}))
        until = monotonic() + 30
        while "the undo failed" not in (page := text_of(visitor.get("/runs/1"))) and monotonic() < until:
            sleep(0.05)
        ledger.release(lease)
        assert ledger.pause_state() is None

    assert "The undo has begun." in begun
    assert "the undo failed: a sync on a laptop is pushing since" in page
    assert "undo failed" not in text_of(visitor.get("/runs/2"))


def test_nothing_personal_is_in_a_log_a_metric_or_an_address(
    visitor: Visitor, person: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "safetyamp_pipelines")
    values = [str(person[name]) for name in ("last_name", "email", "mobile_phone")]
    visited = [visitor.find(value) for value in values]
    visited += [visitor.get(path) for path in ("/plan/employees", "/queue", f"/records/employees/{person['emp_id']}")]
    metrics = visitor.get("/metrics").text

    assert any(values[1] in answer.text for answer in visited)
    for value in values:
        assert value not in caplog.text
        assert value not in metrics
        assert all(value not in answer.url for answer in visited)
