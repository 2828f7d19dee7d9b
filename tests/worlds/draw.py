"""Draws stories: few keys, names, addresses and numbers, so that records meet, clash and refer to each other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from small_worlds import FIELD_ROLE, ROOT, asset, asset_type, cluster, site, title, user

from worlds.story import (
    CALL_FAULTS,
    JOURNAL_FAULTS,
    READ_FAULTS,
    Approve,
    Drop,
    Edit,
    Fault,
    Hide,
    Insert,
    Meanwhile,
    Put,
    Row,
    Run,
    SetBack,
    Step,
    Story,
    Swap,
    Wait,
)

Draw = Any
CODES = ("10", "20")
JOBS = ("1.", " 3", "44")
MAILS = ("a@example.com", "B@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com", None)
SECONDS = (5, 30, 55)
"""After which a late call acts: all within what sync.yaml allows for (`target.late_arrival_seconds`)."""
PAUSES = (5, 60, 900, 900)
OWN = "own@example.com"
"""Stands for an address that nobody else has."""
PHONES = ("504-234-5671", "504-234-5672", "+15042345671", "12", None)
E164 = ("+15042345671", "+15042345672", "+15042345673", "+15042345674")
HIRED = ("2020-01-06 00:00:00", "2020-01-06 00:00:00", "2020-01-06 00:00:00", None)
ENDED = (None, None, None, "2026-11-19 00:00:00", "2026-11-20 00:00:00", "2026-11-22 00:00:00", "2031-01-01 00:00:00")
TITLES = ("Fitter", "FITTER", " fitter ", "Welder", None)
NUMBERS = (1, 2, 3, 4, 5, 6)
PEOPLE, PLACES, VEHICLES, SWAPS = "people", "places", "vehicles", "swaps"


def some(values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def columns(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries(required, optional=optional or {})


# The columns of a source row that stories are about; the rest is always the same.

EMPLOYEE = {
    "FirstName": some(["Nora", "Ole"]),
    "Email": some([OWN, OWN, *MAILS]),
    "CellPhone": some(PHONES),
    "HireDate": some(HIRED),
    "TermDate": some(ENDED),
    "PRDept": some([*CODES, *CODES, CODES[0], None]),
    "udEmpTitle": some(TITLES),
}
ACCOUNT = {
    "mail": some(MAILS),
    "mobilePhone": some(PHONES),
    "manager": st.none() | st.builds(lambda number: {"employeeId": f"00{number}"}, some(NUMBERS)),
}
JOB = {"JobStatus": some([1, 1, 1, 3]), "Department": some([*CODES, "99", None]), "Description": some(["Dam", "Weir"])}
DEPARTMENT = {"udRegion": some(["South", "south", "North", None]), "Description": some(["Civil", "Works"])}
VEHICLE = {
    "staticAssignedDriver": st.none() | st.builds(lambda number: {"id": f"d{number}"}, some(NUMBERS[:3])),
    "vin": some(["VIN1", "vin1", "VIN2", None]),
    "serial": some(["GW-1", "GW-2", "GW-3"]),
    "licensePlate": some(["PLATE1", None]),
    "name": some(["Truck", "Crane", " Truck"]),
    "tags": some([[], [{"name": "Department 10"}]]),
}


def _employee(number: int, row: Row) -> Row:
    email = {"Email": f"p{number}@example.com"} if row.get("Email") == OWN else {}
    return {"PRCo": 1, "Employee": number, "LastName": "Test", "City": "Houma", **row, **email}


def _job(key: str, row: Row) -> Row:
    return {"JCCo": 1, "Job": key, "ShipZip": "01234", **row}


def _department(code: str, row: Row) -> Row:
    return {"PRCo": 1, "PRDept": code, **row}


def _account(number: int, row: Row) -> Row:
    return {"id": f"entra-{number}", "employeeId": f"0{number}", "userType": "Member", **row}


def _vehicle(samsara_id: str, row: Row) -> Row:
    return {"id": samsara_id, **row}


def _recent_job(number: int, row: Row) -> Row:
    return {"PRCo": 1, "Employee": number, "JCCo": 1, "LastWorked": "2026-11-01 00:00:00", **row}


SOURCES: dict[str, tuple[tuple[Any, ...], Any, dict[str, Any]]] = {
    "viewpoint/employees": (NUMBERS, _employee, EMPLOYEE),
    "entra/users": (NUMBERS, _account, ACCOUNT),
    "viewpoint/recent_jobs": (NUMBERS, _recent_job, {"Job": some(JOBS)}),
    "viewpoint/jobs": (JOBS, _job, JOB),
    "viewpoint/departments": (CODES, _department, DEPARTMENT),
    "samsara/vehicles": (("v1", "v2", "v3"), _vehicle, VEHICLE),
}
ABOUT = {
    PEOPLE: ("viewpoint/employees", "viewpoint/employees", "entra/users", "viewpoint/recent_jobs"),
    PLACES: ("viewpoint/jobs", "viewpoint/departments", "viewpoint/employees"),
    VEHICLES: ("samsara/vehicles", "viewpoint/employees"),
}
USUAL = {
    "viewpoint/departments": {c: _department(c, {"udRegion": "South", "Description": "Civil"}) for c in CODES},
    "viewpoint/jobs": {
        key: _job(key, {"JobStatus": 1, "Department": code, "Description": "Dam"})
        for key, code in (("1.", "10"), ("44", "20"))
    },
    "samsara/drivers": {
        f"d{n}": {"id": f"d{n}", "name": "Driver", "externalIds": {"employeeId": str(n)}} for n in NUMBERS[:3]
    },
}


KEYS_AND_ROWS = {
    table: st.dictionaries(some(keys), columns(drawn), min_size=1, max_size=len(keys))
    for table, (keys, _, drawn) in SOURCES.items()
}
ONE_COLUMN = {
    table: some(sorted(drawn)).flatmap(lambda name, drawn=drawn: columns({name: drawn[name]}))
    for table, (_, _, drawn) in SOURCES.items()
}
NTH = st.integers(0, 5)
USER_EDITS = {
    "system_access": some([0, 0, 1]),
    "email": some(["d@example.com", "x@example.com"]),
    "mobile_phone": some([*E164, None]),
    "emp_id": some(["1", "2", "007", None]),
    "first_name": some(["Nora", "Eve"]),
    "home_site_id": st.integers(0, 2),
    "current_title_id": st.integers(0, 2),
    "city": some(["Houma", "Lafitte", None]),
}
HUMANS = st.one_of(
    some(sorted(USER_EDITS)).flatmap(
        lambda name: st.builds(Edit, st.just("users"), NTH, st.just(name), USER_EDITS[name])
    ),
    st.builds(Edit, some(["sites", "user_titles", "site_clusters"]), NTH, st.just("name"), some(["Dam", "South"])),
    st.builds(
        lambda number, mail: Insert(
            "users", {"emp_id": number, "first_name": "Eve", "last_name": "Hand", "email": mail, "home_site_id": 0}
        ),
        some(["1", "3", None]),
        some(["c@example.com", "d@example.com"]),
    ),
    st.builds(Hide, NTH),
)
FAULTS = st.one_of(
    st.builds(Fault, st.just("call"), st.integers(1, 12), some(CALL_FAULTS), some(SECONDS)),
    st.builds(Fault, st.just("call"), st.integers(1, 3), some(CALL_FAULTS), some(SECONDS)),
    st.builds(Fault, st.just("call"), st.integers(1, 3), some(CALL_FAULTS), some(SECONDS)),
    st.builds(Fault, st.just("journal"), st.integers(1, 12), some(JOURNAL_FAULTS)),
    st.builds(Fault, st.just("read"), st.integers(1, 9), some(READ_FAULTS)),
)
LANES = some([(), (), (), ("entra/users",), ("viewpoint/recent_jobs",), ("samsara/drivers", "entra/users")])
"""Sources that fail for a run."""
RUNS = st.builds(
    lambda faults, meanwhile, pause, unread: Run(tuple(faults), tuple(meanwhile), pause, unread),
    st.lists(FAULTS, min_size=1, max_size=3, unique_by=lambda fault: (fault.on, fault.nth)),
    st.one_of(st.just([]), st.just([]), st.lists(st.builds(Meanwhile, st.integers(1, 3), HUMANS), max_size=1)),
    some(PAUSES),
    LANES,
)
APPROVALS = st.one_of(
    st.builds(
        Approve, st.integers(0, 3), st.none() | st.integers(0, 3), some([24, 24, 1]), some(["ann", "ann", "ben"])
    ),
    st.builds(
        Approve, st.integers(0, 3), st.none() | st.integers(0, 3), some([24, 24, 1]), some(["ann", "ann", "ben"])
    ),
    st.builds(SetBack, some([1, 30])),
)
RULES = some(
    [
        {},
        {},
        {"employees": {"policies": {"mobile_phone": "merge", "first_name": "merge"}}},
        {"employees": {"reactivate_without_history": False}},
        {"employees": {"clears": ["title", "mobile", "city"]}, "vehicles": {"clears": ["serial", "code"]}},
        {"guards": {"second_person_above": 1}},
    ]
)
OPTIONS = some(
    [
        {},
        {},
        {"supervisor_readable": True},
        {"newest_first": True, "unique_titles": True},
        {"ignored_fields": {"users": ["mobile_phone", "city"]}},
        {"hidden_users_reserve": False, "unique_emp_id": True},
        {"unique_serials": True},
    ]
)


@st.composite
def _changed_row(draw: Draw, table: str) -> Step:
    """Some columns of a row, old or new; or the row is gone."""
    keys, build, drawn = SOURCES[table]
    key = draw(some(keys))
    if draw(st.integers(0, 7)) == 7:
        return Drop(table, key)
    return Put(table, key, build(key, draw(st.one_of(columns(drawn), ONE_COLUMN[table]))))


CHANGED_ROWS = {table: _changed_row(table) for table in SOURCES}
CHANGES = {
    about: st.lists(
        st.one_of(
            *(CHANGED_ROWS[table] for table in tables),
            HUMANS,
            st.builds(Wait, some([24, 72, 200])),
            APPROVALS,
        ),
        max_size=4,
    )
    for about, tables in ABOUT.items()
}
PARTS = {about: st.lists(st.tuples(changes, RUNS), max_size=2) for about, changes in CHANGES.items()}


SWAPPING = {
    "viewpoint/employees": {
        n: _employee(
            n,
            {
                **{"FirstName": "Nora", "Email": OWN, "CellPhone": f"504-234-567{n}", "HireDate": HIRED[0]},
                **{"PRDept": "10", "udEmpTitle": "Fitter"},
            },
        )
        for n in NUMBERS[:3]
    },
    "samsara/vehicles": {
        f"v{n}": _vehicle(
            f"v{n}",
            {
                "serial": f"GW-{n}",
                "licensePlate": f"PLATE{n}",
                "name": f"Truck {n}",
                "tags": [{"name": "Department 10"}],
            },
        )
        for n in (1, 2, 3)
    },
}
"""People and trucks, each with values of their own, to exchange."""
EXCHANGED = {
    "viewpoint/employees": {"Email": ["new@example.com", None], "CellPhone": ["504-234-5679", None]},
    "samsara/vehicles": {"serial": ["GW-9", None], "licensePlate": ["PLATE9"], "vin": ["VIN1"]},
}
SWAP = st.one_of(
    *(
        st.builds(
            Swap,
            st.just(table),
            st.permutations(sorted(SWAPPING[table])).flatmap(
                lambda keys: st.integers(2, 3).map(lambda n, keys=keys: tuple(keys[:n]))
            ),
            st.just(column),
            st.just(()) | st.just(()) | st.tuples(some(instead)),
        )
        for table, drawn in EXCHANGED.items()
        for column, instead in drawn.items()
    )
)


@st.composite
def swaps(draw: Draw, is_guarded: bool) -> Story:
    """A story of people and trucks in step that exchange what is unique, while other things change and fail."""
    aside = st.one_of(CHANGED_ROWS["viewpoint/employees"], CHANGED_ROWS["samsara/vehicles"], APPROVALS)
    steps: list[Step] = [Run(), *([Approve(), Run()] if is_guarded else [])]
    for part in draw(
        st.lists(
            st.tuples(st.lists(SWAP, min_size=1, max_size=2), st.lists(aside, max_size=2), RUNS), min_size=1, max_size=3
        )
    ):
        steps += [*part[0], *part[1], part[2]]
    sources = {**USUAL, **SWAPPING}
    return Story(sources, draw(safetyamps({})), tuple(steps), draw(RULES), draw(OPTIONS), is_guarded)


TO_AND_FRO = {
    "FirstName": ("Ole", "Nora"),
    "PRDept": ("20", "10"),
    "TermDate": ("2026-11-19 00:00:00", None),
    "udEmpTitle": ("Welder", "Fitter"),
    "CellPhone": ("504-234-5678", None),
}
"""Columns of which several people's change at once, and are set back: what was approved before comes up again."""


