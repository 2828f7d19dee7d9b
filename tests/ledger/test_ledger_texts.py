"""SQLite and PostgreSQL take the same texts, whoever wrote them: people, sources, SafetyAmp."""

from __future__ import annotations

import pytest
from ledger_entries import link

from safetyamp_pipelines.ledger import Ledger

TEXTS = {
    "a\x00b": "ab",
    "half \ud83d": "half \ufffd",
    "undecodable \udcff": "undecodable \ufffd",
    "\x1b[2J": "[2J",
    "x" * 20_000: "x" * 20_000,
    "é\u202e\ufeff ٣ 👩": "é\u202e\ufeff ٣ 👩",
}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_every_text_is_taken_and_read_alike(text: str, ledger: Ledger) -> None:
    kept = TEXTS[text]

    pause = ledger.pause(text, text)
    lease = ledger.acquire_lease("push", text, 5)
    holder = ledger.lease_holder("push")
    ledger.release(lease)
    link(ledger, "employees", "1", "u", {"note": text, "all": [text]})
    pushed = ledger.links("employees")["1"].pushed
    unlinked = ledger.unlink("employees", "1", text, text)

    assert unlinked is not None
    assert (ledger.pause_state() or pause).reason == kept
    assert ledger.unlinked()[0].reason == kept
    assert holder is not None
    assert holder[0] == kept
    assert {str(pushed["note"]), str(pushed["all"][0])} <= {text, kept}
