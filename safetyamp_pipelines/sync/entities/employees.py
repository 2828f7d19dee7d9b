"""Employees become users: the fields, where each comes from, and who is in, out or switched off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from safetyamp_pipelines.sync.entities import shared as employment
from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.mapping import Mapped, map_fields
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Collision, Desired, EntitySpec, Field, MatchKey, Policy, Scope
from safetyamp_pipelines.sync.rules.config import SyncConfig

SOURCE = employment.SOURCE
COLUMNS = (
    "PRCo",
    "Employee",
    "LastName",
    "FirstName",
    "MidName",
    "Sex",
    "BirthDate",
    "HireDate",
    "TermDate",
    "PRDept",
    "Email",
    "Phone",
    "CellPhone",
    "Address",
    "Address2",
    "City",
    "State",
    "Zip",
    "Country",
    "udEmpTitle",
)


def desire_employees(inputs: Inputs, config: SyncConfig) -> list[Desired]:
    """One record per employee row of the configured companies, whoever they are."""
    frame = inputs.frame(SOURCE, COLUMNS)
    frame["rule.number"] = clean.clean(frame[f"{SOURCE}.Employee"], "number").values
    frame["rule.active"] = employment.is_active(frame, inputs.today(SOURCE))
    frame["rule.left"] = employment.has_left(frame, inputs.today(SOURCE))
    frame = join_entra(frame, inputs)
    frame = with_home_site(frame, inputs)
    frame = with_role(frame, inputs, config.employees.default_role)
    frame["rule.access"] = 1
    frame["rule.ended"] = clean.clean(frame[f"{SOURCE}.TermDate"], "date").values
    for option in ("timezone", "country", "default_state"):
        values = [getattr(config.employees, option)] * len(frame)
        frame[f"sync.yaml.employees.{option}"] = pd.Series(values, dtype=object)
    mapped = map_fields(frame, FIELDS, config.employees.default_phone_region)
    claims = _claims(frame, config.companies)
    return [_desired(frame, row, claims, mapped) for row in frame.index]


def _desired(
    frame: pd.DataFrame,
    row: int,
    claims: dict[str, list[tuple[bool, int]]],
    mapped: Mapped,
) -> Desired:
    values, reasons = mapped.values[row], mapped.reasons[row]
    number, company = str(frame["rule.number"][row]), int(frame[f"{SOURCE}.PRCo"][row])
    active = bool(frame["rule.active"][row])
    owner = claims[number][0][1] == company
    rivals = [co for is_active, co in claims[number] if is_active]
    if active and len(rivals) > 1:
        names = " and ".join(str(co) for co in sorted(rivals))
        reasons = [*reasons, f"employee number {number} is in companies {names}: one of them needs another number"]
    email = values.get("email")
    scope, rule = _scope(active, bool(frame["rule.left"][row]), frame["rule.ended"][row])
    return Desired(
        source_key=number if owner else f"{company}/{number}",
        natural_key=number,
        values=values if active else {},
        match={"emp_id": (number,), "email": (str(email),) if email else ()} if owner else {},
        scope=scope,
        rule=rule,
        reasons=tuple(reasons) if active else (),
        groups=(f"department {str(department).strip()}",) if (department := frame[f"{SOURCE}.PRDept"][row]) else (),
        notes=tuple(mapped.notes[row]) if active else (),
        stand_ins=frozenset(mapped.stand_ins[row]),
    )


def _scope(active: bool, left: bool, ended: str | None) -> tuple[Scope, str]:
    """Only who has left loses access. Without a hire date nobody is employed, but a date that got lost must not lock
    out somebody at work: the account stays as it is, and is reported."""
    if active:
        return Scope.ACTIVE, ""
    if left:
        return Scope.LEAVER, f"employment ended {ended}"
    return Scope.OUT, "no hire date in Viewpoint; the account, if any, stays as it is"


def _claims(frame: pd.DataFrame, companies: tuple[int, ...]) -> dict[str, list[tuple[bool, int]]]:
    """Per employee number the (is active, company) pairs, the owner first: the active one, then sync.yaml's order."""
    claims: dict[str, list[tuple[bool, int]]] = {}
    for number, company, active in zip(
        frame["rule.number"], frame[f"{SOURCE}.PRCo"], frame["rule.active"], strict=True
    ):
        claims.setdefault(str(number), []).append((bool(active), int(company)))
    return {
        number: sorted(found, key=lambda claim: (not claim[0], companies.index(claim[1])))
        for number, found in claims.items()
    }


