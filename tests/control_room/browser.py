"""A headless Chromium that opens pages of the Dagster UI: what they say, and how they look."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from html import unescape
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
]
# Milliseconds of the page's own clock: it runs ahead of ours while nothing is being loaded.
PAGE_TIME = 40_000


def found() -> str | None:
    """The browser's path, if this machine has one."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


def words(url: str) -> str:
    """The text of a page once its scripts have run."""
    markup = _open(url, "--dump-dom", "--window-size=1500,2500")  # what lies outside the window is not drawn
    markup = re.sub(r"<(script|style)\b.*?</\1>", " ", markup, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", markup)))


def picture(url: str, file: Path, width: int = 1500, height: int = 950) -> Path:
    """A PNG of the page."""
    _open(url, f"--screenshot={file}", f"--window-size={width},{height}")
    return file


def _open(url: str, *arguments: str) -> str:
    browser = found()
    assert browser is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # A page that waits for something else than the network sometimes never ends: once more, then it is an error.
        for attempt in (1, 2):
            command = [browser, *FLAGS, f"--user-data-dir={profile}/{attempt}", f"--virtual-time-budget={PAGE_TIME}"]
            try:
                ended = subprocess.run([*command, *arguments, url], capture_output=True, text=True, timeout=300)
            except subprocess.TimeoutExpired:
                continue
            return ended.stdout
    raise AssertionError(f"the browser never finished {url}")
