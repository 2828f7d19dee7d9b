"""Random small worlds: few keys, names, addresses and numbers, so that records meet, clash and refer to each other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from small_worlds import (
    FIELD_ROLE,
    ROOT,
    World,
    account,
    asset,
    asset_type,
    cluster,
    department,
    driver,
    employee,
    job,
    recent_job,
    site,
    title,
    user,
    vehicle,
)

Draw = Any
CODES = ("10", "20", "30")
JOBS = ("1.", "2.", " 3", "44")
MAILS = ("a@example.com", "B@example.com", "b@example.com", "c@example.com", None)
PHONES = ("504-234-5671", "504-234-5672", "+15042345671", "12", None)
E164 = ("+15042345671", "+15042345672", "+15042345673", None)
DATES = (None, "2020-01-06 00:00:00", "2026-11-20 00:00:00", "2031-01-01 00:00:00")
TITLES = ("Fitter", "FITTER", " fitter ", "Welder", None)
NUMBERS = st.integers(1, 5)


def some(values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


@st.composite
def worlds(draw: Draw) -> World:
    """A whole world: sources and SafetyAmp, of which any part may be missing or disagree."""
    clusters = draw(cluster_trees())
    sites = draw(sites_in(clusters))
    titles = [title(30 + n, name) for n, name in enumerate(draw(st.lists(some(TITLES[:4]), max_size=3)))]
    users = draw(users_at(sites, titles))
    types = [asset_type(40 + row["id"], row["id"]) for row in sites if draw(st.booleans())]
    return {
        "viewpoint/departments": draw(departments()),
        "viewpoint/jobs": draw(jobs()),
        "viewpoint/employees": draw(employees()),
        "viewpoint/recent_jobs": draw(recent_jobs()),
        "entra/users": draw(accounts()),
        "samsara/vehicles": draw(vehicles()),
        "samsara/drivers": [driver(f"d{n}", externalIds={"employeeId": str(n)}) for n in range(1, 4)],
        "site_clusters": clusters,
        "sites": sites,
        "user_titles": titles,
        "roles": [FIELD_ROLE],
        "users": users,
        "asset_types": types,
        "assets": draw(assets_of(types)),
    }


@st.composite
def cluster_trees(draw: Draw) -> list[Any]:
    regions = [
        cluster(2 + n, name, 1, draw(some([name, None])))
        for n, name in enumerate(draw(st.lists(some(["South", "North"]), max_size=2, unique=True)))
    ]
    parents = [1, *(row["id"] for row in regions)]
    codes = draw(st.lists(some(CODES), max_size=3, unique=True))
    names = {code: draw(some([f"{code} - Department {code}", "Other"])) for code in codes}
    return [
        ROOT,
        *regions,
        *(cluster(10 + n, names[c], draw(some(parents)), draw(some([c, None]))) for n, c in enumerate(codes)),
    ]


@st.composite
def sites_in(draw: Draw, clusters: list[Any]) -> list[Any]:
    keys = draw(st.lists(some([*JOBS, "YARD"]), max_size=4, unique=True))
    at = some([row["id"] for row in clusters])
    return [
        site(20 + n, f"{key} - Works {key.strip()}", draw(at), draw(some([key.strip(), None, "OLD"])))
        for n, key in enumerate(keys)
    ]


@st.composite
def users_at(draw: Draw, sites: list[Any], titles: list[Any]) -> list[Any]:
    homes, called = [None, *(row["id"] for row in sites)], [None, *(row["id"] for row in titles)]
    mails = draw(st.lists(some(MAILS[:4]), max_size=3, unique_by=str.casefold))
    mobiles = draw(st.permutations(E164))
    users = []
    for n, mail in enumerate(mails):
        title_id = draw(some(called))
        columns = {"email": mail, "mobile_phone": mobiles[n], "system_access": draw(st.booleans())}
        columns |= {"home_site_id": draw(some(homes)), "current_title": title_id and {"id": title_id}}
        users.append(user(f"u{n}", draw(some([None, "1", "2", "002", "3"])), **columns))
    return users


@st.composite
def assets_of(draw: Draw, types: list[Any]) -> list[Any]:
    chosen = draw(st.lists(some(types), max_size=2)) if types else []
    return [
        asset(60 + n, site_id=kind["site_id"], asset_type_id=kind["id"], serial=draw(some(["VIN1", "GW-v2", None])))
        for n, kind in enumerate(chosen)
    ]


def departments() -> st.SearchStrategy[list[Any]]:
    rows = st.builds(
        department, some(CODES), some(["South", "south", "North", "Acme", "10", " ", None]), PRCo=companies()
    )
    return st.lists(rows, max_size=4, unique_by=lambda row: (row["PRCo"], row["PRDept"]))


def jobs() -> st.SearchStrategy[list[Any]]:
    statuses, zips = some([0, 1, 1, 1, 2, 3]), some(["01234", "70000-", None])
    rows = st.builds(job, some(JOBS), some([*CODES, "99", None]), JobStatus=statuses, ShipZip=zips, JCCo=companies())
    return st.lists(rows, max_size=4, unique_by=lambda row: (row["JCCo"], row["Job"]))


def employees() -> st.SearchStrategy[list[Any]]:
    rows = st.builds(
        employee,
        NUMBERS,
        PRCo=companies(),
        HireDate=some(DATES[:3]),
        TermDate=some([None, None, *DATES]),
        Email=some(MAILS),
        CellPhone=some(PHONES),
        PRDept=some([*CODES, None]),
        udEmpTitle=some(TITLES),
        Country=some([None, "US", "CA"]),
    )
    return st.lists(rows, max_size=6, unique_by=lambda row: (row["PRCo"], row["Employee"]))


def recent_jobs() -> st.SearchStrategy[list[Any]]:
    rows = st.builds(recent_job, NUMBERS, some(JOBS), PRCo=companies())
    return st.lists(rows, max_size=4, unique_by=lambda row: (row["PRCo"], row["Employee"]))


def accounts() -> st.SearchStrategy[list[Any]]:
    manager = st.none() | st.builds(lambda number: {"employeeId": f"00{number}"}, NUMBERS)
    rows = st.builds(account, NUMBERS, mail=some(MAILS), mobilePhone=some(PHONES), manager=manager)
    return st.lists(rows, max_size=5, unique_by=lambda row: row["id"])


def vehicles() -> st.SearchStrategy[list[Any]]:
    driver_of = st.none() | st.builds(lambda n: {"id": f"d{n}"}, st.integers(1, 4))
    tags = some([[], [{"name": "Department 10"}], [{"name": "Pool"}]])
    rows = st.builds(vehicle, some(["v1", "v2", "v3"]), staticAssignedDriver=driver_of, tags=tags)
    return st.lists(rows, max_size=3, unique_by=lambda row: row["id"]).map(
        lambda found: [{**row, "vin": "VIN1"} if row["id"] == "v1" else row for row in found]
    )


def companies() -> st.SearchStrategy[int]:
    return some([1, 1, 1, 2])