def _records(inputs: Inputs) -> list[tuple[object, str]]:
    """Every employee row, employed or not."""
    rows = inputs.snapshot(SOURCE).records
    numbers = clean.clean(pd.Series([row["Employee"] for row in rows], dtype=object), "number").values
    return [(row["PRCo"], str(number)) for row, number in zip(rows, numbers, strict=True)]


def _protected_by(row: Record, config: SyncConfig) -> str | None:
    """The role of the account that sync.yaml protects, if it has one of them."""
    protected = {name.strip().casefold(): name for name in config.employees.protected_roles}
    shown = row.get("roles") or ()
    roles = [shown] if isinstance(shown, Mapping) else shown
    names = [str(role.get("name") or "").strip().casefold() for role in roles]
    found = next((protected[name] for name in names if name in protected), None)
    return None if found is None else f"has the role {found} (employees.protected_roles of sync.yaml)"


ENTRA = "entra/users"
RECENT_JOBS = "viewpoint/recent_jobs"


def join_entra(frame: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """Add `entra/users.*` columns by employee number; leading zeros and blanks in `employeeId` do not matter."""
    accounts: dict[str, list[Record]] = defaultdict(list)
    for account in inputs.snapshot(ENTRA).records:
        number = clean.number(account.get("employeeId") or "", "")
        if number is not None and account.get("userType") != "Guest":
            accounts[number].append(account)
    chosen = {number: _one_account(found) for number, found in accounts.items()}
    rows = [chosen.get(str(number)) or {} for number in frame["rule.number"]]
    reads: dict[str, Callable[[Record], object]] = {
        "mail": lambda account: account.get("mail"),
        "mobilePhone": lambda account: account.get("mobilePhone"),
        "businessPhones": lambda account: next(iter(account.get("businessPhones") or ()), None),
        "manager": lambda account: (account.get("manager") or {}).get("employeeId"),
    }
    return _with(frame, {f"{ENTRA}.{name}": [read(row) for row in rows] for name, read in reads.items()})


def _one_account(found: Sequence[Record]) -> Record | None:
    """`employeeId` is not unique in Entra. Of several accounts the only one with a mailbox counts; with two
    mailboxes it is unknown whose is whose, so none does."""
    if len(found) == 1:
        return found[0]
    with_mailbox = [account for account in found if _mailbox(account)]
    mailboxes = {_mailbox(account) for account in with_mailbox}
    if len(mailboxes) > 1:
        return None
    return min(with_mailbox or found, key=lambda account: str(account.get("id")))


def _mailbox(account: Record) -> str | None:
    try:
        return clean.email(account.get("mail") or "", "")
    except clean.Unclean:
        return None


def with_home_site(frame: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """Add `rule.home_site`: the site of the latest open job worked, else the department's home office."""
    sites = employment.HomeSites(inputs.expected)
    latest = {
        (job["PRCo"], clean.number(job["Employee"], "")): clean.key(job["Job"], "")
        for job in inputs.snapshot(RECENT_JOBS).records
    }
    homes: list[str | None] = []
    whys: list[str] = []
    keys = ("PRCo", "PRDept")
    columns = [frame[f"{employment.SOURCE}.{key}"] for key in keys]
    for company, department, number in zip(*columns, frame["rule.number"], strict=True):
        job = latest.get((company, number))
        code = clean.text(department, "") if department is not None else None
        homes.append(sites.of_job(job) or sites.home_office(code))
        worked = f"job {job} has no site" if job else "no timecard on an open job"
        office = f"department {code} has no home office in SafetyAmp" if code else "no department is given"
        whys.append(f"Home site: {worked}, and {office}")
    return _with(frame, {"rule.home_site": homes, "rule.home_site.why": whys})


def with_role(frame: pd.DataFrame, inputs: Inputs, default_role: str) -> pd.DataFrame:
    """Add `rule.role`: the configured role, else the one SafetyAmp marks as its default. Ids are tenant data."""
    roles = inputs.expected["roles"]
    marked = [str(row["name"]) for row in roles.rows.values() if row.get("account_default") == 1]
    role = default_role if roles.id_of(default_role) is not None or not marked else min(marked)
    return _with(frame, {"rule.role": [role] * len(frame)})


def _with(frame: pd.DataFrame, columns: Mapping[str, Sequence[object]]) -> pd.DataFrame:
    """The frame with object columns added; None stays None."""
    added = {name: pd.Series(list(values), index=frame.index, dtype=object) for name, values in columns.items()}
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)


def _personal(name: str, label: str, *sources: str, **options: object) -> Field:
    """A field read where it is written, whose values are a person's."""
    return Field(name, label, sources, name, personal=True, **options)  # type: ignore[arg-type]


FIELDS = (
    Field("emp_id", "Employee number", (f"{SOURCE}.Employee",), "emp_id", clean="number", required=True),
    _personal("first_name", "First name", f"{SOURCE}.FirstName", required=True, telling=True),
    _personal("middle_name", "Middle name", f"{SOURCE}.MidName"),
    _personal("last_name", "Last name", f"{SOURCE}.LastName", required=True, telling=True),
    _personal(
        "email",
        "E-mail",
        f"{ENTRA}.mail",
        f"{SOURCE}.Email",
        clean="email",
        required=True,
        unique=Collision.REJECT,
        fold_case=True,
    ),
    _personal(
        "mobile_phone",
        "Mobile phone",
        f"{ENTRA}.mobilePhone",
        f"{SOURCE}.CellPhone",
        f"{SOURCE}.Phone",
        clean="phone",
        unique=Collision.OMIT,
    ),
    _personal("work_phone", "Work phone", f"{ENTRA}.businessPhones", f"{SOURCE}.Phone", clean="phone"),
    _personal("gender", "Gender", f"{SOURCE}.Sex", clean="gender"),
    _personal("date_of_birth", "Date of birth", f"{SOURCE}.BirthDate", clean="date", telling=True),
    _personal("current_hire_date", "Hire date", f"{SOURCE}.HireDate", clean="date"),
    _personal("street", "Street", f"{SOURCE}.Address", telling=True),
    _personal("street2", "Street, second line", f"{SOURCE}.Address2"),
    _personal("city", "City", f"{SOURCE}.City"),
    _personal("state", "State", f"{SOURCE}.State", "sync.yaml.employees.default_state", clean="state"),
    _personal("zip_code", "Zip code", f"{SOURCE}.Zip", clean="zip_code"),
    Field("country", "Country", (f"{SOURCE}.Country", "sync.yaml.employees.country"), "country"),
    Field("timezone", "Time zone", ("sync.yaml.employees.timezone",), "timezone", policy=Policy.INITIAL),
    Field("home_site_id", "Home site", ("rule.home_site",), "home_site_id", required=True, references="sites"),
    Field("current_title_id", "Title", (f"{SOURCE}.udEmpTitle",), "current_title.id", references="user_titles"),
    Field(
        "roles",
        "Role",
        ("rule.role",),
        "roles.id",
        references="roles",
        policy=Policy.INITIAL,
        as_list_of_ids=True,
    ),
    Field(
        "current_supervisor_id",
        "Supervisor",
        (f"{ENTRA}.manager",),
        "current_supervisor.id",
        clean="number",
        references="users",
    ),
    Field("system_access", "Access", ("rule.access",), "system_access", clean="as_is"),
)

SPEC = EntitySpec(
    name="employees",
    table="users",
    title="Users from employees",
    description="Active employees as SafetyAmp users, with e-mail from Entra; leavers lose access, nobody is deleted.",
    sources=(SOURCE, RECENT_JOBS, ENTRA),
    observed=("site_clusters", "sites", "user_titles", "roles", "users"),
    after=("departments", "jobs", "titles"),
    fields=FIELDS,
    match=(
        MatchKey("emp_id", "emp_id", numeric=True),
        MatchKey("email", "email", fold_case=True, owner="emp_id", action="link"),
    ),
    desire=desire_employees,
    records=_records,
    always=("first_name", "last_name", "email"),
    access="system_access",
    holds_switched_off=True,
    place="home_site_id",
    policies=lambda config: config.employees.policies,
    reactivates=lambda config: config.employees.reactivate_without_history,
    protected_by=_protected_by,
)
