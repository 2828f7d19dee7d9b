"""What ships by a lock file, with version and licence: `make licences`. Exit code 1 when one declares none."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_CLASSIFIER = "License :: "


def licence_of(about: PackageMetadata) -> str:
    """The licence that a distribution declares: as an SPDX expression, by its classifiers, or in words."""
    if expression := about.get("License-Expression"):
        return expression
    named = [one.rpartition(" :: ")[2] for one in about.get_all("Classifier") or () if one.startswith(_CLASSIFIER)]
    if named:
        return ", ".join(named)
    return next(iter((about.get("License") or "").strip().splitlines()), "")


def listed(lock: str) -> list[tuple[str, str, str]]:
    """Name, version and licence of everything that a lock file pins."""
    rows = []
    for name, version in _PINNED.findall(lock):
        try:
            rows.append((name, version, licence_of(metadata(name))))
        except PackageNotFoundError:
            rows.append((name, version, "not installed here: for another platform"))
    return rows


if __name__ == "__main__":
    found = listed(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for name, version, licence in found:
        print(f"{name:<36} {version:<16} {licence or 'DECLARES NONE: look into its files'}")
    sys.exit(any(not licence for _, _, licence in found))
