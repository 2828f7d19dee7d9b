"""`python -m safetyamp_pipelines.sandbox`: the environment file leads to a living world, a signal ends it cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

PATIENCE = 600.0


def environment_of(path: Path, process: subprocess.Popen[str]) -> dict[str, str]:
    """The variables, as soon as the command has written them."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, "the command ended before it was ready"
        assert time.monotonic() < deadline, "the command wrote no environment"
        time.sleep(0.02)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_a_world_until_it_is_told_to_stop(tmp_path, number):
    size = ["--employees", "12", "--jobs", "6", "--vehicles", "4", "--present", "0.5", "--seed", "3"]
    place = ["--home", str(tmp_path / "home"), "--env-file", str(tmp_path / "sandbox.env")]
    command = [sys.executable, "-m", "safetyamp_pipelines.sandbox", *size, *place, "--calls", "90", "--period", "30"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        environment = environment_of(tmp_path / "sandbox.env", process)
        with requests.Session() as session:
            session.trust_env = False
            token = {"Authorization": f"Bearer {environment['SAMSARA_API_KEY']}"}
            answer = session.get(f"{environment['SAMSARA_BASE_URL']}/fleet/vehicles", headers=token, timeout=60)
        assert len(answer.json()["data"]) == 4
        assert environment["API_RATE_LIMIT_CALLS"] == "90"
        assert Path(environment["SYNC_CONFIG"]).exists()
        assert (tmp_path / "home" / "viewpoint.db").exists()
    finally:
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert "caught alerts: http://127.0.0.1:" in output
    assert "control door: http://127.0.0.1:" in output
    assert environment["SAMSARA_API_KEY"] not in output
