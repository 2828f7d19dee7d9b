"""`safetyamp forget`: no value of the person is left in any kept file, everything still loads, and counts stay."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from commands import in_this_process, small_world
from cryptography.fernet import Fernet

from safetyamp_pipelines.jira.book import JiraBook, open_tables
from safetyamp_pipelines.jira.issue_tables import changes
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.forget.forgetting import table_names
from safetyamp_pipelines.sandbox import Sandbox
from safetyamp_pipelines.systems.snapshots.parquet import snapshot_from_parquet
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore

pytestmark = pytest.mark.xdist_group("forget")

MARKS = ("Zebulon", "Quixotic", "quixotic", "Wolpertinger")
"""What only this person has: in names, addresses of mail, and the street."""


@dataclass
class Known:
    """A world in which one person is everywhere: payroll, Entra, SafetyAmp, and at the wheel of a vehicle."""

    box: Sandbox
    number: str
    vehicle: str
    key: str

    def command(self, *arguments: str, **changes: str | None) -> Any:
        return in_this_process(self.box, *arguments, SNAPSHOT_ENCRYPTION_KEY=self.key, **changes)

    def ledger(self) -> Ledger:
        return Ledger.open(self.box.environment["LEDGER_URL"])

    def store(self) -> SnapshotStore:
        return SnapshotStore(self.box.environment["SNAPSHOT_URL"], encryption_key=self.key)

    def kept(self) -> Iterator[tuple[str, str]]:
        """Every payload in the store as (path, text), each loaded and verified as a run does."""
        store, base = self.store(), Path(self.box.environment["SNAPSHOT_URL"].removeprefix("file://"))
        for name in sorted({manifest.parent.relative_to(base).as_posix() for manifest in base.rglob("*.json")}):
            for ref in store.history(name):
                payload = store.read(ref)
                if ref.kind == "snapshot":
                    snapshot = snapshot_from_parquet(payload, ref.content)
                    yield ref.path, json.dumps([snapshot.records, snapshot.notices], ensure_ascii=False)
                else:
                    yield ref.path, gzip.decompress(payload).decode()


def found_in(text: str) -> list[str]:
    return [mark for mark in MARKS if mark in text]


@pytest.fixture(scope="module")
def known() -> Iterator[Known]:
    with small_world() as box:
        sources, key = box.sources, Fernet.generate_key().decode()
        columns = {"Address": "7 Wolpertinger St", "MidName": "Quixotic"}
        number = str(sources.hire("Zebulon", "Quixotic", **columns))
        sources.entra_update(int(number), mail="z.quixotic@example.com", displayName="Zebulon Quixotic")
        driver = sources.samsara_add("drivers", name="Zebulon Quixotic", notes=number)
        vehicle = sources.samsara_add(
            "vehicles",
            name="Unit 7 - Zebulon Quixotic",
            vin="1FTEX1CP0JK777777",
            staticAssignedDriver={"id": driver, "name": "Zebulon Quixotic"},
        )
        found = Known(box, number, vehicle, key)
        found.command("sync")
        sources.update("bPREH", {"PRCo": 1, "Employee": int(number)}, Address="8 Wolpertinger St")
        found.command("sync", "employees", "vehicles")
        with found.ledger() as ledger:
            session = ledger.sessions(1, entity="employees")[0].id
        found.command("undo", str(session), "--dry-run")
        yield found


def test_no_value_is_left_in_any_kept_file_and_everything_still_loads(known: Known) -> None:
    # given the person in the ledger and in encrypted snapshots and plans of every kind
    before = dict(known.kept())
    told = {path.rpartition("/")[0] for path, text in before.items() if found_in(text)}
    ledger_file = Path(known.box.environment["LEDGER_URL"].removeprefix("sqlite:///"))
    assert told >= {*table_names(), "plan/employees", "plan/vehicles", "undo/employees"} - {"viewpoint/recent_jobs"}
    assert found_in(ledger_file.read_bytes().decode("latin-1"))
    with known.ledger() as ledger:
        changes, sessions = ledger.changes(), ledger.sessions()
        counts = [(run.run_id, run.counts) for run in ledger.runs("employees")]

    # when the person is forgotten
    answer = known.command("forget", "employee", known.number, "--yes", "--by", "Kim")

    # then nothing of it is left, and everything else is
    assert answer.exit_code == 0, answer.stderr
    after = dict(known.kept())
    assert {path: marks for path, text in after.items() if (marks := found_in(text))} == {}
    assert not found_in(ledger_file.read_bytes().decode("latin-1"))
    assert len(after) == len(before)
    with known.ledger() as ledger:
        assert [(one.id, one.status, one.source_key) for one in ledger.changes()] == [
            (one.id, one.status, one.source_key) for one in changes
        ]
        assert ledger.sessions() == sessions
        assert [(run.run_id, run.counts) for run in ledger.runs("employees")] == counts
        assert ledger.links("employees")[known.number].target_id
        assert ledger.lease_holder("push") is None
    lines = answer.stdout.splitlines()
    assert lines[0].startswith(f"employee {known.number}: values taken out of ")
    assert f"the vehicles that hold values of theirs: {known.vehicle}" in lines[1]
    assert "employees.suppressed of sync.yaml" in lines[2]
    assert "SafetyAmp keeps its own record" in lines[3]
    assert "Dagster's event log" in lines[4]


def test_a_rewritten_snapshot_has_as_many_rows_and_says_what_was_done(known: Known) -> None:
    known.command("forget", "employee", known.number, "--yes")
    ref = known.store().newest("viewpoint/employees")
    assert ref is not None

    snapshot = snapshot_from_parquet(known.store().read(ref), ref.content)

    (row,) = [row for row in snapshot.records if str(row["Employee"]) == known.number]
    assert {name for name, value in row.items() if value is not None} == {"PRCo", "Employee"}
    assert snapshot.certificate is not None
    ours = [row for row in known.box.world.viewpoint["bPREH"] if row["PRCo"] == 1]
    assert len(snapshot.records) == snapshot.certificate.rows == len(ours)
    assert snapshot.notices[-1].startswith(f"values of employee {known.number} were forgotten on 20")
    assert ref.encrypted


def test_forgetting_again_changes_nothing_and_explain_still_answers(known: Known) -> None:
    known.command("forget", "employee", known.number, "--yes")

    again = known.command("forget", "employee", known.number, "--yes", "--json").document()
    assert not again["jira"]
    explained = known.command("explain", "employee", known.number)

    assert again["snapshots"] == {}
    assert explained.exit_code == 0, explained.stderr
    assert not found_in(explained.stdout)
    assert "created" in explained.stdout


def test_jiras_tables_lose_who_is_known_by_name_and_address_and_keep_who_shares_a_name(
    known: Known, tmp_path: Path
) -> None:
    known.command("sync", "employees")
    url = f"sqlite:///{tmp_path}/jira.db"
    jira = json.dumps([{"name": "site", "url": "https://a.example.com", "token": "a-token"}])
    texts = ["Zebulon Quixotic", "mail to z.quixotic@example.com", "Zebulon Quixotically"]
    keys = {"instance": "site", "issue_id": 1, "change_id": 1, "field": "assignee", "at": datetime.now(UTC)}
    with closing(JiraBook(open_tables(url))) as book:
        with book.writing() as db:
            db.execute(sa.insert(changes), [{**keys, "item": n, "to_text": text} for n, text in enumerate(texts)])

        answer = known.command("forget", "employee", known.number, "--yes", JIRA_INSTANCES=jira, JIRA_DATABASE_URL=url)

        kept = [row["to_text"] for row in book.rows(sa.select(changes.c.to_text).order_by(changes.c.item))]
    assert kept == ["[forgotten]", "mail to [forgotten]", "Zebulon Quixotically"]
    assert "erased from 2 rows of the Jira tables" in answer.stdout
    assert "jira forget ID" in answer.stdout


def test_who_is_still_in_viewpoint_comes_back_with_the_next_run_and_has_one_account(known: Known) -> None:
    known.command("forget", "employee", known.number, "--yes")
    users = len(known.box.safetyamp.tables()["users"])

    answer = known.command("sync", "employees", "--json")

    assert answer.exit_code == 0, answer.stderr
    assert len(known.box.safetyamp.tables()["users"]) == users
    assert any(found_in(text) for _, text in known.kept())
    known.command("forget", "employee", known.number, "--yes")


def test_it_is_refused_while_somebody_pushes_for_strangers_and_without_consent(known: Known) -> None:
    with known.ledger() as ledger:
        lease = ledger.acquire_lease("push", "run 7 on host-3", 60)
        busy = known.command("forget", "employee", known.number, "--yes")
        ledger.release(lease)
    stranger = known.command("forget", "employee", "999999", "--yes")
    thing = known.command("forget", "vehicle", known.vehicle, "--yes")
    unasked = known.command("forget", "employee", known.number, "--json")

    assert (busy.exit_code, "held by run 7 on host-3" in busy.stderr) == (2, True)
    assert (stranger.exit_code, "nothing is known of employee 999999" in stranger.stderr) == (2, True)
    assert (thing.exit_code, "not a person" in thing.stderr) == (2, True)
    assert unasked.exit_code == unasked.document()["exit_code"] == 2
    assert "for good?" in unasked.stderr
    assert "nobody agreed to it" in unasked.document()["errors"][0]["error"]
