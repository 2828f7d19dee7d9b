"""A headless Chromium that opens pages, reads them, fills forms and presses buttons, through its debugging protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import requests
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
]
PATIENCE = 300.0


def found() -> str | None:
    """The browser's path, if this machine has one."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


class Browser:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, count(1)
        self._send("Page.enable")

    def open(self, url: str) -> None:
        self.run("window.isOld = true")
        self._send("Page.navigate", url=url)
        self._wait()

    def open_until(self, url: str, words: Sequence[str], height: int = 2_500) -> list[str]:
        """Open a page whose scripts write it, in a window so high: what lies outside is not drawn. The words, in
        whatever case, that it never had."""
        self.resize(1_500, height)
        self.open(url)
        end, missing = monotonic() + PATIENCE, list(words)
        while missing and monotonic() < end:
            sleep(0.5)
            seen = str(self.run("document.body.innerText")).casefold()
            missing = [word for word in missing if word.casefold() not in seen]
        return missing

    def fill(self, selector: str, text: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(text)}")

    def press(self, label: str) -> None:
        """Press the first button or link with this label, and wait for the page behind it."""
        self.run(
            "window.isOld = true; [...document.querySelectorAll('main button'), ...document.querySelectorAll('a')]"
            f".find(one => one.textContent.trim() === {json.dumps(label)}).click()"
        )
        self._wait()

    @property
    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    @property
    def address(self) -> str:
        return str(self.run("location.href"))

    def run(self, script: str) -> Any:
        """The value of a script in the page, a promise's once it is there."""
        answer = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, file: Path, width: int = 1200, height: int = 900, *, dark: bool = False) -> None:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._send("Emulation.setEmulatedMedia", features=scheme)
        self.resize(width, height)
        file.write_bytes(base64.b64decode(self._send("Page.captureScreenshot", format="png")["data"]))

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._send("Emulation.setDeviceMetricsOverride", **metrics)

    def _wait(self) -> None:
        """Until another page than the one that was marked is there whole."""
        end = monotonic() + PATIENCE
        while self.run("window.isOld || document.readyState !== 'complete'"):
            assert monotonic() < end, "the page never loaded"
            sleep(0.05)

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            if message.get("id") == number:
                assert "error" not in message, message
                answer: dict[str, Any] = message["result"]
                return answer


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser of its own, closed at the end."""
    path = found()
    assert path is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [path, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = _port(Path(profile) / "DevToolsActivePort")
            tabs = requests.get(f"http://127.0.0.1:{port}/json", timeout=60).json()
            address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            with connect(address, max_size=None, open_timeout=PATIENCE) as socket:
                yield Browser(socket)
        finally:
            process.terminate()
            process.wait(300)


def _port(file: Path) -> int:
    end = monotonic() + PATIENCE
    while monotonic() < end:
        if file.exists() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        sleep(0.1)
    raise AssertionError("the browser never started")
