"""Random histories of two Jiras, and an oracle that shares no code with what fills the table.

A story edits, moves, deletes and hides while it reads, lets calls fail and reads break off, changes the mapping, reads
windows, and reads one partition twice at once. After every chapter: nothing older over newer, no watermark past what
is unread. At the end one more run, and the table is what the Jiras say.
"""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from commands import COMMAND, environment_of
from jira_world import COLUMNS, Jiras, MakeJiras, errors

from safetyamp_pipelines.jira.forward import OVERLAP, Window
from safetyamp_pipelines.sandbox.jira_state import STATUSES, Issue, JiraState

STORIES = range(8)
FAULTS = (
    *("status", "cut_before", "cut_after", "truncate", "cut_json", "html"),
    *("slow_answer", "empty_page", "repeat_page"),
)
DEEDS = ("create", "edit", "edit", "transition", "move", "slip", "delete", "hide", "show", "wait")
FEW = {name: COLUMNS[name] for name in ("summary", "status", "points", "done_at")}
OTHER = {**FEW, "place": COLUMNS["place"], "done_at": {"type": "datetime", "when": {"to": "In Review"}}}
MAPPINGS = (COLUMNS, FEW, OTHER)


class Broken(BaseException):
    """What a kill looks like to a read, except that `finally` still runs."""


def wanted(state: JiraState, issue: Issue, columns: dict[str, Any]) -> dict[str, Any]:
    """What the row of an issue has to say, in this module's own words."""
    values = issue.values
    runs = re.findall(r"\d+", values["order"] or "")
    when = columns.get("done_at", {}).get("when", {})
    times = [
        history["created"]
        for history in issue.histories
        if any((item["field"], item["toString"]) == ("status", when.get("to")) for item in history["items"])
    ]
    active = [one["name"] for one in values["sprint"] or [] if one["state"] == "active"]
    place, points = values["place"], values["points"]
    every = {
        "summary": values["summary"],
        "status": values["status"],
        "description": values["description"],
        "project_name": state.projects[issue.project],
        "assignee": values["assignee"],
        "labels": values["labels"] or None,
        "order_no": values["order"],
        "order_number": int(runs[0]) if len(runs) == 1 else None,
        "region": values["region"],
        "points": None if points is None else Decimal(str(points)),
        "sprint": active[-1] if active else None,
        "installed": values["installed"] and datetime.fromisoformat(values["installed"]).date(),
        "inspected": values["inspected"] and datetime.fromisoformat(values["inspected"]).astimezone(UTC),
        "place": place and " > ".join(filter(None, place)),
        "systems": values["tags"],
        "done_at": None if not times else times[-1] if when.get("which") == "last" else times[0],
    }
    return {name: every[name] for name in columns} | {"issue_key": issue.key, "updated": issue.updated}