@st.composite
def approvals(draw: Draw) -> Story:
    """A story of people in step of whom too much changes at once, again and again, while others approve it."""
    column, who = draw(some(sorted(TO_AND_FRO))), draw(some([(1, 2), (1, 2, 3), (2, 3)]))
    steps: list[Step] = [Run(), Approve(), Run()]
    aside = st.one_of(CHANGED_ROWS["viewpoint/employees"], SWAP, st.builds(Wait, some([12, 25])), APPROVALS)
    runs = st.one_of(st.just(Run()), st.just(Run()), RUNS)
    for turn in range(draw(st.integers(2, 5))):
        steps += [Put("viewpoint/employees", n, {column: TO_AND_FRO[column][turn % 2]}) for n in who]
        steps += [*draw(st.lists(aside, max_size=1)), draw(runs), *draw(st.lists(APPROVALS, max_size=2))]
        steps += [*draw(st.lists(aside, max_size=1)), draw(runs)]
    return Story({**USUAL, **SWAPPING}, draw(safetyamps({})), tuple(steps), draw(RULES), draw(OPTIONS), is_guarded=True)


@st.composite
def stories(draw: Draw, is_guarded: bool = False) -> Story:
    """A story about people, places or vehicles: a first sync or none, what changes then, and runs that fail."""
    about = draw(some([PEOPLE, PEOPLE, PLACES, VEHICLES, SWAPS]))
    if about == SWAPS:
        return draw(swaps(is_guarded))
    if is_guarded and draw(st.booleans()):
        return draw(approvals())
    drawn = {table: draw(KEYS_AND_ROWS[table]) for table in dict.fromkeys(ABOUT[about])}
    sources = {**USUAL, **{table: _built(table, rows) for table, rows in drawn.items()}}
    steps: list[Step] = [Run()] if draw(st.integers(0, 2)) == 0 else []
    for changes, run in [(draw(CHANGES[about]), draw(RUNS)), *draw(PARTS[about])]:
        steps += [*changes, run]
    entities = Story.entities if about == VEHICLES else Story.entities[:4]
    return Story(sources, draw(safetyamps(sources)), tuple(steps), draw(RULES), draw(OPTIONS), is_guarded, entities)


