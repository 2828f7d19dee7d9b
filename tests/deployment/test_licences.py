"""Everything that ships says under which licence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-image.lock"])
def test_every_pinned_package_is_listed_with_a_licence(lock: str) -> None:
    command = [sys.executable, "docker/licences.py", lock]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    pinned = [line for line in (ROOT / lock).read_text().splitlines() if line[:1].isalnum() and "==" in line]
    assert len(done.stdout.splitlines()) == len(pinned)