def said(row: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
    found = {name: row[name] for name in (*columns, "issue_key", "updated")}
    if "systems" in found and found["systems"] is not None:
        found["systems"] = [one["value"] for one in found["systems"]]
    return found


class Story:
    """One history, drawn from a seed."""

    def __init__(self, jiras: Jiras, seed: int) -> None:
        self.jiras, self.draw, self.columns = jiras, Random(seed), dict(COLUMNS)
        self.newest: dict[tuple[str, int], datetime] = {}
        self.unmoved: set[tuple[str, int]] = set()
        for instance in ("cloud", "data_center"):
            options = jiras[instance].options
            options.most_per_page, options.short_pages = self.draw.randint(2, 6), self.draw.random() < 0.5
            options.id_by_number = self.draw.random() < 0.5

    def act(self, draw: Random) -> None:
        """Something that people do in one of the two."""
        instance = draw.choice(("cloud", "data_center"))
        jira = self.jiras[instance]
        with jira.lock:
            known = list(jira.issues)
            match draw.choice(DEEDS):
                case "create":
                    jira.create(draw.choice(["OPS", "TO"]))
                case "edit":
                    jira.edit(draw.choice(known), summary=f"edit {draw.random()}", points=draw.choice([None, 1, 2.25]))
                case "transition":
                    jira.transition(draw.choice(known), draw.choice(STATUSES))
                case "move" | "slip" as how:
                    issue = jira.issues[draw.choice(known)]
                    jira.move(issue.id, "TO" if issue.project == "OPS" else "OPS", touches=how == "move")
                    if how == "slip":
                        self.unmoved.add((instance, issue.id))
                case "delete":
                    if len(known) > 16:
                        jira.delete(draw.choice(known))
                case "hide":
                    jira.hide_project(draw.choice(["OPS", "TO"]))
                case "show":
                    jira.show_project("OPS")
                    jira.show_project("TO")
                case "wait":
                    jira.advance(minutes=draw.choice([1, 4, 6, 90]))

    def chapter(self) -> None:
        """People at work beside a read that may meet faults, or break off."""
        draw, box = self.draw, self.jiras.box
        if draw.random() < 0.3:
            self.columns = dict(draw.choice(MAPPINGS))
            self.jiras.map(self.columns)
        for _ in range(draw.randint(0, 3)):
            system, kind = draw.choice(["jira_cloud", "jira_data_center"]), draw.choice(FAULTS)
            times, status = draw.choice([1, 2, 9]), draw.choice([400, 429, 500, 503])
            self.jiras.fault(kind=kind, system=system, nth=draw.randint(1, 9), times=times, status=status, delay=0.01)
        people = threading.Thread(target=self._work, args=(Random(draw.random()), stop := threading.Event()))
        people.start()
        try:
            match draw.choice(("forward", "forward", "broken", "window", "beside", "twice", "presence", "history")):
                case "forward":
                    self.jiras.read("issues", "history")
                case "broken":
                    self._broken(draw.randint(1, 4))
                case "window":
                    self._window()
                case "beside" | "twice" as how:
                    second = threading.Thread(target=self._window if how == "beside" else self.jiras.read)
                    second.start()
                    self.jiras.read()
                    second.join()
                case kind:
                    self.jiras.read(kind)
        finally:
            stop.set()
            people.join()
            box.faults.clear()
        self.check()

    def _window(self) -> None:
        draw, now = self.draw, self.jiras.cloud.now()
        since, until = now - timedelta(days=draw.randint(1, 99)), now - timedelta(minutes=draw.randint(0, 9))
        self.jiras.read("issues", window=Window(since, until))

    def _work(self, draw: Random, stop: threading.Event) -> None:
        for _ in range(12):
            if stop.is_set():
                return
            self.act(draw)
            time.sleep(draw.choice([0, 0.005, 0.02]))

    def _broken(self, after: int) -> None:
        with self.jiras.session() as session, suppress(Broken):
            session.refresh_partitions()
            key = self.draw.choice(session.partition_keys() or ["cloud|OPS"])
            with suppress(Exception):
                client = session.scope(key.partition("|")[0]).client
                whole = client.pages

                def pages(where: str, fields: Any) -> Any:
                    for number, page in enumerate(whole(where, fields), start=1):
                        yield page
                        if number == after:
                            raise Broken

                client.pages = pages  # type: ignore[method-assign]
                session.read("issues", [key])

    def check(self) -> None:
        """What has to hold at any time."""
        rows = self.jiras.rows()
        for key, row in rows.items():
            assert row["updated"] >= self.newest.get(key, row["updated"]), f"{key}: an older reading over a newer one"
            self.newest[key] = row["updated"]
        partitions = self.jiras.eyes.book.partitions()
        for partition in partitions:
            instance, project, mark = partition["instance"], partition["project"], partition["watermark"]
            for issue in list(self.jiras[instance].issues.values()):
                is_due = issue.project == project and (instance, issue.id) not in self.unmoved
                if mark is not None and is_due and issue.updated < mark - OVERLAP:
                    row = rows.get((instance, issue.id))
                    assert row is not None, f"{instance} {issue.key} is unread and behind the watermark"
                    assert row["updated"] >= issue.updated, f"{instance} {issue.key} is stale and behind the watermark"

    def end(self) -> None:
        """One more run, and the table says what the Jiras say."""
        for instance in ("cloud", "data_center"):
            self.jiras[instance].visible |= {"OPS", "TO"}
        for kind in ("issues", "presence", "history"):
            assert not errors(self.jiras.read(kind)), kind
        rows = self.jiras.rows()
        for instance in ("cloud", "data_center"):
            state = self.jiras[instance]
            here = {key[1]: row for key, row in rows.items() if key[0] == instance and row["gone_at"] is None}
            assert set(here) == set(state.issues)
            for number, issue in state.issues.items():
                assert said(here[number], self.columns) == wanted(state, issue, self.columns), f"{instance} {issue.key}"


def play(jiras: Jiras, seed: int, chapters: int = 5) -> None:
    story = Story(jiras, seed)
    for _ in range(chapters):
        story.chapter()
    story.end()


@pytest.mark.parametrize("seed", STORIES)
def test_after_any_history_one_more_run_makes_the_table_what_the_jiras_say(make_jiras: MakeJiras, seed: int) -> None:
    play(make_jiras(issues=10), seed)


@pytest.mark.parametrize(("instance", "call"), [("cloud", 9), ("data_center", 3)])
def test_a_process_that_is_killed_while_it_reads_loses_nothing(
    make_jiras: MakeJiras, instance: str, call: int, tmp_path: Path
) -> None:
    jiras = make_jiras(issues=40)
    story, key = Story(jiras, call), f"{instance}|OPS"
    jiras.fault(kind="slow_answer", system=f"jira_{instance}", path_regex="/search", nth=call, delay=5.0)
    url = jiras.settings.jira_database_url.get_secret_value()
    environ = environment_of(jiras.box, {"JIRA_DATABASE_URL": url})
    with subprocess.Popen([COMMAND, "jira", "sync", key], env=environ, cwd=tmp_path) as reading:
        while sum("/search" in one.path for one in jiras.requests(instance)) < call:
            assert reading.poll() is None
            time.sleep(0.02)
        reading.kill()
    jiras.box.faults.clear()
    assert reading.returncode == -signal.SIGKILL
    story.check()

    assert errors(jiras.read(keys=(key,))) == {}, "its partition is free at once"
    story.end()


def test_a_history_ends_the_same_on_postgresql(make_jiras: MakeJiras, new_postgresql: Any) -> None:
    play(make_jiras(issues=8, database=new_postgresql()), 101)