def _built(table: str, rows: dict[Any, Row]) -> dict[Any, Row]:
    build = SOURCES[table][1]
    return {key: build(key, rows[key]) for key in sorted(rows)}


@st.composite
def safetyamps(draw: Draw, sources: dict[str, dict[Any, Row]]) -> dict[str, list[Row]]:
    """SafetyAmp at the beginning: a yard in the South, and of what the sources say a part, right or wrong."""
    clusters = [ROOT, cluster(2, "South", 1, draw(some(["South", None]))), *draw(st.just([]) | known_clusters())]
    sites = [site(20, "Yard", 2, "YARD")]
    if draw(st.booleans()):
        sites.append(site(21, draw(some(["1. - Dam", "Other"])), clusters[-1]["id"], draw(some(["1.", None]))))
    titles = [title(30 + n, name) for n, name in enumerate(draw(st.lists(some(TITLES[:4]), max_size=2, unique=True)))]
    types = [asset_type(40 + row["id"], row["id"]) for row in sites]
    users = draw(known_users(sources.get("viewpoint/employees", {}), sites, titles))
    assets = [asset(60, serial="VIN1", site_id=20, asset_type_id=60)] if draw(st.booleans()) else []
    return {
        "site_clusters": clusters,
        "sites": sites,
        "user_titles": titles,
        "roles": [FIELD_ROLE],
        "users": users,
        "asset_types": types,
        "assets": assets,
    }


