"""Microsoft's own emulator of a blob store, from npm: `make azurite` installs it into .venv."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

INSTALLED = Path(__file__).parents[1] / ".venv/azurite/node_modules/.bin/azurite-blob"
ACCOUNT = "teststore"
KEY = base64.b64encode(os.urandom(32)).decode()
PATIENCE = 60.0


def address(port: int, key: str = KEY) -> str:
    """The connection string of an account there."""
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={endpoint};"


@contextmanager
def azurite(folder: Path) -> Iterator[int]:
    """The port of a store that keeps its blobs in the folder; skips where there is none."""
    program = str(INSTALLED) if INSTALLED.exists() else shutil.which("azurite-blob")
    if program is None or shutil.which("node") is None:
        pytest.skip("Azurite is not installed: `make azurite` does that, with node and npm")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [program, "--silent", "--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
    with subprocess.Popen([*command, "--location", str(folder)], env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            _await(port, process)
            yield port
        finally:
            process.terminate()


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            assert process.poll() is None, "Azurite ended before it served"
            assert time.monotonic() < deadline, "Azurite does not serve"
            time.sleep(0.1)
