"""`safetyamp compare` on the whole system: other rules, another release and kept plans, record by record, no writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import (
    Answer,
    assert_declined,
    assert_nothing_leaks,
    in_this_process,
    planned_hash,
    small_world,
)

from safetyamp_pipelines.sandbox import Sandbox

pytestmark = pytest.mark.xdist_group("compare")


@pytest.fixture(scope="module")
def planned() -> Iterator[Sandbox]:
    """A world that was planned; nothing was written to its SafetyAmp."""
    with small_world() as started:
        assert in_this_process(started, "plan").exit_code == 0
        yield started


def _rules(box: Sandbox, tmp_path: Path, **employees: Any) -> str:
    """A copy of the world's sync.yaml with other rules for employees."""
    rules = yaml.safe_load(Path(box.environment["SYNC_CONFIG"]).read_text(encoding="utf-8"))
    rules["employees"] = {**rules.get("employees", {}), **employees}
    path = tmp_path / "sync.yaml"
    path.write_text(yaml.safe_dump(rules), encoding="utf-8")
    return str(path)


def _comparisons(answer: Answer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer.document()["comparisons"]
    return found


def test_this_release_plans_kept_snapshots_as_it_did_then(planned: Sandbox) -> None:
    same = in_this_process(planned, "compare", "--json")

    assert same.exit_code == 0, same.stdout + same.stderr
    assert [one["entity"] for one in _comparisons(same)] == ["departments", "jobs", "titles", "employees", "vehicles"]
    assert [one["differences"] for one in _comparisons(same)] == [[], [], [], [], []]
    assert sum(one["changes"][1] for one in _comparisons(same)) > 5
    assert same.calls == []


def test_other_rules_are_tried_on_the_same_snapshots_and_show_no_value_unless_asked(
    planned: Sandbox, tmp_path: Path
) -> None:
    box = planned
    numbers = sorted({str(row["Employee"]) for row in box.world.viewpoint["bPREH"]})
    rules = _rules(box, tmp_path, suppressed=numbers)

    shown = in_this_process(box, "compare", "employees", "--rules", rules)
    (document,) = _comparisons(in_this_process(box, "compare", "employees", "--rules", rules, "--json"))
    valued = in_this_process(box, "compare", "employees", "--rules", rules, "--values")

    assert shown.exit_code == 1
    assert shown.calls == []
    assert document["same_snapshots"] is True
    assert document["changes"][0] > 3 > document["changes"][1] == 0
    assert {one["key"] for one in document["differences"]} <= set(numbers)
    assert all(one["verdicts"][0] != one["verdicts"][1] for one in document["differences"])
    assert "created (create) → " in shown.stdout
    assert_nothing_leaks(box, shown)
    names = {str(row["LastName"]).strip() for row in box.world.viewpoint["bPREH"]}
    assert any(name in valued.stdout for name in names)


def test_each_of_the_last_runs_is_tried(planned: Sandbox, tmp_path: Path) -> None:
    in_this_process(planned, "plan")

    rules = _rules(planned, tmp_path)
    last = in_this_process(planned, "compare", "titles", "--rules", rules, "--last", "2", "--json")

    assert len({one["run"] for one in _comparisons(last)}) == 2


def test_two_kept_plans_are_compared_by_their_hashes(box: Sandbox) -> None:
    first = planned_hash(in_this_process(box, "plan", "titles"))
    in_this_process(box, "sync", "titles")
    second = planned_hash(in_this_process(box, "plan", "titles"))

    answer = in_this_process(box, "compare", first, second, "--json")

    (document,) = _comparisons(answer)
    assert first != second
    assert answer.exit_code == 1
    assert document["same_snapshots"] is False
    assert {tuple(one["verdicts"]) for one in document["differences"]} == {("created", "unchanged")}


def test_what_cannot_be_compared_is_refused(box: Sandbox, tmp_path: Path) -> None:
    assert_declined(in_this_process(box, "compare", "titles"), "snapshots", "safetyamp plan")
    in_this_process(box, "plan", "titles")
    assert_declined(in_this_process(box, "compare", "abc", "abd"), "too short")
    assert_declined(in_this_process(box, "compare", "0123456789", "0123456789"), "no stored plan")
    assert_declined(in_this_process(box, "compare", "0123456789"), "two hashes")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("employees: {default_rolle: x}\n", encoding="utf-8")
    assert_declined(in_this_process(box, "compare", "--rules", str(wrong)), "default_rolle")
    refused = in_this_process(box, "compare", "--rules", str(wrong), "--json")
    assert json.loads(refused.stdout)["exit_code"] == 2
    with closing(sqlite3.connect(box.environment["LEDGER_URL"].removeprefix("sqlite:///"))) as database, database:
        database.execute("UPDATE ledger_version SET version_num = '0000'")  # an older release's
    assert_declined(in_this_process(box, "compare", "titles"), "revision 0000", "restored copy")