@st.composite
def known_clusters(draw: Draw) -> list[Row]:
    return [cluster(10, draw(some(["10 - Civil", "Other"])), draw(some([1, 2])), draw(some(["10", None])))]


@st.composite
def known_users(draw: Draw, employees: dict[Any, Row], sites: list[Row], titles: list[Row]) -> list[Row]:
    """Some of the employees, with or without number, on or off; and accounts of nobody."""
    users: list[Row] = []
    mails: set[str] = set()
    for place, number in enumerate([*employees, None]):
        row = employees.get(number, {})
        how = draw(some(["absent", "absent", "known", "off", "without number"]))
        mail = draw(some([row.get("Email"), "d@example.com", f"u{place}@example.com"])) or f"u{place}@example.com"
        if how == "absent" or mail.lower() in mails:
            continue
        mails.add(mail.lower())
        held = {"email": mail, "mobile_phone": draw(some([None, E164[place % 4]])) if place < 4 else None}
        held |= {"system_access": how != "off", "home_site_id": draw(some([None, sites[0]["id"]]))}
        held |= {"first_name": row.get("FirstName") or "Nora"}
        emp_id = None if how == "without number" or number is None else draw(some([str(number), f"00{number}"]))
        users.append(user(f"u{place}", emp_id, **held))
    return users
