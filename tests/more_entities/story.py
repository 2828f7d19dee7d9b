"""What becomes of entities that are registered from outside, in a process of its own: prints one JSON document.

python -m more_entities.story lockers|equipment FOLDER
"""

# ruff: noqa: E402 - the entities are registered before anything is made from the registry
from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from more_entities import equipment, lockers
from safetyamp_pipelines.sync.entities.registry import register

CHOSEN = {"lockers": lockers.SPEC, "equipment": equipment.SPEC}[sys.argv[1]]
register(CHOSEN)

from commands import in_this_process, small_world

from safetyamp_pipelines.definitions import defs
from safetyamp_pipelines.operations.opening import open_ledger
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.systems.snapshots.parquet import snapshot_from_parquet
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore, snapshot_store


def definitions_of(entity: str) -> dict[str, Any]:
    """What Dagster is shown of the entity."""
    graph = defs.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    checks = {f"{key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys}
    return {
        "assets": sorted(key for key in keys if entity in key or CHOSEN.table in key),
        "checks": sorted(check for check in checks if entity in check or CHOSEN.table in check),
        "jobs": sorted(job.name for job in defs.resolve_all_job_defs() if entity in job.name),
    }


def texts(store: SnapshotStore, names: list[str]) -> str:
    """Everything that is stored under these names."""
    found = []
    for name in names:
        for ref in store.history(name):
            payload = store.read(ref)
            kept = gzip.decompress(payload).decode() if ref.kind == "Plan" else None
            found.append(kept or repr(snapshot_from_parquet(payload, ref.content).records))
    return "\n".join(found)


def of_lockers(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = {"definitions": definitions_of("lockers")}
    with small_world(home=folder / "home") as box:
        plan = in_this_process(box, "plan", "lockers", "--json")
        synced = in_this_process(box, "sync", "lockers", "--json")
        again = in_this_process(box, "sync", "lockers", "--json")
        (folder / "sync.yaml").write_text("lockers: {label: Cage}\n", encoding="utf-8")
        renamed = in_this_process(box, "plan", "lockers", "--json", SYNC_CONFIG=str(folder / "sync.yaml"))
        (folder / "wrong.yaml").write_text("lockers: {lable: Cage}\n", encoding="utf-8")
        wrong = in_this_process(box, "plan", "lockers", SYNC_CONFIG=str(folder / "wrong.yaml"))
        settings = load_settings(box.environment, env_file=None)
        store = snapshot_store(settings)
        (key, *_) = sorted(open_ledger(settings).links("lockers"))
        explained = in_this_process(box, "explain", "locker", key, "--json").document()
        names = ["plan/lockers", "safetyamp_observed/asset_categories", "safetyamp/asset_categories"]
        (name,) = [field["value"] for field in explained["fields"] if field["field"] == "name"]
        before = name in texts(store, names)
        forgotten = in_this_process(box, "forget", "employee", key, "--yes", "--json")
        told |= {
            "plan": plan.document(),
            "synced": synced.document(),
            "writes": len(synced.writes),
            "again": again.document(),
            "again_writes": len(again.writes),
            "renamed": renamed.document(),
            "wrong": [wrong.exit_code, wrong.stderr],
            "explained": explained,
            "forgotten": forgotten.document(),
            "left": [before, name in texts(store, names)],
            "key": key,
        }
    return told


def of_equipment(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = {"definitions": definitions_of("equipment")}
    with small_world(home=folder / "home") as box:
        first = in_this_process(box, "sync", "vehicles", "equipment", "--json")
        again = in_this_process(box, "sync", "vehicles", "equipment", "--json")
        settings = load_settings(box.environment, env_file=None)
        store, ledger = snapshot_store(settings), open_ledger(settings)
        refs = {name: store.newest(f"plan/{name}") for name in ("vehicles", "equipment")}
        plans = {name: Plan.from_bytes(store.read(ref)) for name, ref in refs.items() if ref is not None}
        links = {name: {link.target_id for link in ledger.links(name).values()} for name in plans}
        told |= {
            "first": first.document(),
            "again": again.document(),
            "again_writes": len(again.writes),
            "unmanaged": {n: [f.key for f in p.findings if f.kind == "unmanaged"] for n, p in plans.items()},
            "shared": sorted(links["vehicles"] & links["equipment"]),
            "linked": {name: len(ids) for name, ids in links.items()},
            "serials": [row["serial"] for row in box.safetyamp.tables()["assets"]],
        }
    return told


if __name__ == "__main__":
    stories = {"lockers": of_lockers, "equipment": of_equipment}
    print(json.dumps(stories[sys.argv[1]](Path(sys.argv[2])), default=str))
