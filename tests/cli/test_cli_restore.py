"""The drill of docs/deployment.md: a ledger that is restored from a backup a day old makes no duplicate."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from commands import in_this_process
from reliability.lean import lean_run

from safetyamp_pipelines.sandbox import Sandbox


def _ledger_of(box: Sandbox) -> str:
    return box.environment["LEDGER_URL"].removeprefix("sqlite:///")


def _copy(source: str, target: str) -> None:
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)


def test_a_ledger_restored_from_yesterday_makes_no_duplicate_and_loses_no_change(
    synced_box: Sandbox, tmp_path: Path
) -> None:
    box, backup = synced_box, str(tmp_path / "ledger-of-yesterday.db")
    _copy(_ledger_of(box), backup)

    # A day passes: people come, leave and change, and a run pushes all of it.
    box.sources.add_department("77", "Night shift", "South")
    box.sources.add_job("77001.", "Night bridge", "77")
    hired = [box.sources.hire(udEmpTitle="Night welder", job="77001.") for _ in range(3)]
    leaver = int(next(row["Employee"] for row in box.world.viewpoint["bPREH"] if row["TermDate"] is None))
    box.sources.terminate(leaver)
    box.sources.samsara_add("vehicles", name="Truck 77", vin="1FTFW1ET5DFC10377")
    since = len(box.requests())
    assert lean_run(box.environment).is_clean
    day = box.requests("safetyamp", since)
    before = box.safetyamp.tables()

    _copy(backup, _ledger_of(box))
    restored = in_this_process(box, "sync", "--json")
    after = box.safetyamp.tables()
    since = len(box.requests())
    again = lean_run(box.environment)

    assert len([call for call in day if call.method == "POST"]) >= len(hired) + 3
    assert [call.path for call in restored.writes if call.method == "POST"] == []
    assert {table: len(rows) for table, rows in after.items()} == {table: len(rows) for table, rows in before.items()}
    numbers = Counter(str(user["emp_id"]) for user in after["users"] if user.get("emp_id"))
    assert [number for number, accounts in numbers.items() if accounts > 1] == []
    assert (again.is_clean, again.planned) == (True, 0)
    assert not [call for call in box.requests("safetyamp", since) if call.is_write]
