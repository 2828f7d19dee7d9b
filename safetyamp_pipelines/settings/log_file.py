"""LOG_FILE: one file that every process of a machine appends to, for machines without a log collector.

The standard library's rotation lets each process rename the file under the others; here one of them rotates, under a
lock, and the rest notice the new file before their next line.
"""

from __future__ import annotations

import fcntl
import logging.handlers
import os
from io import TextIOWrapper
from pathlib import Path

LARGEST, KEPT = 20_000_000, 5
"""Bytes of a file, and files kept beside it: 120 MB of disk at most."""


class RotatedFile(logging.handlers.WatchedFileHandler):
    """Appends to `path`, readable by its owner alone, and keeps `path.1` (the newest) to `path.5`."""

    def __init__(self, path: Path, *, largest: int = LARGEST) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self._largest = largest

    def _open(self) -> TextIOWrapper:
        return os.fdopen(
            os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8"
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, into a new file if the old one is full."""
        try:
            if os.path.getsize(self.baseFilename) >= self._largest:
                self._rotate()
        except FileNotFoundError:
            pass  # the first line makes it
        except OSError:
            self.handleError(record)
        super().emit(record)

    def _rotate(self) -> None:
        with open(os.open(f"{self.baseFilename}.lock", os.O_RDWR | os.O_CREAT, 0o600)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.getsize(self.baseFilename) < self._largest:  # another process was first
                return
            for number in range(KEPT, 0, -1):
                older = self.baseFilename if number == 1 else f"{self.baseFilename}.{number - 1}"
                if os.path.exists(older):
                    os.replace(older, f"{self.baseFilename}.{number}")
