"""Who may look and who may decide: nobody enters but by the login proxy, and a form of another site does nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ledger_entries import stored
from open_desk import PROXY, Visitor, open_desk

from safetyamp_pipelines.desk.access import AccessRules
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import Sandbox
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.sync.model.errors import Refusal


@pytest.fixture
def behind_proxy(synced: Sandbox) -> Iterator[str]:
    with open_desk(synced.environment, **PROXY) as visitor:
        yield visitor.url


@pytest.fixture
def ledger(synced: Sandbox) -> Iterator[Ledger]:
    with Ledger.open(synced.environment["LEDGER_URL"]) as opened:
        yield opened


@pytest.mark.parametrize("missing", ["DESK_USER_HEADER", "DESK_TRUSTED_PROXIES", "readers"])
def test_it_refuses_to_bind_elsewhere_unless_a_proxy_logs_people_in(missing: str) -> None:
    left_out = {"DESK_READERS", "DESK_APPROVERS"} if missing == "readers" else {missing}
    settings = load_settings({name: text for name, text in PROXY.items() if name not in left_out}, env_file=None)

    with pytest.raises(Refusal, match="logs people in"):
        AccessRules(settings, read_only=False).refuse_binding("0.0.0.0")

    AccessRules(settings, read_only=False).refuse_binding("127.0.0.1")
    AccessRules(load_settings(PROXY, env_file=None), read_only=False).refuse_binding("0.0.0.0")


@pytest.mark.parametrize("user", [None, "", "stranger"])
def test_without_a_login_that_is_named_nothing_is_shown(behind_proxy: str, user: str | None) -> None:
    answer = Visitor(behind_proxy, user).get("/plan/employees")
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/plain; charset=utf-8")


def test_who_does_not_come_through_the_proxy_is_refused_whatever_header_he_sends(synced: Sandbox) -> None:
    with open_desk(synced.environment, **{**PROXY, "DESK_TRUSTED_PROXIES": "10.0.0.0/8"}) as visitor:
        assert Visitor(visitor.url, "approver").get("/").status_code == 403


def test_a_name_that_points_here_from_elsewhere_opens_nothing(visitor: Visitor) -> None:
    assert visitor.get("/", headers={"Host": "attacker.example"}).status_code == 403
    assert visitor.get("/").status_code == 200


def test_a_reader_looks_and_cannot_decide(behind_proxy: str, ledger: Ledger) -> None:
    reader, approver = Visitor(behind_proxy, "Reader"), Visitor(behind_proxy, "approver")

    assert reader.get("/plan/employees").status_code == 200
    assert reader.find("nobody").status_code == 200
    refused = reader.post("/pause", {"reason": "no"}, page="/state")
    assert (refused.status_code, ledger.pause_state()) == (403, None)

    assert approver.post("/pause", {"reason": "moving house"}, page="/state").status_code == 200
    pause = ledger.pause_state()
    assert pause is not None
    assert (pause.who, pause.reason) == ("approver", "moving house")
    assert approver.post("/resume", {}, page="/state").status_code == 200
    assert ledger.pause_state() is None


@pytest.mark.parametrize(
    ("token", "headers"),
    [("", {}), ("0" * 64, {}), ("reader's", {}), ("own", {"Sec-Fetch-Site": "cross-site"})],
    ids=["no token", "a guess", "somebody else's", "a form of another site"],
)
def test_a_form_that_is_not_ours_decides_nothing(
    behind_proxy: str, ledger: Ledger, token: str, headers: dict[str, str]
) -> None:
    approver = Visitor(behind_proxy, "approver", headers)
    form = {"reason": "forged"}
    if token == "reader's":
        form["token"] = Visitor(behind_proxy, "reader").get("/").text.split('name="token" value="')[1][:64]
    elif token != "own":
        form["token"] = token

    assert approver.post("/pause", form, page="/state").status_code == 403
    assert ledger.pause_state() is None


def test_read_only_shows_and_decides_nothing(synced: Sandbox, ledger: Ledger) -> None:
    with open_desk(synced.environment, read_only=True) as visitor:
        assert visitor.get("/queue").status_code == 200
        assert visitor.post("/pause", {"reason": "x"}, page="/").status_code == 403
    assert ledger.pause_state() is None


@pytest.mark.parametrize("path", ["/", "/plan/employees", "/queue", "/runs", "/calls", "/state", "/nothing"])
def test_every_page_loads_nothing_from_elsewhere_and_is_kept_nowhere(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "http://" not in answer.text.replace("http://www.w3.org", "")
    assert "https://" not in answer.text
    assert "<script" not in answer.text


def test_every_look_at_a_person_is_written_down(behind_proxy: str, ledger: Ledger, synced: Sandbox) -> None:
    reader = Visitor(behind_proxy, "reader")
    number = next(iter(ledger.links("employees")))

    assert reader.get(f"/records/employees/{number}").status_code == 200
    look = stored(ledger, "looks")[0]
    reader.get("/records/jobs/nothing")
    reader.get("/state")

    assert (look["who"], look["entity"], look["source_key"]) == ("reader", "employees", number)
    assert stored(ledger, "looks")[0] == look


def test_whom_somebody_looked_at_is_forgotten_with_the_person(ledger: Ledger) -> None:
    ledger.log_look("reader", "employees", "4711")
    ledger.forget("employees", "4711")
    look = stored(ledger, "looks")[0]
    assert (look["who"], look["source_key"]) == ("reader", "")
