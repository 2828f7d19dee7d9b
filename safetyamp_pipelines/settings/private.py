"""Folders that hold values of people or the record of what was done: for their owner alone."""

from __future__ import annotations

from pathlib import Path


def private_folder(folder: Path) -> Path:
    """Make the folder and what is missing above it, each with mode 0700; one that is there stays as it is."""
    for part in (*reversed(folder.parents), folder):
        if not part.exists():
            part.mkdir(mode=0o700, exist_ok=True)
    return folder
