"""What is gone is marked with why, only after asking; a changelog is whole or not stored; times come from it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from jira_world import COLUMNS, Jiras, MakeJiras, errors

from safetyamp_pipelines.jira import issue_tables as t
from safetyamp_pipelines.operations.decisions import Decider
from safetyamp_pipelines.sync.model.errors import Refusal

INSTANCES = ("cloud", "data_center")
each_instance = pytest.mark.parametrize("instance", INSTANCES)


def gone(jiras: Jiras, instance: str) -> dict[int, str]:
    return {key[1]: row["gone_why"] for key, row in jiras.rows(instance).items() if row["gone_at"] is not None}


def changes(jiras: Jiras, instance: str, issue: int) -> list[Any]:
    with jiras.session() as session, session.book.reading() as db:
        theirs = (t.changes.c.instance == instance, t.changes.c.issue_id == issue)
        return list(db.execute(sa.select(t.changes).where(*theirs).order_by(t.changes.c.change_id)))


@each_instance
def test_deleted_moved_out_moved_within_and_invisible_are_told_apart(make_jiras: MakeJiras, instance: str) -> None:
    jiras = make_jiras(issues=30)
    jira = jiras[instance]
    jiras.read()
    jira.projects["ELSE"] = "Elsewhere"
    jira.visible.add("ELSE")
    jira.delete(10_001)
    jira.move(10_003, "TO", touches=False)
    jira.move(10_005, "ELSE")
    jiras.settings = jiras.with_projects("OPS", "TO")

    assert not errors(jiras.read("issues", "presence"))

    assert gone(jiras, instance) == {10_001: "deleted, or hidden by issue security", 10_005: "moved out to ELSE-1"}
    assert jiras.row(instance, 10_003)["issue_key"] == "TO-31"
    assert jiras.row(instance, 10_003)["old_keys"] == ["OPS-2"]


@each_instance
def test_what_comes_back_is_there_again_and_what_was_missed_is_read(jiras: Jiras, instance: str) -> None:
    jiras.read()
    issue = jiras[instance].issues.pop(10_001)
    jiras.read("presence")
    assert list(gone(jiras, instance)) == [10_001]

    jiras[instance].issues[10_001] = issue
    late = jiras[instance].create("OPS", summary="older than the watermark")
    jiras[instance].issues[late].updated = jiras[instance].now().replace(year=2020)
    jiras.read("presence")

    assert gone(jiras, instance) == {}
    assert jiras.row(instance, late)["summary"] == "older than the watermark"


@each_instance
def test_many_that_vanish_at_once_are_held_until_they_are_approved(make_jiras: MakeJiras, instance: str) -> None:
    jiras = make_jiras(issues=40)
    jiras.read()
    own = sorted(issue.id for issue in jiras[instance].issues.values() if issue.project == "OPS")
    for issue in own[:25]:
        jiras[instance].delete(issue)

    def approve(*keys: str) -> int:
        with jiras.session() as session:
            held = session.book.partition(instance, "OPS")["held"]
            ada = Decider("Ada", "ada", "it was a clean-up")
            with pytest.raises(Refusal, match="holds nothing of OPS-99"):
                session.book.approve_gone(session.ledger, held["hash"][:12], ada, ["OPS-99"])
            assert session.book.approve_gone(session.ledger, held["hash"][:7], ada) is None
            given = session.book.approve_gone(session.ledger, held["hash"][:12], ada, keys)
        return len(given["keys"])  # type: ignore[index]

    assert jiras.read("presence")[f"{instance}|OPS"]["held"] == 25  # type: ignore[index]
    assert gone(jiras, instance) == {}
    assert approve(*(f"OPS-{number}" for number in range(1, 11))) == 10
    jiras[instance].delete(own[30])

    # Ten are approved, one is new and alone, and fifteen wait although that is not many any more.
    assert jiras.read("presence")[f"{instance}|OPS"]["held"] == 15  # type: ignore[index]
    assert set(gone(jiras, instance)) == {*own[:10], own[30]}
    assert approve() == 15

    jiras.read("presence")

    assert set(gone(jiras, instance)) == {*own[:25], own[30]}


@each_instance
def test_a_permission_that_is_lost_while_the_project_is_listed_marks_nothing(jiras: Jiras, instance: str) -> None:
    jiras.read()
    with jiras.session() as session:
        session.refresh_partitions()
        jiras[instance].visible.discard("OPS")
        client = session.scope(instance).client
        client.ids = lambda _: {}  # type: ignore[method-assign]
        found = session.read("presence", [f"{instance}|OPS"])
    assert found[f"{instance}|OPS"]["not_visible"] == 12  # type: ignore[index]
    assert gone(jiras, instance) == {}


@each_instance
def test_a_changelog_is_stored_whole_or_not_at_all(jiras: Jiras, instance: str) -> None:
    jiras[instance].options.most_histories = 3
    for number in range(7):
        jiras[instance].edit(10_001, summary=f"number {number}", region="North")
    jiras[instance].edit(10_003, summary="once")

    found = jiras.read("issues", "history")[f"{instance}|OPS"]

    assert len(changes(jiras, instance, 10_001)) == (14 if instance == "cloud" else 0)
    assert found.get("cut", 0) == (0 if instance == "cloud" else 1)  # type: ignore[union-attr]
    assert [one.to_text for one in changes(jiras, instance, 10_003)] == ["once"]
    jiras[instance].options.most_histories = 40
    jiras.read("issues", "history")
    assert len(changes(jiras, instance, 10_001)) == 14


@each_instance
def test_times_of_transitions_fill_their_columns_also_of_issues_read_before(jiras: Jiras, instance: str) -> None:
    jira = jiras[instance]
    few = {name: COLUMNS[name] for name in ("summary", "status")}
    jiras.map(few)
    jira.edit(10_001, status="Done")
    first = jira.issues[10_001].updated
    jira.advance(minutes=30)
    jira.edit(10_001, status="To Do")
    jira.edit(10_001, status="Done")
    jiras.read("issues", "history")

    when = {"first_done": "first", "last_done": "last"}
    more = {name: {"type": "datetime", "when": {"to": "done", "which": which}} for name, which in when.items()}
    jiras.map({**few, **more, "done_on": {"type": "date", "when": {"to": "Done"}}})
    jiras.read("issues", "history")

    row = jiras.row(instance, 10_001)
    assert (row["first_done"], row["last_done"]) == (first, jira.issues[10_001].updated)
    assert row["done_on"] == first.date()
    assert jiras.row(instance, 10_003)["first_done"] is None
    jira.edit(10_003, status="Done")
    jiras.read("issues", "history")
    assert jiras.row(instance, 10_003)["first_done"] == jira.issues[10_003].updated
    assert jiras.row(instance, 10_001)["first_done"] == first
