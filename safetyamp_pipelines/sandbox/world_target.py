"""What SafetyAmp already holds of places and titles; users and assets are in world_target_users.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from safetyamp_pipelines.sandbox.world_jobs import departments_by_job, good_departments, region_of, regions
from safetyamp_pipelines.sandbox.world_model import COMPANY, Draft, Row
from safetyamp_pipelines.sandbox.world_target_shapes import Target
from safetyamp_pipelines.sandbox.world_target_users import add_assets, add_users, is_candidate
from safetyamp_pipelines.sandbox.world_timecards import latest_open_jobs

DEFAULT_SITE = "HQ-YARD"
TAGGED_SITE = "YARD-SOUTH"
ROLES = (("Company Administrator", 0), ("Supervisor", 0), ("Field", 1), ("Safety Representative", 0))


def add_safetyamp(draft: Draft) -> None:
    """About `spec.present` of every table, with drift when there is mess; the root, yards and home offices always."""
    target = Target(draft)
    for name, is_default in ROLES:
        target.add_role(name, is_default)
    _add_clusters(target)
    _add_yards_and_home_offices(target)
    _add_titles(target)
    _add_job_sites(target)
    _add_asset_types(target)
    add_users(target)
    add_assets(target)
    draft.world.safetyamp = target.tables


def _add_clusters(target: Target) -> None:
    draft, dice = target.draft, target.draft.dice("clusters")
    world, present = draft.world, draft.spec.present
    root = target.add_cluster("Sample Construction", None, None)
    housed = regions(world)[:-1] or regions(world)
    for name in regions(world) if present == 1.0 else housed:
        target.add_cluster(name, root, name)
    codes = [code for code in good_departments(world) if region_of(world, code) in target.clusters]
    held_back = max(1, round((1 - present) * len(codes) / 3)) if present < 1.0 else 0
    for code in sorted(dice.sample(codes, max(0, len(codes) - held_back))) if present else []:
        row = next(r for r in world.viewpoint["bPRDP"] if (r["PRCo"], r["PRDept"]) == (COMPANY, code))
        parent = target.clusters[region_of(world, code) or ""]
        target.add_cluster(f"{code} - {row['Description'].strip()}", parent, code)
    if draft.spec.mess:
        _drift_clusters(target)


def _drift_clusters(target: Target) -> None:
    draft, rows = target.draft, target.tables["site_clusters"]
    region = next(row for row in rows if row["depth"] == 1)
    region["external_code"] = None
    draft.note("region_cluster_without_code", region["id"])
    departments = [row for row in rows if row["depth"] == 2]
    if departments:
        departments[0]["name"] = f"{departments[0]['external_code']} - Old Name"
        draft.note("department_cluster_renamed", departments[0]["id"])
    if len(departments) > 1:
        departments[1]["external_code"] = None
        draft.note("department_cluster_without_code", departments[1]["id"])


def _add_yards_and_home_offices(target: Target) -> None:
    world = target.draft.world
    root = target.tables["site_clusters"][0]
    target.add_site("Headquarters Yard", DEFAULT_SITE, root, city="Sampleton", state="LA", zip_code="70000")
    target.add_site("South Yard", TAGGED_SITE, root, city="Testburg", state="LA", zip_code="70001")
    for i, name in enumerate(regions(world)[:-1] or regions(world)):
        code = None if i == 0 else f"HO-{name.upper()}"
        office = target.add_site(f"{name} Home Office", code, target.clusters[name], city="Mockport", state="LA")
        target.home_offices[name] = office
        target.draft.note("home_offices", office["id"])


def _add_titles(target: Target) -> None:
    """Some titles are held back: nobody in SafetyAmp has them, so a sync has titles to create."""
    draft = target.draft
    names = sorted({(row["udEmpTitle"] or "").strip() for row in draft.people if draft.is_clean(row, "title")} - {""})
    if not draft.spec.present:
        return
    held_back = max(1, round((1 - draft.spec.present) * len(names) / 3)) if draft.spec.present < 1.0 else 0
    chosen = draft.dice("titles").sample(names, max(0, len(names) - held_back))
    for name in sorted(chosen):
        target.add_title(name)
    if draft.spec.mess and target.tables["user_titles"]:
        first = target.tables["user_titles"][0]
        first["name"] = first["name"].upper()
        draft.note("title_case_differs_in_safetyamp", first["id"])


def _add_job_sites(target: Target) -> None:
    """Half of the sites are those most worked on, so that people of the present share find theirs."""
    draft, world = target.draft, target.draft.world
    fit = {job: code for job, code in departments_by_job(world).items() if code in target.clusters}
    wanted = min(len(fit), round(draft.spec.present * draft.spec.jobs))
    latest = latest_open_jobs(world)
    workers = Counter(latest.get(row["Employee"]) for row in draft.people if is_candidate(target, row))
    busiest = sorted(fit, key=lambda job: (-workers[job], job))[: (wanted + 1) // 2]
    others = [job for job in fit if job not in busiest]
    chosen = sorted([*busiest, *draft.dice("sites").sample(others, wanted - len(busiest))])
    rows = {row["Job"]: row for row in world.viewpoint["bJCJM"] if row["JCCo"] == COMPANY}
    for job in chosen:
        _add_job_site(target, rows[job], fit[job])
    if draft.spec.mess and chosen:
        _drift_sites(target, chosen)


def _add_job_site(target: Target, row: Row, code: str) -> None:
    target.add_site(
        f"{row['Job']} - {row['Description'].strip()}",
        row["Job"],
        target.clusters[code],
        street=row["ShipAddress"],
        city=row["ShipCity"],
        state=(row["ShipState"] or "").strip() or None,
        zip_code=(row["ShipZip"] or "").strip("- ") or None,
    )


def _drift_sites(target: Target, chosen: list[str]) -> None:
    draft, dice = target.draft, target.draft.dice("site drift")
    odd = iter(dice.sample(chosen, len(chosen)))
    departments = [row["id"] for row in target.tables["site_clusters"] if row["depth"] == 2]
    drifts: dict[str, Callable[[Row], Row]] = {
        "site_renamed": lambda _: {"name": "Old job name"},
        "site_without_zip": lambda _: {"zip_code": None},
        "site_without_code": lambda _: {"ext_id": None},
        "site_in_other_cluster": lambda row: {"cluster_id": next(i for i in departments if i != row["cluster_id"])},
    }
    if len(departments) < 2:
        del drifts["site_in_other_cluster"]
    for kind, drift in drifts.items():
        for job, _ in zip(odd, range(max(1, len(chosen) // 100)), strict=False):
            target.sites[job].update(drift(target.sites[job]))
            draft.note(kind, target.sites[job]["id"])
    closed = draft.world.noted("jobs_hard_closed")[:1]
    for job in closed:
        code = next((code for code in good_departments(draft.world) if code in target.clusters), None)
        if code is not None:
            site = target.add_site(f"{job} - finished", job, target.clusters[code])
            draft.note("site_of_closed_job", site["id"])


def _add_asset_types(target: Target) -> None:
    """A type "Vehicle" for every site, except one job site when there is mess; no type for sites yet to be created."""
    vehicles = target.add_asset_category("Vehicles")
    tools = target.add_asset_category("Tools")
    bare = target.tables["sites"][-2] if target.draft.spec.mess and len(target.tables["sites"]) > 6 else None
    for site in target.tables["sites"]:
        if site is not bare:
            target.add_asset_type("Vehicle", site, vehicles)
    target.add_asset_type("Ladder", target.sites[DEFAULT_SITE], tools)
    if bare is not None:
        target.draft.note("site_without_vehicle_type", bare["id"])
