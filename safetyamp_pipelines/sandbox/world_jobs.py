"""Departments, contracts and jobs, with what goes wrong in them. Employees and timecards live elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from safetyamp_pipelines.sandbox.people import CITIES, STATES, street, zip_code
from safetyamp_pipelines.sandbox.world_model import COMPANY, Draft, Row, World

REGIONS = ("Gulf", "Midwest", "Atlantic", "Mountain", "Pacific", "Plains", "Northeast", "Border")
TRADES = (
    *("Field Operations", "Fabrication Shop", "Pipeline Services", "Civil Works", "Electrical", "Maintenance"),
    *("Turnarounds", "Marine", "Scaffolding", "Coatings", "Instrumentation", "Heavy Haul", "Safety & Training"),
)
WORK = (
    *("unit overhaul", "tank farm repair", "pump station", "pipe rack", "cooling tower", "dock extension"),
    *("substation", "warehouse roof", "compressor swap", "flare line"),
)
OPEN, PENDING, SOFT_CLOSED, HARD_CLOSED = 1, 0, 2, 3
UNKNOWN_DEPARTMENT = "99"
CONTRACT_MONTH = "2024-01-01 00:00:00"


def department(company: int, code: str, description: str, region: str | None) -> Row:
    """A payroll department row (bPRDP)."""
    return {"PRCo": company, "PRDept": code, "Description": description, "GLCo": company, "udRegion": region}


def job(company: int, key: str, description: str, contract: str | None, *, status: int = OPEN) -> Row:
    """A job row (bJCJM) without an address, visible in job cost."""
    nothing = dict.fromkeys(("ShipAddress", "ShipAddress2", "ShipCity", "ShipState", "ShipZip", "ShipCountry"))
    return {
        "JCCo": company,
        "Job": key,
        "Description": description,
        "Contract": contract,
        "JobStatus": status,
        "ProjectMgr": None,
        **nothing,
        "TaxGroup": 1,
        "PCVisibleInJC": "Y",
    }


def contract(company: int, key: str, description: str, department_code: str) -> Row:
    """A contract row (bJCCM): the link between a job and its department."""
    return {
        "JCCo": company,
        "Contract": key,
        "Description": description,
        "Department": department_code,
        "ContractStatus": 1,
        "Customer": None,
        "StartMonth": CONTRACT_MONTH,
        "ContractAmt": 0,
    }


def regions(world: World) -> list[str]:
    """The regions of this world; when there are several, the last has no home office."""
    return list(REGIONS[: world.spec.regions])


def region_of(world: World, department_code: str) -> str | None:
    """The region a department of company 1 names, trimmed; None when unknown or blank."""
    for row in world.viewpoint["bPRDP"]:
        if row["PRCo"] == COMPANY and row["PRDept"].rstrip() == department_code.rstrip():
            return (row["udRegion"] or "").strip() or None
    return None


def good_departments(world: World) -> list[str]:
    """Codes of the departments that have a region, in order."""
    return [r["PRDept"] for r in world.viewpoint["bPRDP"] if r["PRCo"] == COMPANY and (r["udRegion"] or "").strip()]


def departments_by_job(world: World) -> dict[str, str]:
    """Open, visible jobs of company 1 that have a department with a region → that department."""
    contracts = {
        r["Contract"].rstrip(): r["Department"].rstrip() for r in world.viewpoint["bJCCM"] if r["JCCo"] == COMPANY
    }
    known = set(good_departments(world))
    fit = {}
    for row in world.viewpoint["bJCJM"]:
        code = contracts.get((row["Contract"] or "").rstrip())
        if row["JCCo"] == COMPANY and row["JobStatus"] == OPEN and row["PCVisibleInJC"] == "Y" and code in known:
            fit[row["Job"]] = code
    return fit


def add_departments(draft: Draft) -> None:
    """Payroll and job-cost departments; with mess, some without a region and some with padded texts."""
    spec, tables = draft.spec, draft.world.viewpoint
    names = regions(draft.world)
    for i in range(spec.department_count):
        code = "05" if i == 0 else str(9 + i) if spec.department_count > 30 else str(7 + 3 * i)
        description = f"{TRADES[i % len(TRADES)]} {CITIES[i % len(CITIES)]}"[:30].rstrip()
        tables["bPRDP"].append(department(COMPANY, code, description, names[i % len(names)]))
        tables["bJCDM"].append({"JCCo": COMPANY, "Department": code, "Description": f"JC {code}", "GLCo": COMPANY})
    if spec.mess and spec.department_count > len(names) + 1:
        last, *_ = homeless = tables["bPRDP"][-max(1, spec.department_count // 12) :]
        for row in homeless:
            row["udRegion"] = None if row is last else "   "
            draft.note("departments_without_region", row["PRDept"])
        tables["bPRDP"][0]["Description"] += "  "
        tables["bPRDP"][0]["udRegion"] += " "
        draft.note("departments_padded", tables["bPRDP"][0]["PRDept"])


def add_jobs(draft: Draft) -> None:
    """Jobs and their contracts, some sharing one; then, with mess, what is wrong with some of them."""
    dice, tables = draft.dice("jobs"), draft.world.viewpoint
    codes = good_departments(draft.world)
    for i in range(draft.spec.jobs):
        key = f"{10001 + i}."
        name = f"{dice.choice(CITIES)} {dice.choice(WORK)}"
        shared = i > 0 and dice.random() < 0.08
        row = job(COMPANY, key, name, f"{10000 + i}." if shared else key)
        if dice.random() > 0.015:
            row |= {
                "ShipAddress": street(dice),
                "ShipCity": dice.choice(CITIES),
                "ShipCountry": dice.choice((None, "US")),
            }
            row |= {"ShipState": dice.choice(STATES), "ShipZip": zip_code(dice)}
        tables["bJCJM"].append(row)
        tables["bJCCM"].append(contract(COMPANY, key, name, codes[i % len(codes)]))
    if draft.spec.mess:
        _spoil_jobs(draft)


def _spoil_jobs(draft: Draft) -> None:
    contracts = {row["Contract"]: row for row in draft.world.viewpoint["bJCCM"]}
    # Sharers of a contract stay as they are: spoiling a contract would spoil two jobs under one note.
    users: dict[str, int] = {}
    for row in draft.world.viewpoint["bJCJM"]:
        users[row["Contract"]] = users.get(row["Contract"], 0) + 1
    pool = [r for r in draft.world.viewpoint["bJCJM"] if users[r["Contract"]] == 1]
    draft.dice("spoil jobs").shuffle(pool)
    jobs = iter(pool[: int(len(pool) * 0.85)])
    for row in _some(draft, jobs, "jobs_hard_closed", 0.14):
        row["JobStatus"] = HARD_CLOSED
    for row in _some(draft, jobs, "jobs_unknown_department", 0.02):
        contracts[row["Contract"]]["Department"] = UNKNOWN_DEPARTMENT
    for row in _some(draft, jobs, "jobs_missing_contract", 0.015):
        row["Contract"] = "88888."
    for row in _some(draft, jobs, "jobs_potential", 0.02):
        row["PCVisibleInJC"] = "N"
    for row in _some(draft, jobs, "jobs_soft_closed", 0.08):
        row["JobStatus"] = SOFT_CLOSED
    for row in _some(draft, jobs, "jobs_pending", 0.05):
        row["JobStatus"] = PENDING
    for row in _some(draft, jobs, "jobs_without_contract", 0.01):
        row["Contract"] = None
    homeless = draft.world.noted("departments_without_region")
    if homeless:
        for row in _some(draft, jobs, "jobs_department_without_region", 0.02):
            contracts[row["Contract"]]["Department"] = homeless[0]
    for row in _some(draft, jobs, "jobs_padded", 0.03):
        row["Contract"] += " "
        row["Description"] += "  "
        row["ShipState"] = "LA "
    for row, text in zip(_some(draft, jobs, "jobs_odd_zip", 0.02, at_least=2), ("01234", "70000-") * 99, strict=False):
        row["ShipZip"] = text
    for row in _some(draft, jobs, "jobs_without_address", 0.015):
        row |= dict.fromkeys(("ShipAddress", "ShipCity", "ShipState", "ShipZip", "ShipCountry"))


def _some(draft: Draft, jobs: Iterator[Row], kind: str, share: float, at_least: int = 1) -> list[Row]:
    wanted = max(at_least, round(share * draft.spec.jobs))
    chosen = [row for _, row in zip(range(wanted), jobs, strict=False)]
    draft.note(kind, *(row["Job"] for row in chosen))
    return chosen
