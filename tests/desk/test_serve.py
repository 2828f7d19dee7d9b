"""`safetyamp serve` as a process: it is there in a moment, keeps to loopback, and ends when it is asked to."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import requests
from commands import COMMAND, as_process, environment_of

from safetyamp_pipelines.sandbox import Sandbox


def test_pages_and_endpoints_for_machines_have_their_ports_and_ctrl_c_ends_them(
    synced: Sandbox, tmp_path: Path
) -> None:
    command = [COMMAND, "serve", "--port", "0", "--metrics-port", "0"]
    environment = environment_of(synced, {})
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = process.stdout.readline() + process.stdout.readline()
            pages, machines = re.findall(r"http://127\.0\.0\.1:\d+", lines)
            assert requests.get(f"{pages}/state", timeout=60).status_code == 200
            assert requests.get(f"{pages}/metrics", timeout=60).status_code == 404
            assert requests.get(f"{machines}/live", timeout=60).text == "alive\n"
            assert requests.get(f"{machines}/state", timeout=60).status_code == 404
        finally:
            process.send_signal(signal.SIGINT)
            exit_code = process.wait(600)
    assert exit_code in (0, 130)


def test_it_binds_nowhere_else_without_a_login_proxy_and_says_what_is_missing(synced: Sandbox, tmp_path: Path) -> None:
    answer = as_process(synced, "serve", "--host", "0.0.0.0", "--port", "0", cwd=tmp_path)

    assert (answer.exit_code, answer.stdout) == (2, "")
    for name in ("DESK_USER_HEADER", "DESK_TRUSTED_PROXIES", "DESK_READERS or DESK_APPROVERS"):
        assert name in answer.stderr
