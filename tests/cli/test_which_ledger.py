"""A command that asks or decides does so in the ledger that is meant, and says which; it never begins another."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from commands import assert_declined, in_this_process

from safetyamp_pipelines.ledger import Ledger, LedgerUnusable
from safetyamp_pipelines.sandbox import Sandbox, WorldSpec


@pytest.fixture(scope="module")
def box() -> Sandbox:
    with Sandbox(WorldSpec(seed=3, employees=4, jobs=2, vehicles=1)) as box:
        yield box


@pytest.mark.parametrize("command", [["status"], ["pause", "--reason", "audit"], ["failures", "list"], ["history"]])
def test_in_the_wrong_folder_nothing_is_made_and_nothing_is_answered(
    command: list[str], box: Sandbox, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'ledger.db'}"

    answer = in_this_process(box, *command, begun=False, LEDGER_URL=url)

    assert_declined(answer, "elsewhere/ledger.db is missing", "SAFETYAMP_DATA_DIR")
    assert not (tmp_path / "elsewhere").exists()


def test_the_ledger_that_was_used_is_named(box: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    answer = in_this_process(box, "status", "--json", LEDGER_URL=f"sqlite:///{path}")

    assert json.loads(answer.stdout)["ledger_used"] == str(path)
    assert f"ledger: {path}" in answer.stderr


@pytest.mark.parametrize("loss", ["deleted", "emptied"])
def test_where_a_ledger_was_none_begins_unasked(loss: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.pause("Kim", "audit")
    for file in tmp_path.glob("ledger.db*"):
        if file.suffix != ".begun":
            file.unlink()
    if loss == "emptied":
        path.touch()

    with pytest.raises(LedgerUnusable, match=r"restore it from a backup, or delete .*ledger\.db\.begun"):
        Ledger.open(f"sqlite:///{path}")

    Path(f"{path}.begun").unlink()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert ledger.pause_state() is None


def test_doctor_tries_a_write_and_begins_no_ledger(box: Sandbox, tmp_path: Path) -> None:
    fresh = in_this_process(box, "doctor", "--json", begun=False, LEDGER_URL=f"sqlite:///{tmp_path / 'new' / 'l.db'}")
    path = tmp_path / "ledger.db"
    with Ledger.open(f"sqlite:///{path}"), sqlite3.connect(path) as writer:
        writer.execute("CREATE TRIGGER read_only BEFORE UPDATE ON ledger_keys BEGIN SELECT RAISE(ABORT, 'no'); END")

    refused = in_this_process(box, "doctor", "--json", begun=False, LEDGER_URL=f"sqlite:///{path}").document()

    assert fresh.document()["ledger"]["text"].startswith("none yet")
    assert not (tmp_path / "new" / "l.db").exists()
    assert refused["ledger"]["ok"] is False
