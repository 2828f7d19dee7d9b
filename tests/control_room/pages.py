"""The pages of the Dagster UI that operators live in, and what each must tell. Pictures of them are in docs/.

`PYTHONPATH=tests python tests/control_room/pages.py` takes the pictures anew: it starts everything, syncs once, and
stops it again.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from chromium import browser
from room import ROOT, control_room

from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec

LOCATION = "/locations/__repository__@safetyamp_pipelines.definitions"


@dataclass(frozen=True)
class Page:
    """One page: its name is that of its picture, and `tells` are words that must be on it."""

    name: str
    path: str
    tells: tuple[str, ...]
    height: int = 950


PAGES = (
    Page("lineage", "/asset-groups", ("viewpoint", "entra", "samsara", "observed", "plan", "reports"), height=640),
    Page("table", "/assets/safetyamp/users", ("after the push", "Red?", "field_mapping"), height=1300),
    Page("checks", "/assets/plan/employees?view=checks", ("guards", "one_verdict_each", "Passed")),
    Page("plan", "/assets/plan/employees?view=events", ("plan_hash", "verdict_created", "rejected"), height=1300),
    Page("launchpad", f"{LOCATION}/jobs/sync_all/playground", ("push_config", "dry_run", "approve_plan")),
    Page("automation", "/automation", ("sync_all_schedule", "retries", "source_changes")),
)


def take_pictures(folder: Path) -> list[Path]:
    """A PNG of every page after one sync of the embedded world."""
    taken = []
    with (
        tempfile.TemporaryDirectory() as home,
        Sandbox(WorldSpec(seed=7), TargetOptions(calls=100_000)) as box,
        control_room(box, Path(home)) as room,
        browser() as tab,
    ):
        room.succeed("sync_all")
        for page in PAGES:
            assert tab.open_until(room.url + page.path, page.tells, page.height) == []
            taken.append(folder / f"{page.name}.png")
            tab.picture(taken[-1], width=1500, height=page.height)
    return taken


if __name__ == "__main__":
    for taken in take_pictures(ROOT / "docs"):
        print(taken.relative_to(ROOT))
