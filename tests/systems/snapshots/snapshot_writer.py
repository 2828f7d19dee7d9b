"""A process that publishes payloads for ever and tells each one once it is published; for tests that kill it."""

from __future__ import annotations

import itertools
import sys

from safetyamp_pipelines.systems.snapshots.store import SnapshotStore


def main(base_url: str, size: int) -> None:
    store = SnapshotStore(base_url, keep_count=1_000_000)
    for number in itertools.count():
        store.publish("viewpoint/jobs", f"run-{number}", number.to_bytes(4, "big") * size, {"number": number})
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
