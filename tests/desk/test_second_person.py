"""`guards.second_person_above`: two people, each logged in as themselves, whose approvals stand when it is pushed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import Answer, assert_declined, in_this_process, planned_hash
from open_desk import PROXY, Visitor, open_desk, text_of
from personnel import leavers, people, strict

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import Sandbox
from safetyamp_pipelines.settings.loading import login_name

HASH = re.compile(r"safetyamp approve (\w+)")
JIRA_AWAY = {"JIRA_URL_1": "https://jira.firm.example", "JIRA_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
PICKS = re.compile(r'name="change" value="(\w+)" aria-label="(\w+)"')
SET = re.compile(r'name="set" value="(\w+)"')


@pytest.fixture
def rules(synced_box: Sandbox, tmp_path: Path) -> dict[str, str]:
    """Settings under which two people must approve that two leave."""
    given = strict(synced_box, tmp_path)
    path = Path(given["SYNC_CONFIG"])
    path.write_text(path.read_text().replace("guards: {", "guards: {second_person_above: 1, "))
    return given


def decide(visitor: Visitor, how: str, key: str = "") -> str:
    """Press that button for the held leavers, or one of them; what the desk says then."""
    page = visitor.get("/plan/employees").text
    picked = [change for change, of in PICKS.findall(page) if key in ("", of)]
    form = {"entity": "employees", "set": SET.findall(page)[0], "guard": "deactivations", "reason": "so it is"}
    return text_of(visitor.post("/held", {**form, "how": how, "change": picked}))  # type: ignore[dict-item]


def test_many_changes_need_two_people_whose_approvals_stand_at_the_push(
    synced_box: Sandbox, rules: dict[str, str]
) -> None:
    box, kim = synced_box, login_name()
    first, second = leavers(box, 2)

    def shell(*command: str, **changes: str) -> Answer:
        return in_this_process(box, *command, **rules, **changes)

    def applied(plan: Answer) -> list[str]:
        """The leavers that the plan's push left out."""
        document = shell("apply", planned_hash(plan), "--json").document()
        return [one["key"] for one in document["left_out"] if "an approval of it" in one["why"][0]]

    (reviewed,) = set(HASH.findall(str(shell("sync", "employees", "--json").document()["errors"])))
    approve = ("approve", reviewed, "--reason", "they left", "--hours", "1")
    with (
        open_desk(box.environment, **rules, **{**PROXY, "DESK_APPROVERS": "*"}) as desk,
        Ledger.open(box.environment["LEDGER_URL"], clock=lambda: datetime.now(UTC) + timedelta(hours=2)) as ahead,
    ):
        # given one person, under several names and logins: that is one approval, and nothing is pushed
        once = shell(*approve, "--by", "HR")
        again = shell(*approve, "--by", "Lee", LOGNAME="lee", USER="lee", **JIRA_AWAY)
        himself = decide(Visitor(desk.url, f"{kim.upper()}@firm.example"), "approve")
        status = shell("status", "--json").document()["change_approvals"]
        lines = shell("status").stdout
        waits = shell("sync", "employees", "--json")
        assert "a second one must, logged in as themselves" in once.stdout
        assert_declined(again, "a second one must", f"safetyamp approve {reviewed}", "on the desk")
        assert "a second one must" in himself
        assert [(one["who"], one["login"], one["keys"]) for one in status] == [("HR", kim, [first, second])]
        assert f"2 changes of employees that deactivations holds, by HR (logged in as {kim}): they left" in lines
        assert (waits.writes, waits.exit_code) == ([], 2)
        assert "a second one must" in str(waits.document()["not_in_step"])

        # when another approves, and the first approval expires before the push
        assert "The next sync pushes" in decide(Visitor(desk.url, "lee"), "approve")
        plan = shell("plan", "employees")
        ahead.approved("employees")
        assert (applied(plan), people(box)[first]["system_access"]) == ([first, second], 1)

        # when the first one approves again, and the other takes one back before the push
        shell(*approve)
        plan = shell("plan", "employees")
        assert "Refused" in decide(Visitor(desk.url, "lee"), "refuse", first)
        assert applied(plan) == [first]

    # then only what two people still want is done, and nothing of it stays approved
    assert [people(box)[key]["system_access"] for key in (first, second)] == [1, 0]
    assert shell("status", "--json").document()["change_approvals"] == []
    assert shell("sync", "employees").writes == []
