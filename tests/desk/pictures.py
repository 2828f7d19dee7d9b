"""`PYTHONPATH=tests python tests/desk/pictures.py` takes the pictures of the desk in docs/ anew."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from chromium import browser
from commands import in_this_process
from open_desk import open_desk

from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec

DOCS = Path(__file__).parents[2] / "docs"


def take_pictures(folder: Path) -> None:
    """A plan with leavers that a guard holds, and the page of somebody whom a person switched off by hand."""
    spec = WorldSpec(employees=60, jobs=20, vehicles=6, mess=False, seed=7)
    with Sandbox(spec, TargetOptions(calls=100_000)) as box:
        in_this_process(box, "sync")
        *users, off = [row for row in box.safetyamp.tables()["users"] if row["emp_id"] and row["system_access"]]
        for row in users[:11]:
            box.sources.terminate(int(row["emp_id"]), date(2026, 11, 1))
        box.safetyamp.edit("users", off["id"], system_access=False)
        in_this_process(box, "sync", "employees")
        with open_desk(box.environment) as visitor, browser() as tab:
            for name, path in {"plan": "plan/employees", "person": f"records/employees/{off['emp_id']}"}.items():
                tab.open(f"{visitor.url}/{path}")
                tab.picture(folder / f"desk-{name}.png", width=1100, height=900)


if __name__ == "__main__":
    take_pictures(DOCS)
