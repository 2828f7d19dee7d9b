"""Who stands in SafetyAmp and works for the company, and rules that let nobody but one leave at a time."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from safetyamp_pipelines.sandbox import Sandbox


def people(box: Sandbox) -> dict[str, dict[str, Any]]:
    """SafetyAmp's users by employee number."""
    return {row["emp_id"]: row for row in box.safetyamp.tables()["users"] if row["emp_id"] is not None}


def employed(box: Sandbox, number: int | None = None, but: Collection[str] = ()) -> list[str]:
    """The numbers of all, or of so many, who have access and are active in Viewpoint."""
    began = [row for row in box.world.viewpoint["bPREH"] if (row["HireDate"] or "9") < str(box.world.spec.today)]
    active = {str(row["Employee"]) for row in began if row["TermDate"] is None}.difference(but)
    found = sorted(key for key, row in people(box).items() if row["system_access"] and key in active)[:number]
    assert number is None or len(found) == number
    return found


def leavers(box: Sandbox, number: int, but: Collection[str] = ()) -> list[str]:
    """So many of them end their employment."""
    going = employed(box, number, but)
    for key in going:
        box.sources.terminate(int(key))
    return going


def strict(box: Sandbox, tmp_path: Path) -> dict[str, str]:
    """Settings under which a plan may switch off nobody but one."""
    path = tmp_path / "strict.yaml"
    given = Path(box.environment["SYNC_CONFIG"]).read_text(encoding="utf-8")
    path.write_text(f"{given}\nguards: {{deactivations: {{records: 1, share: 0.01}}}}\n", encoding="utf-8")
    return {"SYNC_CONFIG": str(path)}
