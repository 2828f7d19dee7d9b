"""The sandbox catches its own alerts, by mail and by webhook, and takes nothing from a .env beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from commands import in_this_process

from safetyamp_pipelines.sandbox import Sandbox, WorldSpec


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(WorldSpec(employees=0, jobs=0, vehicles=0), catches_alerts=True) as box:
        yield box


def test_alerts_of_a_sandbox_are_caught_and_shown_whatever_a_env_file_says(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("ALERT_EMAIL_TO=real@example.com\nHEARTBEAT_URL=http://127.0.0.1:9/real\n")
    monkeypatch.chdir(tmp_path)

    answer = in_this_process(box, "alerts", "test", "--json")

    assert answer.exit_code == 0, answer.stderr
    caught = requests.get(f"{box.alerts_url}/caught", timeout=60).json()
    assert [(one["kind"], one["to"], one["subject"]) for one in caught["caught"]] == [
        ("mail", "on-call@example.com", "[SafetyAmp sync] test of the alerts"),
        ("webhook", "/webhook", "[SafetyAmp sync] test of the alerts"),
    ]
    assert "nothing needs to be done" in caught["caught"][0]["text"]
    assert caught["beats"] == 1
    page = requests.get(box.alerts_url, timeout=60).text
    assert page.count("[SafetyAmp sync] test of the alerts</h2>") == 2
